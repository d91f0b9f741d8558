//! Keys of the transcript, and what they ask of the application.

use crossterm::event::KeyCode;

use super::Transcript;
use super::body::Writing;
use super::item::{Body, Fold};
use super::place::Place;
use crate::tui::keys::{Binding, Key, bound};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Previous,
    Next,
    Open,
    FoldAll,
    Copy,
    CopyCode,
    Edit,
    Leave,
}

/// What the application is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Into the clipboard, as it was written: not made harmless.
    Copy(String),
    /// The tokens of an answer, by its entry in the log.
    OpenTrace(u64),
    /// A message of the user's, counted from 1.
    Edit(usize),
    Leave,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::char('k')],
        action: Act::Up,
        help: "a row up",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: Act::Down,
        help: "a row down",
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
    Binding {
        keys: &[Key::char('g'), Key::new(KeyCode::Home)],
        action: Act::Top,
        help: "to the beginning",
    },
    Binding {
        keys: &[Key::char('G'), Key::new(KeyCode::End)],
        action: Act::Bottom,
        help: "to the end, and stay there",
    },
    Binding {
        keys: &[Key::char('[')],
        action: Act::Previous,
        help: "select the item above",
    },
    Binding {
        keys: &[Key::char(']')],
        action: Act::Next,
        help: "select the item below",
    },
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: Act::Open,
        help: "unfold or fold the selected card; open an answer's reasoning",
    },
    Binding {
        keys: &[Key::char('e')],
        action: Act::FoldAll,
        help: "unfold or fold all cards",
    },
    Binding {
        keys: &[Key::char('y')],
        action: Act::Copy,
        help: "copy the selected item",
    },
    Binding {
        keys: &[Key::char('c')],
        action: Act::CopyCode,
        help: "copy the nearest block of code",
    },
    Binding {
        keys: &[Key::char('E')],
        action: Act::Edit,
        help: "edit the selected message and go on from there",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc)],
        action: Act::Leave,
        help: "back to the prompt",
    },
];

impl Transcript {
    /// What a key does; `None` also where it is no key of ours.
    pub fn key(&mut self, key: Key) -> Option<Outcome> {
        match bound(KEYS, key)? {
            Act::Up => self.scroll(-1),
            Act::Down => self.scroll(1),
            Act::PageUp => self.page(-1),
            Act::PageDown => self.page(1),
            Act::Top => self.to_top(),
            Act::Bottom => self.to_bottom(),
            Act::Previous => self.select(|at| at.saturating_sub(1)),
            Act::Next => self.select(|at| at + 1),
            Act::Open => return self.open(),
            Act::FoldAll => {
                self.fold_all();
                self.place_view();
            }
            Act::Copy => {
                let source = self.items.get(self.selected?)?.source();
                return (!source.is_empty()).then_some(Outcome::Copy(source));
            }
            Act::CopyCode => return self.nearest_code().map(Outcome::Copy),
            Act::Edit => {
                return match &self.items.get(self.selected?)?.body {
                    Body::User(user) => user.number.map(Outcome::Edit),
                    Body::Answer(_) | Body::Call(_) | Body::Said(_) => None,
                };
            }
            Act::Leave => {
                self.selected = None;
                return Some(Outcome::Leave);
            }
        }
        None
    }

    /// Selects another item than now; at first the last one in view.
    fn select(&mut self, next: impl Fn(usize) -> usize) {
        let Some(last) = self.items.len().checked_sub(1) else {
            return;
        };
        let at = match self.selected {
            Some(at) => next(at).min(last),
            None => self.last_in_view().unwrap_or(last),
        };
        self.selected = Some(at);
        self.reveal(at);
    }

    fn open(&mut self) -> Option<Outcome> {
        let at = self.selected?;
        let item = self.items.get_mut(at)?;
        if let Body::Answer(answer) = &item.body {
            let entry = answer.entry.filter(|_| answer.state == Writing::Ended);
            return entry.map(Outcome::OpenTrace);
        }
        item.set_fold(match item.fold() {
            Fold::Folded => Fold::Open,
            Fold::Open => Fold::Folded,
        });
        self.reveal(at);
        self.place_view();
        None
    }

    /// Of the selected item, or else of all: the block of code nearest to the middle of
    /// the view; above it rather than below.
    fn nearest_code(&self) -> Option<String> {
        let middle = usize::from(self.frame.height) / 2;
        let middle = (0..=middle).rev().find_map(|y| self.place_at(y))?;
        let items = match self.selected {
            Some(at) if self.codes(at).next().is_some() => at..at + 1,
            Some(_) | None => 0..self.items.len(),
        };
        let all = items.clone().flat_map(|item| self.codes(item));
        let (above, below): (Vec<_>, Vec<_>) = all.partition(|(place, _)| *place <= middle);
        let (place, nth) = above.last().or(below.first())?;
        let Body::Answer(answer) = &self.items.get(place.item)?.body else {
            return None;
        };
        let code = answer.markdown.codes().get(*nth)?;
        Some(answer.markdown.code(code))
    }

    /// Where the blocks of code of an item begin, by their numbers.
    fn codes(&self, item: usize) -> impl Iterator<Item = (Place, usize)> {
        let found = self.items.get(item);
        let (codes, head) = match found.map(|item| (&item.body, item.head())) {
            Some((Body::Answer(answer), head)) => (answer.markdown.codes(), head),
            Some((Body::User(_) | Body::Call(_) | Body::Said(_), _)) | None => (&[][..], 0),
        };
        let head = head + self.gap(item);
        codes.iter().enumerate().map(move |(nth, code)| {
            let row = head + code.rows.start;
            (Place { item, row }, nth)
        })
    }
}
