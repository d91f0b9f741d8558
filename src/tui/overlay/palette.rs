//! Every command and every action with a name, found by typing some of it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::finder::{self, Finder, Found};
use super::frame;
use super::picker::{Details, Keep, Picker};
use crate::tui::keys::Key;
use crate::tui::theme::Theme;

const COLUMNS: u16 = 80;

/// Something that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub label: String,
    /// Keys that do it as well, for people to learn; may be empty.
    pub keys: String,
    /// What the one who opened it knows it by.
    pub id: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    Entry(usize),
    Close,
}

pub struct Palette {
    entries: Vec<Entry>,
    finder: Finder,
}

impl Palette {
    pub fn new(entries: Vec<Entry>) -> Self {
        let labels = entries.iter().map(|entry| entry.label.clone()).collect();
        Self {
            entries,
            finder: Finder::new(Picker::new(labels, Keep::Start, Details::Right)),
        }
    }

    pub fn key(&mut self, key: Key) -> Option<Picked> {
        match self.finder.key(key)? {
            Found::Item(index) => self.entries.get(index).map(|one| Picked::Entry(one.id)),
            Found::Close => Some(Picked::Close),
        }
    }

    pub fn paste(&mut self, text: &str) {
        self.finder.paste(text);
    }

    fn place(&self, screen: Rect) -> Rect {
        // As high as all entries, so that it does not jump while one types.
        let rows = u16::try_from(self.entries.len().saturating_add(3)).unwrap_or(u16::MAX);
        frame::place(screen, COLUMNS, rows.max(4))
    }

    pub fn layout(&mut self, screen: Rect) {
        let inner = frame::inner(self.place(screen));
        self.finder.layout(inner);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let area = self.place(screen);
        let choose = frame::hint(finder::KEYS, &finder::Act::Choose);
        let hints: Vec<_> = choose.into_iter().collect();
        frame::draw(area, buf, theme, "Commands", &Finder::hints(&hints));
        let keys = |index: usize| {
            let entry = self.entries.get(index);
            entry.map_or(String::new(), |entry| entry.keys.clone())
        };
        self.finder.render(frame::inner(area), buf, theme, keys);
    }

    pub fn cursor(&self, screen: Rect) -> Option<Position> {
        self.finder.cursor(frame::inner(self.place(screen)))
    }
}
