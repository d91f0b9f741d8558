//! What opens over the screen and has all keys until it closes: questions, lists and
//! texts. At most one is open; the application keeps it, hands it keys, and does what
//! its outcome says.

mod answers;
pub mod approval;
#[cfg(test)]
mod approval_tests;
pub mod confirm;
pub mod diff;
pub mod field;
pub mod finder;
pub mod frame;
mod guard;
pub mod help;
mod hunk;
mod item;
pub mod message;
pub mod palette;
pub mod picker;
#[cfg(test)]
mod picker_tests;
pub mod scroll;
pub mod sessions;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::agent::Approval;
use crate::tui::keys::{Key, rows};
use crate::tui::theme::Theme;

pub use approval::ApprovalDialog;
pub use confirm::{Answer, Confirm};
pub use diff::Diff;
pub use help::Help;
pub use message::Message;
pub use palette::Palette;
pub use sessions::Sessions;

/// The tables of all overlays with their places, for the help.
pub fn sections() -> Vec<help::Section> {
    let tables = [
        ("question for permission", rows(approval::KEYS)),
        ("yes or no", rows(confirm::KEYS)),
        ("lists", rows(finder::KEYS)),
        ("lists", rows(picker::KEYS)),
        ("sessions", rows(sessions::KEYS)),
        ("what is typed to find something", rows(field::KEYS)),
        ("changes", rows(diff::KEYS)),
        ("help", rows(help::KEYS)),
        ("what is typed to find a key", rows(help::FILTER_KEYS)),
        ("long texts", rows(message::KEYS)),
        ("long texts", rows(scroll::KEYS)),
    ];
    let named = tables.into_iter();
    named
        .map(|(place, rows)| (place.to_owned(), rows))
        .collect()
}

/// It has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close;

/// What a key came to. Whatever it is, the overlay is done and is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Closed,
    Approval(Approval),
    Answer(Answer),
    /// Id of the palette's entry.
    Entry(usize),
    /// Id of the session.
    Resume(String),
    Fork(String),
}

pub enum Overlay {
    Approval(ApprovalDialog),
    Confirm(Confirm),
    Diff(Diff),
    Help(Help),
    Message(Message),
    Palette(Palette),
    Sessions(Sessions),
}

impl Overlay {
    /// What the key does; `None` while it stays open.
    pub fn key(&mut self, key: Key, now: Instant) -> Option<Outcome> {
        match self {
            Self::Approval(one) => one.key(key, now).map(Outcome::Approval),
            Self::Confirm(one) => one.key(key, now).map(Outcome::Answer),
            Self::Diff(one) => one.key(key).map(|Close| Outcome::Closed),
            Self::Help(one) => one.key(key).map(|Close| Outcome::Closed),
            Self::Message(one) => one.key(key).map(|Close| Outcome::Closed),
            Self::Palette(one) => one.key(key).map(|picked| match picked {
                palette::Picked::Entry(id) => Outcome::Entry(id),
                palette::Picked::Close => Outcome::Closed,
            }),
            Self::Sessions(one) => one.key(key).map(|picked| match picked {
                sessions::Picked::Resume(id) => Outcome::Resume(id),
                sessions::Picked::Fork(id) => Outcome::Fork(id),
                sessions::Picked::Close => Outcome::Closed,
            }),
        }
    }

    /// Pasted text: for a field that is open, and never an answer.
    pub fn paste(&mut self, text: &str) {
        match self {
            Self::Approval(one) => one.paste(text),
            Self::Help(one) => one.paste(text),
            Self::Palette(one) => one.paste(text),
            Self::Sessions(one) => one.paste(text),
            Self::Confirm(_) | Self::Diff(_) | Self::Message(_) => {}
        }
    }

    /// Fits it to the screen; has to come before `render`, after each key as well.
    pub fn layout(&mut self, screen: Rect) {
        match self {
            Self::Approval(one) => one.layout(screen),
            Self::Confirm(one) => one.layout(screen),
            Self::Diff(one) => one.layout(screen),
            Self::Help(one) => one.layout(screen),
            Self::Message(one) => one.layout(screen),
            Self::Palette(one) => one.layout(screen),
            Self::Sessions(one) => one.layout(screen),
        }
    }

    /// Draws it over what the screen shows.
    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        match self {
            Self::Approval(one) => one.render(screen, buf, theme),
            Self::Confirm(one) => one.render(screen, buf, theme),
            Self::Diff(one) => one.render(screen, buf, theme),
            Self::Help(one) => one.render(screen, buf, theme),
            Self::Message(one) => one.render(screen, buf, theme),
            Self::Palette(one) => one.render(screen, buf, theme),
            Self::Sessions(one) => one.render(screen, buf, theme),
        }
    }

    /// What it is about, as it came: not sanitised.
    pub fn title(&self) -> String {
        match self {
            Self::Approval(one) => one.title(),
            Self::Confirm(one) => one.title().to_owned(),
            Self::Diff(one) => one.title().to_owned(),
            Self::Help(_) => "Help".to_owned(),
            Self::Message(one) => one.title().to_owned(),
            Self::Palette(_) => "Commands".to_owned(),
            Self::Sessions(_) => "Sessions".to_owned(),
        }
    }

    /// Where the terminal's cursor belongs, while something is typed.
    pub fn cursor(&self, screen: Rect) -> Option<Position> {
        match self {
            Self::Approval(one) => one.cursor(screen),
            Self::Help(one) => one.cursor(screen),
            Self::Palette(one) => one.cursor(screen),
            Self::Sessions(one) => one.cursor(screen),
            Self::Confirm(_) | Self::Diff(_) | Self::Message(_) => None,
        }
    }
}
