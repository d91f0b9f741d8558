//! A block of rows at the end of the terminal's own screen, drawn anew in place. What
//! is finished is printed above it and scrolls into the terminal's memory, where it
//! never changes again.

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveDown, MoveRight, MoveToColumn, MoveUp, Show};
use crossterm::queue;
use crossterm::style::{PrintStyledContent, StyledContent};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthStr;

/// What is drawn now.
#[derive(Debug, Default)]
pub struct Block {
    rows: u16,
    /// The row of it that the cursor is in.
    cursor: u16,
}

impl Block {
    /// Prints finished rows, and the block after them.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(
        &mut self,
        finished: &[Line<'static>],
        block: &Buffer,
        cursor: Option<Position>,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        self.erase(&mut out)?;
        for line in finished {
            let area = Rect::new(0, 0, block.area.width, 1);
            let mut row = Buffer::empty(area);
            line.render(area, &mut row);
            print(&row, 0, &mut out)?;
            out.write_all(b"\r\n")?;
        }
        for y in 0..block.area.height {
            if y > 0 {
                out.write_all(b"\r\n")?;
            }
            print(block, y, &mut out)?;
        }
        self.rows = block.area.height;
        self.cursor = self.rows.saturating_sub(1);
        queue!(out, MoveToColumn(0))?;
        if let Some(at) = cursor {
            up(self.cursor.saturating_sub(at.y), &mut out)?;
            self.cursor = at.y.min(self.cursor);
            if at.x > 0 {
                queue!(out, MoveRight(at.x))?;
            }
            queue!(out, Show)?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }

    /// Takes the block away; what comes next is printed in its place.
    ///
    /// # Errors
    /// As [`Block::draw`].
    pub fn leave(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        self.erase(&mut out)?;
        queue!(out, Show)?;
        self.rows = 0;
        self.cursor = 0;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }

    /// Row by row: a screen that is cleared whole goes into the memory of some terminals.
    fn erase(&self, out: &mut Vec<u8>) -> io::Result<()> {
        queue!(out, MoveToColumn(0))?;
        up(self.cursor, out)?;
        for row in 0..self.rows {
            if row > 0 {
                queue!(out, MoveDown(1))?;
            }
            queue!(out, Clear(ClearType::CurrentLine))?;
        }
        up(self.rows.saturating_sub(1), out)
    }
}

/// Moving by nothing moves by one.
fn up(rows: u16, out: &mut Vec<u8>) -> io::Result<()> {
    match rows {
        0 => Ok(()),
        rows => queue!(out, MoveUp(rows)),
    }
}

/// One row of a buffer, without the blanks at its end.
fn print(buf: &Buffer, y: u16, out: &mut Vec<u8>) -> io::Result<()> {
    let width = buf.area.width;
    let drawn = |x: &u16| buf[(*x, y)] != Cell::EMPTY;
    let end = (0..width).rev().find(drawn).map_or(0, |x| x + 1);
    let mut x = 0;
    while x < end {
        let cell = &buf[(x, y)];
        let style = cell.style().into_crossterm();
        queue!(
            out,
            PrintStyledContent(StyledContent::new(style, cell.symbol()))
        )?;
        x += u16::try_from(cell.symbol().width()).unwrap_or(1).max(1);
    }
    Ok(())
}
