//! Where messages, commands and shell lines are written. Keys change a text and come
//! to something that is sent; what that means is the application's matter. It knows no
//! files but those it was told of, and keeps no history but in memory.

mod editor;
mod history;
pub mod history_file;
mod keys;
mod letters;
mod mention;
mod menu;
mod offer;
mod paste;
mod rows;
#[cfg(test)]
mod rows_tests;
mod search;
mod send;
#[cfg(test)]
mod tests;
mod view;
mod walk;

use std::borrow::Cow;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyModifiers};

use editor::{Cut, Editor, Motion};
use history::History;
use menu::{Kind, Menu, Offer};
use paste::Pastes;
use rows::Rows;
use search::Search;

use crate::tui::keys::{Key, bound};
pub use keys::{Act, KEYS, MENU_KEYS, MenuAct, SEARCH_KEYS, SearchAct};

/// The width until the first layout.
const COLUMNS: usize = 80;

/// What the application has to do. Texts have pastes in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// For a new turn.
    Message(String),
    /// For the turn that runs, as soon as it can be read.
    Steer(String),
    /// For after the turn that runs.
    Queue(String),
    /// A slash command, the slash included.
    Command(String),
    /// What follows the `!`, for a shell.
    Shell(String),
    /// The draft (`text`) is to be opened in the user's editor; `set_text` brings back
    /// what came of it.
    External,
    /// The queued messages are to be put back here.
    Takeback,
    /// An earlier message is to be chosen and edited.
    EditEarlier,
}

impl Sent {
    /// What goes into the history's file, see [`history_file::encode`].
    pub fn kept(&self) -> Option<String> {
        match self {
            Self::Message(text) | Self::Steer(text) | Self::Queue(text) | Self::Command(text) => {
                Some(text.clone())
            }
            Self::Shell(line) => Some(format!("!{line}")),
            Self::External | Self::Takeback | Self::EditEarlier => None,
        }
    }
}

/// Whether a turn runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Busy {
    #[default]
    Idle,
    Working,
}

/// What the text is, by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Message,
    Command,
    Shell,
}

/// Whether the list of files or commands may open by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offering {
    Open,
    /// It was closed, or the text came from elsewhere.
    Dismissed,
}

pub struct Composer {
    editor: Editor,
    pastes: Pastes,
    history: History,
    search: Option<Search>,
    menu: Option<Menu>,
    offering: Offering,
    offers: Vec<Offer>,
    names: Arc<[String]>,
    files: Arc<[String]>,
    busy: Busy,
    queued: usize,
    /// Whether the last key was Esc, on nothing.
    escaped: bool,
    /// The column that steps up and down keep to.
    goal: Option<usize>,
    /// The text in rows, as of the last layout; `None` once it is another text.
    rows: Option<Rows>,
    columns: usize,
    top: usize,
}

impl Composer {
    /// With messages of before, oldest first.
    pub fn new(history: Vec<String>) -> Self {
        let mut composer = Self {
            editor: Editor::new(""),
            pastes: Pastes::default(),
            history: History::new(history),
            search: None,
            menu: None,
            offering: Offering::Open,
            offers: Vec::new(),
            names: Arc::from([]),
            files: Arc::from([]),
            busy: Busy::default(),
            queued: 0,
            escaped: false,
            goal: None,
            rows: None,
            columns: COLUMNS,
            top: 0,
        };
        composer.set_commands(&[]);
        composer
    }

    /// What is written, pastes in full.
    pub fn text(&self) -> String {
        self.pastes.expand(&self.editor.text())
    }

    /// Puts another text in place of what is written.
    pub fn set_text(&mut self, text: &str) {
        self.reset();
        let text = self.pastes.editable(&paste::harmless(text));
        self.editor = Editor::new(&text);
        self.offering = Offering::Dismissed;
    }

    /// Takes away what is written, or the search that is open; false if there was
    /// nothing. It can be brought back by undoing.
    pub fn clear(&mut self) -> bool {
        if self.search.is_some() {
            self.leave_search();
            return true;
        }
        let was_written = !self.editor.is_empty();
        self.editor.clear();
        self.history.stay();
        self.changed();
        was_written
    }

    pub fn is_empty(&self) -> bool {
        self.editor.is_empty()
    }

    pub fn set_busy(&mut self, busy: Busy) {
        self.busy = busy;
    }

    /// How many messages wait for the turn's end.
    pub fn set_queued(&mut self, queued: usize) {
        self.queued = queued;
    }

    /// Paths from the workspace, for `@`.
    pub fn set_files(&mut self, files: Arc<[String]>) {
        self.files = files;
        if let Some(menu) = self.menu.as_mut().filter(|menu| menu.kind == Kind::Files) {
            menu.picker.set_items(Arc::clone(&self.files));
        }
    }

    /// The user's own commands, by name and description.
    pub fn set_commands(&mut self, own: &[(String, String)]) {
        self.offers = menu::offers(own);
        self.names = self.offers.iter().map(|offer| offer.name.clone()).collect();
        self.menu = None;
    }

    /// Whether a list or the search is open, which Esc, Ctrl-P and Ctrl-N are for then.
    pub fn has_popup(&self) -> bool {
        self.search.is_some() || self.open_menu().is_some()
    }

    fn open_menu(&self) -> Option<&Menu> {
        self.menu.as_ref().filter(|menu| !menu.picker.is_empty())
    }

    fn manner(&self) -> Manner {
        let first = self
            .editor
            .lines()
            .first()
            .and_then(|line| line.chars().next());
        match first {
            Some('/') => Manner::Command,
            Some('!') => Manner::Shell,
            _ => Manner::Message,
        }
    }

    /// A bracketed paste. Long ones become a block.
    pub fn paste(&mut self, text: &str) {
        if self.search.is_some() {
            self.search_for(|wanted| wanted + text.trim_end().lines().next().unwrap_or(""));
            return;
        }
        let text = paste::harmless(text);
        if text.is_empty() {
            return;
        }
        let text = self.pastes.pasted(text);
        self.editor.insert(&text);
        self.history.stay();
        self.changed();
        self.offer();
    }

    /// What a key comes to, if it is more than another text.
    pub fn key(&mut self, key: Key) -> Option<Sent> {
        if self.search.is_some() {
            self.search_key(key);
            return None;
        }
        if self.open_menu().is_some()
            && let Some(action) = bound(MENU_KEYS, key)
        {
            return self.menu_act(action);
        }
        let action = bound(KEYS, key);
        if action != Some(Act::Escape) {
            self.escaped = false;
        }
        match action {
            Some(action) => self.act(action),
            None => {
                if let KeyCode::Char(c) = key.code
                    && key.modifiers == KeyModifiers::NONE
                    && !c.is_control()
                {
                    self.edit(|editor| {
                        editor.insert(paste::unblocked(c).encode_utf8(&mut [0; 4]));
                    });
                }
                None
            }
        }
    }

    fn act(&mut self, action: Act) -> Option<Sent> {
        match action {
            Act::Send => return self.send(),
            Act::Queue => return self.queue(),
            Act::Up => return self.up(),
            Act::Down => self.down(),
            Act::External => return Some(Sent::External),
            Act::Search => self.open_search(),
            Act::Escape => return self.escape(),
            Act::NewLine => self.edit(|editor| editor.insert("\n")),
            Act::Left => self.go(Motion::Left),
            Act::Right => self.go(Motion::Right),
            Act::WordLeft => self.go(Motion::WordLeft),
            Act::WordRight => self.go(Motion::WordRight),
            Act::LineStart => self.go(Motion::LineStart),
            Act::LineEnd => self.go(Motion::LineEnd),
            Act::Start => self.go(Motion::Start),
            Act::End => self.go(Motion::End),
            Act::Backspace => self.edit(|editor| editor.cut(Cut::Before)),
            Act::Delete => self.edit(|editor| editor.cut(Cut::After)),
            Act::DeleteWord => self.edit(|editor| editor.cut(Cut::WordBefore)),
            Act::DeleteNextWord => self.edit(|editor| editor.cut(Cut::WordAfter)),
            Act::DeleteToStart => self.edit(|editor| editor.cut(Cut::ToLineStart)),
            Act::DeleteToEnd => self.edit(|editor| editor.cut(Cut::ToLineEnd)),
            Act::Yank => self.edit(Editor::yank),
            Act::Undo => self.edit(Editor::undo),
            Act::Redo => self.edit(Editor::redo),
        }
        None
    }

    /// The text is another one: what was known of it is not any more.
    fn changed(&mut self) {
        self.rows = None;
        self.goal = None;
        self.menu = None;
        self.escaped = false;
    }

    /// Back to nothing.
    fn reset(&mut self) {
        self.editor = Editor::new("");
        self.pastes = Pastes::default();
        self.history.stay();
        self.search = None;
        self.offering = Offering::Open;
        self.changed();
    }

    fn edit(&mut self, change: impl FnOnce(&mut Editor)) {
        change(&mut self.editor);
        self.history.stay();
        self.rows = None;
        self.goal = None;
        self.offer();
    }

    fn go(&mut self, motion: Motion) {
        self.editor.go(motion);
        self.goal = None;
        self.menu = None;
    }

    /// The rows of the last layout; made anew for another width or text.
    fn rows_at(&self, columns: usize) -> Cow<'_, Rows> {
        match &self.rows {
            Some(rows) if rows.columns() == columns => Cow::Borrowed(rows),
            _ => Cow::Owned(Rows::new(self.editor.lines(), &self.pastes, columns)),
        }
    }
}
