//! The branches of a session, as the reasoning pane lists them, and which answers they
//! began with.

use super::app::{App, Place};
use super::trace;
use crate::agent::present::{one_line, title};
use crate::agent::session::path_to;
use crate::agent::{Branch, Entry, Kind};

/// Characters of what names a branch.
const LABEL: usize = 60;

impl App {
    pub(super) fn set_branches(&mut self, branches: Vec<Branch>) {
        let Some(place) = &mut self.place else { return };
        place.branches = branches;
        self.explorer.set_branches(place.listed());
    }

    /// The answer that an entry is, or with which the branch began that ends with it.
    pub(super) fn answer_of(&self, entry: u64) -> u64 {
        let place = self.place.as_ref();
        let answer = place.and_then(|place| place.answer_of(entry));
        answer.unwrap_or(entry)
    }
}

impl Place {
    fn listed(&self) -> Vec<trace::Branch> {
        let paths: Vec<Vec<u64>> = { self.branches.iter() }
            .map(|branch| ids(&path_to(&self.entries, Some(branch.entry))))
            .collect();
        let listed = self.branches.iter().enumerate().map(|(at, branch)| {
            let left = branch.parted.map(|parted| parted.entry);
            let holds = |other: &usize| {
                *other != at && left.is_some_and(|left| paths[*other].contains(&left))
            };
            trace::Branch {
                entry: branch.entry,
                parent: left.and_then(|_| (0..paths.len()).find(holds)),
                label: self.label(branch),
                parted: branch
                    .parted
                    .and_then(|parted| Some((parted.entry, parted.token?))),
                tokens: branch.tokens,
                head: branch.head,
            }
        });
        listed.collect()
    }

    fn label(&self, branch: &Branch) -> String {
        if !branch.put.is_empty() {
            // Most tokens begin with the space before their word.
            let words = branch.put.trim_start();
            let shown = if words.is_empty() { &branch.put } else { words };
            return one_line(shown, LABEL);
        }
        let message = branch.message.and_then(|id| self.entry(id));
        match message.map(|entry| &entry.kind) {
            Some(Kind::User { text, .. }) => title(text, LABEL),
            _ => "the beginning".to_owned(),
        }
    }

    fn answer_of(&self, entry: u64) -> Option<u64> {
        if matches!(self.entry(entry)?.kind, Kind::Assistant(_)) {
            return Some(entry);
        }
        let branch = self.branches.iter().find(|one| one.entry == entry)?;
        let path = path_to(&self.entries, Some(branch.entry));
        let answers = || {
            path.iter()
                .filter(|one| matches!(one.kind, Kind::Assistant(_)))
        };
        let own = match branch.parted {
            // Everything after the last fork is its own.
            Some(_) => {
                let fork = path
                    .iter()
                    .rfind(|one| matches!(one.kind, Kind::Fork { .. }))?;
                answers().find(|one| one.id > fork.id)
            }
            // What others left is what there is to compare.
            None => {
                let left = self
                    .branches
                    .iter()
                    .filter_map(|one| Some(one.parted?.entry));
                let left: Vec<u64> = left.collect();
                answers().find(|one| left.contains(&one.id))
            }
        };
        let answer = own.or_else(|| answers().next_back())?;
        Some(answer.id)
    }
}

fn ids(path: &[&Entry]) -> Vec<u64> {
    path.iter().map(|entry| entry.id).collect()
}
