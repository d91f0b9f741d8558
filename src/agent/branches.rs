//! The branches of a session, for a list beside it.

use std::collections::BTreeMap;

use super::driver::Agent;
use super::entry::{Entry, Kind};
use super::session::path_to;

/// One way from a session's first entry to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its last entry, which names it.
    pub entry: u64,
    /// Where it left an older one; `None` for the first.
    pub parted: Option<Parted>,
    /// What was put there: the text of tokens, which is the model's or a user's.
    pub put: String,
    /// The entry of the user's message that it belongs to: the one whose turn was
    /// forked, or the last one.
    pub message: Option<u64>,
    /// It is the session's.
    pub head: bool,
    /// Since it parted: answers, and their tokens with those that stayed.
    pub answers: usize,
    pub tokens: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parted {
    /// The answer that was forked; else the last entry in common, 0 if there is none.
    pub entry: u64,
    /// How many of the answer's tokens stayed; `None` where no answer was forked.
    pub token: Option<usize>,
}

impl Agent {
    /// All branches, in the order in which they were gone on with last.
    pub fn branches(&self) -> Vec<Branch> {
        branches(self.session.journal().entries(), &|ids| self.text_of(ids))
    }

    fn text_of(&self, ids: &[u32]) -> String {
        let bytes = |id: &u32| self.model.tokenizer.token_bytes(*id).unwrap_or_default();
        let bytes: Vec<u8> = ids.iter().flat_map(bytes).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The branches of a log. `text` says what tokens are.
pub fn branches(entries: &[Entry], text: &dyn Fn(&[u32]) -> String) -> Vec<Branch> {
    let head = entries.last().map(|last| last.id);
    let mut first = BTreeMap::new();
    for entry in entries {
        first.entry(entry.parent).or_insert(entry.id);
    }
    let ends = entries.iter().filter(|e| !first.contains_key(&Some(e.id)));
    let branch = |end: &Entry| {
        let path = path_to(entries, Some(end.id));
        // A fork that nothing else follows beside it only made that entry the head.
        let parts = |entry: &&Entry| match &entry.kind {
            Kind::Fork { opening, .. } => {
                opening.is_some() || first.get(&entry.parent) != Some(&entry.id)
            }
            _ => false,
        };
        let at = path.iter().rposition(parts);
        let (before, own) = path.split_at(at.map_or(0, |at| at + 1));
        let opening = match before.last().map(|entry| &entry.kind) {
            Some(Kind::Fork { opening, .. }) => opening.as_ref(),
            _ => None,
        };
        let answers = own.iter().filter_map(|entry| match &entry.kind {
            Kind::Assistant(answer) => Some(answer.ids.len()),
            _ => None,
        });
        Branch {
            entry: end.id,
            parted: before.last().map(|fork| Parted {
                entry: opening.map_or(fork.parent.unwrap_or(0), |opening| opening.of),
                token: opening.map(|opening| opening.kept),
            }),
            put: opening.map_or(String::new(), |opening| text(&opening.ids)),
            message: match opening {
                Some(_) => message(before),
                None => message(&path),
            },
            head: head == Some(end.id),
            answers: answers.clone().count(),
            tokens: answers.sum(),
        }
    };
    ends.map(branch).collect()
}

/// The last user's message of a path.
fn message(path: &[&Entry]) -> Option<u64> {
    let mut entries = path.iter().rev();
    let last = entries.find(|entry| matches!(entry.kind, Kind::User { .. }));
    last.map(|entry| entry.id)
}
