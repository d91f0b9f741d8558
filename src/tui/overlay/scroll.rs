//! Lines that are longer than their place is high: wrapped once for each width, and
//! walked through. A new width keeps the line that was at the top.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame::{self, Hint};
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{line_width, wrap};

/// Before rows that go on with a line, so that they are no lines of their own.
const INDENT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: Act::Down,
        help: "scroll",
    },
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::char('k')],
        action: Act::Up,
        help: "a line up",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageDown), Key::char(' ')],
        action: Act::PageDown,
        help: "a page down",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageUp)],
        action: Act::PageUp,
        help: "a page up",
    },
    Binding {
        keys: &[Key::new(KeyCode::Home), Key::char('g')],
        action: Act::Top,
        help: "to the top",
    },
    Binding {
        keys: &[Key::new(KeyCode::End), Key::char('G')],
        action: Act::Bottom,
        help: "to the bottom",
    },
];

#[derive(Debug, Default)]
pub struct Scroll {
    lines: Vec<Line<'static>>,
    rows: Vec<Line<'static>>,
    /// The row that each line begins with.
    starts: Vec<usize>,
    columns: usize,
    height: usize,
    top: usize,
}

impl Scroll {
    pub fn new(lines: Vec<Line<'static>>) -> Self {
        Self {
            lines,
            ..Self::default()
        }
    }

    pub fn lines(&self) -> &[Line<'static>] {
        &self.lines
    }

    /// Rows at this width.
    pub fn rows_at(&mut self, columns: u16) -> usize {
        let columns = usize::from(columns);
        if columns != self.columns || self.starts.len() != self.lines.len() {
            let line = self.top_line();
            self.columns = columns;
            self.starts.clear();
            self.rows.clear();
            for line in &self.lines {
                self.starts.push(self.rows.len());
                match line_width(line) <= columns {
                    true => self.rows.push(line.clone()),
                    false => self.rows.extend(wrap(line, columns, INDENT)),
                }
            }
            self.go_to(line);
        }
        self.rows.len()
    }

    pub fn layout(&mut self, columns: u16, height: u16) {
        self.rows_at(columns);
        self.height = height.into();
        self.top = self.top.min(self.lowest());
    }

    fn lowest(&self) -> usize {
        self.rows.len().saturating_sub(self.height.max(1))
    }

    /// The line at the top.
    pub fn top_line(&self) -> usize {
        let after = self.starts.partition_point(|start| *start <= self.top);
        after.saturating_sub(1)
    }

    pub fn go_to(&mut self, line: usize) {
        let start = self.starts.get(line).copied().unwrap_or_default();
        self.top = start.min(self.lowest());
    }

    /// Rows at the width of the last layout.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How to see the rest, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        let more = self.more();
        let key = frame::hint(KEYS, &Act::PageDown)?.0;
        match (more, self.top) {
            (0, 0) => None,
            (0, _) => frame::hint(KEYS, &Act::PageUp),
            (1, _) => Some((key, "1 more line".to_owned())),
            _ => Some((key, format!("{more} more lines"))),
        }
    }

    /// Rows below those that are shown.
    pub fn more(&self) -> usize {
        self.rows.len().saturating_sub(self.top + self.height)
    }

    /// Obeys a key; false where it is none for scrolling.
    pub fn key(&mut self, key: Key) -> bool {
        let Some(action) = bound(KEYS, key) else {
            return false;
        };
        // A line of the page before stays in sight.
        let page = self.height.saturating_sub(1).max(1);
        let top = match action {
            Act::Up => self.top.saturating_sub(1),
            Act::Down => self.top + 1,
            Act::PageUp => self.top.saturating_sub(page),
            Act::PageDown => self.top + page,
            Act::Top => 0,
            Act::Bottom => self.rows.len(),
        };
        self.top = top.min(self.lowest());
        true
    }

    pub fn render(&self, area: Rect, buf: &mut Buffer) {
        let shown = self.rows.iter().skip(self.top);
        for (row, line) in (0..area.height).zip(shown) {
            frame::put(area, row, line, buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::overlay::testing::{keys, screen};

    fn shown(scroll: &Scroll, width: u16, height: u16) -> Vec<String> {
        screen(width, height, |area, buf| scroll.render(area, buf))
    }

    #[test]
    fn another_width_keeps_the_line_at_the_top() {
        let lines = ["one two three", "four", "five six", "seven", "eight"];
        let mut scroll = Scroll::new(lines.map(Line::from).to_vec());
        scroll.layout(7, 2);
        assert_eq!(shown(&scroll, 7, 2), ["one two", "  three"]);
        for key in keys("<Down><Down><Down>") {
            assert!(scroll.key(key));
        }
        assert_eq!(shown(&scroll, 7, 2), ["five", "  six"]);
        assert_eq!((scroll.top_line(), scroll.more()), (2, 2));
        scroll.layout(20, 2);
        assert_eq!(shown(&scroll, 20, 2), ["five six", "seven"]);
        // The last rows fill the place.
        for key in keys("<PgDn><PgDn>") {
            scroll.key(key);
        }
        assert_eq!(shown(&scroll, 20, 2), ["seven", "eight"]);
        scroll.layout(20, 4);
        assert_eq!(shown(&scroll, 20, 4)[0], "four");
        assert!(!scroll.key(keys("x")[0]));
    }
}
