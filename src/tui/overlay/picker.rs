//! A list that is searched by typing some characters of what is meant: palette,
//! sessions, files and commands. It is searched only when the filter changes, and only
//! among what matched before where characters are added.

use std::sync::Arc;

use crossterm::event::KeyCode;
use nucleo_matcher::{Matcher, Utf32Str};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use super::item::{Look, Mark, Painter, matcher, pattern};
use crate::tui::keys::{Binding, Key};
use crate::tui::theme::Theme;

pub use super::item::{Details, Keep};

/// Rows of a list that can be walked to; the rest takes a longer filter.
const MOST: usize = 1000;
/// Rows until it is told how many there are.
const PAGE: usize = 8;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::ctrl('p')],
        action: Act::Up,
        help: "up",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::ctrl('n')],
        action: Act::Down,
        help: "down",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageUp)],
        action: Act::PageUp,
        help: "a page up",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageDown)],
        action: Act::PageDown,
        help: "a page down",
    },
];

pub struct Picker {
    items: Arc<[String]>,
    look: Look,
    filter: String,
    matcher: Matcher,
    /// All that match, in the order of the items.
    matching: Vec<usize>,
    /// The best of them, best first.
    best: Vec<usize>,
    /// Of `best`.
    selected: usize,
    top: usize,
    height: usize,
}

impl Picker {
    pub fn new(items: Arc<[String]>, keep: Keep, details: Details) -> Self {
        let mut picker = Self {
            items,
            look: Look { keep, details },
            filter: String::new(),
            matcher: matcher(),
            matching: Vec::new(),
            best: Vec::new(),
            selected: 0,
            top: 0,
            height: PAGE,
        };
        picker.search_all();
        picker
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    pub fn is_empty(&self) -> bool {
        self.best.is_empty()
    }

    /// Rows that can be shown.
    pub fn len(&self) -> usize {
        self.best.len()
    }

    /// The item that keys act on.
    pub fn selected(&self) -> Option<usize> {
        self.best.get(self.selected).copied()
    }

    pub fn item(&self, index: usize) -> Option<&str> {
        self.items.get(index).map(String::as_str)
    }

    /// Other items, searched by the same filter.
    pub fn set_items(&mut self, items: Arc<[String]>) {
        self.items = items;
        self.search_all();
    }

    pub fn set_filter(&mut self, filter: &str) {
        if filter == self.filter {
            return;
        }
        // Whatever lacks some characters lacks more of them, too.
        let narrower = !self.filter.is_empty() && filter.starts_with(&self.filter);
        self.filter = filter.to_owned();
        match narrower {
            true => {
                let among = std::mem::take(&mut self.matching);
                self.search(among);
            }
            false => self.search_all(),
        }
    }

    fn search_all(&mut self) {
        self.search((0..self.items.len()).collect());
    }

    fn search(&mut self, among: Vec<usize>) {
        (self.selected, self.top) = (0, 0);
        if self.filter.trim().is_empty() {
            self.best = among.iter().copied().take(MOST).collect();
            self.matching = among;
            return;
        }
        let pattern = pattern(&self.filter);
        let mut characters = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        for index in among {
            let Some(item) = self.items.get(index) else {
                continue;
            };
            let item = Utf32Str::new(item, &mut characters);
            if let Some(score) = pattern.score(item, &mut self.matcher) {
                scored.push((score, index));
            }
        }
        self.matching = scored.iter().map(|(_, index)| *index).collect();
        let length = |index: &usize| self.items.get(*index).map_or(0, String::len);
        let order = |a: &(u32, usize), b: &(u32, usize)| {
            let shorter = || length(&a.1).cmp(&length(&b.1));
            b.0.cmp(&a.0).then_with(shorter).then(a.1.cmp(&b.1))
        };
        if scored.len() > MOST {
            scored.select_nth_unstable_by(MOST, order);
            scored.truncate(MOST);
        }
        scored.sort_unstable_by(order);
        self.best = scored.into_iter().map(|(_, index)| index).collect();
    }

    pub fn act(&mut self, action: Act) {
        let page = self.height.max(1);
        let last = self.best.len().saturating_sub(1);
        self.selected = match action {
            // Round, so that the best match of a long list is never far.
            Act::Up if self.selected == 0 => last,
            Act::Up => self.selected - 1,
            Act::Down if self.selected >= last => 0,
            Act::Down => self.selected + 1,
            Act::PageUp => self.selected.saturating_sub(page),
            Act::PageDown => (self.selected + page).min(last),
        };
        self.scroll();
    }

    /// Tells how many rows there are to show it in.
    pub fn layout(&mut self, height: u16) {
        self.height = height.into();
        self.scroll();
    }

    fn scroll(&mut self) {
        let height = self.height.max(1);
        let lowest = self.best.len().saturating_sub(height);
        let first = (self.selected + 1).saturating_sub(height);
        self.top = self.top.clamp(first, self.selected.max(first)).min(lowest);
    }

    /// How many match, of how many.
    pub fn count(&self) -> String {
        format!("{} of {}", self.matching.len(), self.items.len())
    }

    /// A row for each item, with what `detail` says of it.
    pub fn render(
        &self,
        area: Rect,
        buf: &mut Buffer,
        theme: Theme,
        detail: impl Fn(usize) -> String,
    ) {
        let mut painter = Painter::new(&self.filter, self.look, area.width.into(), theme);
        // Where there is less room than was told, the selected row still shows.
        let first = (self.selected + 1).saturating_sub(area.height.into());
        let shown = self.best.iter().enumerate().skip(self.top.max(first));
        for (row, (place, index)) in (0..area.height).zip(shown) {
            let Some(item) = self.item(*index) else {
                continue;
            };
            let mark = match place == self.selected {
                true => Mark::Selected,
                false => Mark::None,
            };
            let line = painter.row(item, &detail(*index), mark);
            frame::put(area, row, &line, buf);
        }
    }
}
