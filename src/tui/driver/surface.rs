//! What is drawn on: the terminal's other screen, or its own, where what is finished
//! scrolls into the terminal's memory. Either way a frame is written in one go, so that
//! nobody sees half of it.

use std::io::{self, BufWriter, Stdout};

use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::inline::Block;
use super::terminal::{self, Mouse};

/// Bytes of a frame that are written at once.
const FRAME: usize = 1 << 16;

type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Where the program lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// On the other screen.
    #[default]
    Alternate,
    /// At the end of the terminal's own, but for what needs all of it.
    Inline,
}

/// The terminal while it is ours.
pub struct Surface {
    place: Place,
    mouse: Mouse,
    block: Block,
    /// The other screen, while it is shown.
    screen: Option<Screen>,
}

impl Surface {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn take(place: Place) -> io::Result<Self> {
        terminal::take()?;
        let mut surface = Self {
            place,
            mouse: match place {
                Place::Alternate => Mouse::Ours,
                Place::Inline => Mouse::Terminals,
            },
            block: Block::default(),
            screen: None,
        };
        surface.enter().inspect_err(|_| terminal::restore())?;
        Ok(surface)
    }

    fn enter(&mut self) -> io::Result<()> {
        if self.place == Place::Alternate || self.screen.is_some() {
            self.screen = None;
            self.open()?;
        }
        match self.mouse {
            Mouse::Ours => terminal::set_mouse(Mouse::Ours),
            Mouse::Terminals => Ok(()),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        terminal::show_alternate()?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(FRAME, io::stdout()));
        self.screen = Some(Terminal::new(backend)?);
        Ok(())
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }

    /// Draws a frame on the other screen; what changed since the last one is written.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.screen.is_none() {
            self.open()?;
        }
        let Some(screen) = &mut self.screen else {
            return Ok(());
        };
        queue!(screen.backend_mut(), BeginSynchronizedUpdate)?;
        screen.draw(view)?;
        execute!(screen.backend_mut(), EndSynchronizedUpdate)
    }

    /// The block at the end of the terminal's own screen.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn block(&mut self) -> io::Result<&mut Block> {
        if self.screen.take().is_some() {
            terminal::show_own()?;
        }
        Ok(&mut self.block)
    }

    /// Something else has written to the terminal: all of the next frame is drawn.
    ///
    /// # Errors
    /// As [`Surface::draw`].
    pub fn forget(&mut self) -> io::Result<()> {
        match &mut self.screen {
            // Not by `clear`, which asks the terminal where its cursor is and waits for an
            // answer that the thread which reads keys would get.
            Some(screen) => {
                let size = screen.size()?;
                screen.resize(Rect::new(0, 0, size.width, size.height))
            }
            None => Ok(()),
        }
    }

    /// # Errors
    /// As [`Surface::draw`].
    pub fn switch_mouse(&mut self) -> io::Result<()> {
        self.mouse = match self.mouse {
            Mouse::Ours => Mouse::Terminals,
            Mouse::Terminals => Mouse::Ours,
        };
        terminal::set_mouse(self.mouse)
    }

    /// Lets something else have the terminal, and takes it back.
    ///
    /// # Errors
    /// As [`Surface::take`].
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        self.block.leave()?;
        terminal::restore();
        let result = work();
        terminal::take()?;
        self.enter()?;
        self.forget()?;
        Ok(result)
    }
}

impl Drop for Surface {
    fn drop(&mut self) {
        // The terminal may be what went away.
        let _ = self.block.leave();
        terminal::restore();
    }
}
