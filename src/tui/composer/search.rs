//! The search through the history while it goes on: what is looked for, what matches,
//! and the draft that comes back if it is given up.

use super::editor::Editor;
use super::history::History;

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
