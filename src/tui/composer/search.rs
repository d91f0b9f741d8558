//! The search through the history while it goes on: what is looked for, what matches,
//! and the draft that comes back if it is given up.

use crossterm::event::{KeyCode, KeyModifiers};

use super::Composer;
use super::editor::Editor;
use super::history::History;
use super::keys::{KEYS, SEARCH_KEYS, SearchAct};
use crate::tui::keys::{Key, bound};

#[derive(Debug)]
pub struct Search {
    wanted: String,
    /// Entries of the history, the newest first.
    matching: Vec<usize>,
    /// Of `matching`.
    at: usize,
    draft: Editor,
}

impl Search {
    pub fn new(draft: Editor) -> Self {
        Self {
            wanted: String::new(),
            matching: Vec::new(),
            at: 0,
            draft,
        }
    }

    pub fn wanted(&self) -> &str {
        &self.wanted
    }

    /// `2 of 5`; what there is to say where nothing matches.
    pub fn count(&self) -> String {
        match (self.wanted.is_empty(), self.matching.len()) {
            (true, _) => String::new(),
            (false, 0) => "nothing matches".to_owned(),
            (false, matching) => format!("{} of {matching}", self.at + 1),
        }
    }

    pub fn look_for(&mut self, wanted: String, history: &History) {
        self.matching = history.matching(&wanted);
        self.wanted = wanted;
        self.at = 0;
    }

    pub fn older(&mut self) {
        let last = self.matching.len().saturating_sub(1);
        self.at = (self.at + 1).min(last);
    }

    pub fn newer(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// The entry that is shown.
    pub fn found(&self) -> Option<usize> {
        self.matching.get(self.at).copied()
    }

    pub fn into_draft(self) -> Editor {
        self.draft
    }
}

impl Composer {
    pub(super) fn open_search(&mut self) {
        let draft = std::mem::replace(&mut self.editor, Editor::new(""));
        self.search = Some(Search::new(draft));
        self.show_found();
    }

    pub(super) fn search_key(&mut self, key: Key) {
        match bound(SEARCH_KEYS, key) {
            Some(SearchAct::Older) => self.search_step(Search::older),
            Some(SearchAct::Newer) => self.search_step(Search::newer),
            Some(SearchAct::Take) => self.take_found(),
            Some(SearchAct::Leave) => self.leave_search(),
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

    /// Back to the draft.
    pub(super) fn leave_search(&mut self) {
        if let Some(search) = self.search.take() {
            self.editor = search.into_draft();
        }
        self.recalled();
    }

    fn search_step(&mut self, step: impl FnOnce(&mut Search)) {
        if let Some(search) = &mut self.search {
            step(search);
        }
        self.show_found();
    }

    pub(super) fn search_for(&mut self, change: impl FnOnce(String) -> String) {
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
        self.editor = Editor::new(&self.pastes.editable(text));
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
}
