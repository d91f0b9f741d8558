//! Where messages, commands and shell lines are written. Keys change a text and come
//! to something that is sent; what that means is the application's matter. It knows no
//! files but those it was told of, and keeps no history but in memory.

mod editor;
mod history;
pub mod history_file;
mod keys;
mod mention;
mod menu;
mod paste;
mod rows;
mod search;
mod view;

use std::borrow::Cow;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyModifiers};

use editor::{Cut, Editor, Motion};
use history::History;
use menu::{Kind, Menu, Needs, Offer};
use paste::Pastes;
use rows::Rows;
use search::Search;

use crate::tui::keys::{Key, bound};
use crate::tui::overlay::picker;
pub use keys::{Act, KEYS, MENU_KEYS, MenuAct, SEARCH_KEYS, SearchAct};

/// More characters, or lines, of a text that is set are one block.
const MOST_CHARACTERS: usize = 100_000;
const MOST_LINES: usize = 10_000;
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
        let text = paste::harmless(text);
        let is_long =
            text.chars().nth(MOST_CHARACTERS).is_some() || text.lines().nth(MOST_LINES).is_some();
        self.editor = match is_long {
            false => Editor::new(&text),
            true => {
                let block = self.pastes.keep(text).map(String::from);
                Editor::new(&block.unwrap_or_default())
            }
        };
        self.offering = Offering::Dismissed;
    }

    /// Takes away what is written, and whatever is open; false if there was nothing.
    /// It can be brought back by undoing.
    pub fn clear(&mut self) -> bool {
        let was_open = self.has_popup();
        if let Some(search) = self.search.take() {
            self.editor = search.into_draft();
        }
        let was_written = !self.editor.is_empty();
        self.editor.clear();
        self.history.stay();
        self.changed();
        was_open || was_written
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
        match paste::is_long(&text) {
            false => self.editor.insert(&text),
            true => {
                if let Some(block) = self.pastes.keep(text) {
                    self.editor.insert(block.encode_utf8(&mut [0; 4]));
                }
            }
        }
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
        let escaped = std::mem::take(&mut self.escaped);
        match bound(KEYS, key) {
            Some(Act::Escape) => self.escape(escaped),
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
            Act::Search => {
                let draft = std::mem::replace(&mut self.editor, Editor::new(""));
                self.search = Some(Search::new(draft));
                self.show_found();
            }
            Act::Escape => {}
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

    fn escape(&mut self, escaped: bool) -> Option<Sent> {
        if !self.editor.is_empty() {
            return None;
        }
        self.escaped = !escaped;
        escaped.then_some(Sent::EditEarlier)
    }

    fn send(&mut self) -> Option<Sent> {
        let (before, after) = self.editor.around();
        if before.ends_with('\\') && after.is_empty() {
            self.edit(|editor| editor.replace_before(1, "\n"));
            return None;
        }
        let manner = self.manner();
        let text = self.whole()?;
        let sent = match manner {
            Manner::Command => Sent::Command(text),
            Manner::Shell => match text.trim_start_matches('!').trim() {
                "" => return None,
                line => Sent::Shell(line.to_owned()),
            },
            Manner::Message => match self.busy {
                Busy::Idle => Sent::Message(text),
                Busy::Working => Sent::Steer(text),
            },
        };
        self.sent(sent)
    }

    fn queue(&mut self) -> Option<Sent> {
        match (self.busy, self.manner()) {
            (Busy::Working, Manner::Message) => {
                let text = self.whole()?;
                self.sent(Sent::Queue(text))
            }
            (Busy::Working, Manner::Command | Manner::Shell) | (Busy::Idle, _) => None,
        }
    }

    /// The text to be sent; `None` where there is nothing but white space.
    fn whole(&self) -> Option<String> {
        let text = self.text();
        let text = text.trim_end().trim_start_matches('\n');
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn sent(&mut self, sent: Sent) -> Option<Sent> {
        self.history.push(&sent.kept().unwrap_or_default());
        self.reset();
        Some(sent)
    }

    fn up(&mut self) -> Option<Sent> {
        if self.editor.is_empty() && self.queued > 0 {
            return Some(Sent::Takeback);
        }
        if !self.step(|row| row.checked_sub(1)) && self.history.older(&mut self.editor) {
            self.recalled();
            // The next step up is to the message before.
            let end = (0, usize::MAX);
            let rows = self.rows_at(self.columns);
            let place = rows.place(self.editor.lines(), &self.pastes, end);
            self.editor.go_to(place);
        }
        None
    }

    fn down(&mut self) {
        if !self.step(|row| row.checked_add(1)) && self.history.newer(&mut self.editor) {
            self.recalled();
        }
    }

    /// A message of before is shown: nothing is offered for it.
    fn recalled(&mut self) {
        self.changed();
        self.offering = Offering::Dismissed;
    }

    /// Moves to another row, as near to the same column as can be; false where there
    /// is no such row.
    fn step(&mut self, to: impl FnOnce(usize) -> Option<usize>) -> bool {
        let rows = self.rows_at(self.columns);
        let lines = self.editor.lines();
        let (row, column) = rows.cell(lines, &self.pastes, self.editor.cursor());
        let column = self.goal.unwrap_or(column);
        let Some(row) = to(row).filter(|row| *row < rows.len()) else {
            return false;
        };
        let place = rows.place(lines, &self.pastes, (row, column));
        self.editor.go_to(place);
        self.goal = Some(column);
        self.menu = None;
        true
    }

    /// The rows of the last layout; made anew for another width or text.
    fn rows_at(&self, columns: usize) -> Cow<'_, Rows> {
        match &self.rows {
            Some(rows) if rows.columns() == columns => Cow::Borrowed(rows),
            _ => Cow::Owned(Rows::new(self.editor.lines(), &self.pastes, columns)),
        }
    }

    fn search_key(&mut self, key: Key) {
        match bound(SEARCH_KEYS, key) {
            Some(SearchAct::Older) => self.search_step(Search::older),
            Some(SearchAct::Newer) => self.search_step(Search::newer),
            Some(SearchAct::Take) => self.take_found(),
            Some(SearchAct::Leave) => {
                if let Some(search) = self.search.take() {
                    self.editor = search.into_draft();
                }
                self.recalled();
            }
            Some(SearchAct::Backspace) => self.search_for(|mut wanted| {
                wanted.pop();
                wanted
            }),
            Some(SearchAct::Clear) => self.search_for(|_| String::new()),
            None => match key.code {
                KeyCode::Char(c) if key.modifiers == KeyModifiers::NONE && !c.is_control() => {
                    self.search_for(|wanted| wanted + c.encode_utf8(&mut [0; 4]));
                }
                // Whatever else edits edits what was found.
                _ if bound(KEYS, key).is_some() => {
                    self.take_found();
                    self.key(key);
                }
                _ => {}
            },
        }
    }

    fn search_step(&mut self, step: impl FnOnce(&mut Search)) {
        if let Some(search) = &mut self.search {
            step(search);
        }
        self.show_found();
    }

    fn search_for(&mut self, change: impl FnOnce(String) -> String) {
        if let Some(search) = &mut self.search {
            let wanted = change(search.wanted().to_owned());
            search.look_for(wanted, &self.history);
        }
        self.show_found();
    }

    /// Shows what was found, or nothing.
    fn show_found(&mut self) {
        let found = self.search.as_ref().and_then(Search::found);
        let text = found.and_then(|at| self.history.entry(at)).unwrap_or("");
        self.editor = Editor::new(text);
        self.changed();
    }

    /// Goes on with what was found; with the draft where that is nothing.
    fn take_found(&mut self) {
        if let Some(search) = self.search.take()
            && search.found().is_none()
        {
            self.editor = search.into_draft();
        }
        self.history.stay();
        self.recalled();
    }

    /// Opens, narrows or closes the list by what is before the cursor.
    fn offer(&mut self) {
        let (before, _) = self.editor.around();
        let Some((kind, typed)) = menu::wanted(before, self.editor.lines().len()) else {
            self.menu = None;
            self.offering = Offering::Open;
            return;
        };
        if self.offering == Offering::Dismissed {
            self.menu = None;
            return;
        }
        let open = self.menu.take().filter(|menu| menu.kind == kind);
        let items = match kind {
            Kind::Files => &self.files,
            Kind::Commands => &self.names,
        };
        let mut menu = open.unwrap_or_else(|| Menu::new(kind, Arc::clone(items)));
        menu.filter(typed);
        self.menu = Some(menu);
    }

    fn menu_act(&mut self, action: MenuAct) -> Option<Sent> {
        let menu = self.menu.as_mut()?;
        match action {
            MenuAct::Up => menu.picker.act(picker::Act::Up),
            MenuAct::Down => menu.picker.act(picker::Act::Down),
            MenuAct::PageUp => menu.picker.act(picker::Act::PageUp),
            MenuAct::PageDown => menu.picker.act(picker::Act::PageDown),
            MenuAct::Complete => self.complete(),
            MenuAct::Take => return self.take(),
            MenuAct::Close => self.dismiss(),
        }
        None
    }

    fn dismiss(&mut self) {
        self.menu = None;
        self.offering = Offering::Dismissed;
    }

    /// Writes what is chosen in place of what was typed of it.
    fn complete(&mut self) {
        let Some(menu) = self.menu.take() else {
            return;
        };
        let Some(text) = menu.written() else {
            self.dismiss();
            return;
        };
        let typed = menu.typed.chars().count();
        self.edit(|editor| editor.replace_before(typed, &text));
    }

    /// Enter on the list: a command that needs no more is sent, and so is a text that
    /// already says what is chosen.
    fn take(&mut self) -> Option<Sent> {
        let menu = self.menu.as_ref()?;
        let is_whole = match menu.kind {
            Kind::Files => menu
                .written()
                .is_some_and(|text| text.trim_end() == menu.typed),
            Kind::Commands => {
                let chosen = menu.picker.selected().and_then(|at| self.offers.get(at));
                chosen.is_some_and(|offer| offer.needs == Needs::Nothing)
                    && self.editor.around().1.trim().is_empty()
            }
        };
        if !is_whole || menu.kind == Kind::Commands {
            self.complete();
        }
        match is_whole {
            true => self.send(),
            false => None,
        }
    }
}
