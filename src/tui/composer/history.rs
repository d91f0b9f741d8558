//! What was sent before: walking through it, and searching it. The draft is kept
//! meanwhile, and comes back.

use super::editor::Editor;
use super::paste::{self, Pastes};

/// Messages kept in memory, and bytes of one.
const MOST: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct History {
    /// Oldest first.
    entries: Vec<String>,
    /// Where the walk is, and what was being written when it began.
    walk: Option<(usize, Editor)>,
}

impl History {
    pub fn new(entries: Vec<String>) -> Self {
        let kept = entries.iter().filter(|entry| entry.len() <= MOST_BYTES);
        let mut entries: Vec<String> = kept.map(|entry| paste::harmless(entry)).collect();
        let extra = entries.len().saturating_sub(MOST);
        entries.drain(..extra);
        Self {
            entries,
            walk: None,
        }
    }

    /// Keeps a message that was sent, and ends the walk. The same again is kept once,
    /// and a huge one not at all.
    pub fn push(&mut self, text: &str) {
        self.walk = None;
        let is_same = self.entries.last().is_some_and(|last| last == text);
        if text.trim().is_empty() || text.len() > MOST_BYTES || is_same {
            return;
        }
        self.entries.push(text.to_owned());
        if self.entries.len() > MOST {
            self.entries.remove(0);
        }
    }

    /// The message before the one that is shown; `draft` is kept.
    pub fn older(&mut self, draft: &mut Editor, pastes: &mut Pastes) -> bool {
        let at = match &self.walk {
            Some((at, _)) => at.checked_sub(1),
            None => self.entries.len().checked_sub(1),
        };
        let Some((at, entry)) = at.and_then(|at| Some((at, self.entries.get(at)?))) else {
            return false;
        };
        let before = std::mem::replace(draft, Editor::new(&pastes.editable(entry)));
        let kept = self.walk.take().map_or(before, |(_, kept)| kept);
        self.walk = Some((at, kept));
        true
    }

    /// The message after the one that is shown; after the last, the draft.
    pub fn newer(&mut self, shown: &mut Editor, pastes: &mut Pastes) -> bool {
        let Some((at, kept)) = self.walk.take() else {
            return false;
        };
        match self.entries.get(at + 1) {
            Some(entry) => {
                *shown = Editor::new(&pastes.editable(entry));
                self.walk = Some((at + 1, kept));
            }
            None => *shown = kept,
        }
        true
    }

    /// Ends the walk: what is shown is the draft from now on.
    pub fn stay(&mut self) {
        self.walk = None;
    }

    pub fn entry(&self, at: usize) -> Option<&str> {
        self.entries.get(at).map(String::as_str)
    }

    /// Numbers of the entries that have this in them, the newest first, each text once.
    pub fn matching(&self, wanted: &str) -> Vec<usize> {
        let wanted = wanted.to_lowercase();
        let mut seen = std::collections::BTreeSet::new();
        let numbered = self.entries.iter().enumerate().rev();
        numbered
            .filter(|(_, entry)| !wanted.is_empty() && entry.to_lowercase().contains(&wanted))
            .filter(|(_, entry)| seen.insert(entry.as_str()))
            .map(|(at, _)| at)
            .collect()
    }
}
