//! A picker with the field that its filter is typed into: the inside of the palette and
//! of the list of sessions.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::field::{Field, Typed};
use super::frame::{self, Hint};
use super::picker::{self, Picker};
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::width;
use crate::tui::theme::{Role, Theme};

const PROMPT: &str = "find ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Choose,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: Act::Choose,
        help: "choose",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::ctrl('c')],
        action: Act::Close,
        help: "close",
    },
];

/// What a key means for whoever shows the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Item(usize),
    Close,
}

pub struct Finder {
    field: Field,
    picker: Picker,
}

impl Finder {
    pub fn new(picker: Picker) -> Self {
        Self {
            field: Field::default(),
            picker,
        }
    }

    pub fn selected(&self) -> Option<usize> {
        self.picker.selected()
    }

    pub fn key(&mut self, key: Key) -> Option<Found> {
        match bound(KEYS, key) {
            Some(Act::Choose) => return self.selected().map(Found::Item),
            Some(Act::Close) => return Some(Found::Close),
            None => {}
        }
        if let Some(action) = bound(picker::KEYS, key) {
            self.picker.act(action);
            return None;
        }
        if self.field.key(key) == Typed::Changed {
            self.picker.set_filter(self.field.text());
        }
        None
    }

    pub fn paste(&mut self, text: &str) {
        if self.field.insert(text) == Typed::Changed {
            self.picker.set_filter(self.field.text());
        }
    }

    /// Keys for the bottom of the box, those of its owner first.
    pub fn hints(own: &[Hint]) -> Vec<Hint> {
        let mut hints: Vec<Hint> = own.to_vec();
        hints.extend(frame::hint(KEYS, &Act::Close));
        hints
    }

    /// Rows that it takes to show all.
    pub fn rows(&self) -> u16 {
        u16::try_from(self.picker.len().saturating_add(1)).unwrap_or(u16::MAX)
    }

    pub fn layout(&mut self, inner: Rect) {
        self.picker.layout(inner.height.saturating_sub(1));
    }

    pub fn render(
        &self,
        inner: Rect,
        buf: &mut Buffer,
        theme: Theme,
        detail: impl Fn(usize) -> String,
    ) {
        let count = self.picker.count();
        let (field, list) = split(inner);
        frame::write(inner, 0, PROMPT, theme.style(Role::Dim), buf);
        let room = usize::from(field.width);
        if room > width(self.field.text()) + width(&count) + 2 {
            let skip = u16::try_from(room - width(&count)).unwrap_or(0);
            let right = Rect::new(field.x + skip, field.y, field.width - skip, field.height);
            frame::write(right, 0, &count, theme.style(Role::Dim), buf);
        }
        self.field.render(field, buf, theme.style(Role::Text));
        match self.picker.is_empty() {
            true => frame::write(list, 0, "nothing matches", theme.style(Role::Dim), buf),
            false => self.picker.render(list, buf, theme, detail),
        }
    }

    pub fn cursor(&self, inner: Rect) -> Option<Position> {
        self.field.cursor(split(inner).0)
    }
}

/// Where the filter is typed, and the list below it.
fn split(inner: Rect) -> (Rect, Rect) {
    let prompt = u16::try_from(PROMPT.len()).unwrap_or(0).min(inner.width);
    let top = inner.height.min(1);
    (
        Rect::new(inner.x + prompt, inner.y, inner.width - prompt, top),
        Rect::new(inner.x, inner.y + top, inner.width, inner.height - top),
    )
}
