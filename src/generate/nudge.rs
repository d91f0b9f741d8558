//! What the user does to the reasoning of an answer while it is written: it is closed
//! now, or may take longer. What was done at which token is part of the answer, so that
//! the same answer can be computed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

/// What the user wants of the reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingKey {
    /// The span that is open is closed.
    Close,
    /// The answer may have so many more tokens of reasoning.
    More(usize),
}

/// What was done, before the answer's token `at` (from 0) was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    pub at: usize,
    pub what: ThinkingKey,
}

/// A handle to the reasoning of whatever answer is being written. Clones are the same
/// handle.
#[derive(Clone, Debug, Default)]
pub struct ThinkingKeys(Arc<Pressed>);

#[derive(Debug, Default)]
struct Pressed {
    close: AtomicBool,
    more: AtomicUsize,
}

impl ThinkingKeys {
    /// Closes the reasoning from the next token on; without any, nothing happens.
    pub fn close_thinking(&self) {
        self.0.close.store(true, Ordering::Relaxed);
    }

    /// Lets the reasoning go on for so many more tokens than it was to have.
    pub fn more_thinking(&self, tokens: usize) {
        let add = |more: usize| Some(more.saturating_add(tokens));
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        // It always adds, so it can't fail.
        let _ = self.0.more.fetch_update(set, get, add);
    }

    /// Forgets what was pressed: it was not meant for the next answer.
    pub fn release(&self) {
        self.take();
    }

    /// What was pressed since this was last asked.
    pub(super) fn take(&self) -> [Option<ThinkingKey>; 2] {
        let more = self.0.more.swap(0, Ordering::Relaxed);
        let close = self.0.close.swap(false, Ordering::Relaxed);
        [
            (more > 0).then_some(ThinkingKey::More(more)),
            close.then_some(ThinkingKey::Close),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_are_taken_once_and_add_up() {
        let keys = ThinkingKeys::default();
        assert_eq!(keys.take(), [None, None]);
        let held = keys.clone();
        held.more_thinking(3);
        held.close_thinking();
        held.more_thinking(4);
        let both = [Some(ThinkingKey::More(7)), Some(ThinkingKey::Close)];
        assert_eq!(keys.take(), both);
        held.more_thinking(usize::MAX);
        held.more_thinking(1);
        assert_eq!(keys.take()[0], Some(ThinkingKey::More(usize::MAX)));
        held.close_thinking();
        keys.release();
        assert_eq!(keys.take(), [None, None]);
    }

    #[test]
    fn a_log_says_what_was_done_where() {
        let nudges = [
            (ThinkingKey::Close, r#"{"at":5,"what":"close"}"#),
            (ThinkingKey::More(256), r#"{"at":5,"what":{"more":256}}"#),
        ];
        for (what, json) in nudges {
            let nudge = Nudge { at: 5, what };
            assert_eq!(serde_json::to_string(&nudge).unwrap(), json);
            assert_eq!(serde_json::from_str::<Nudge>(json).unwrap(), nudge);
        }
    }
}
