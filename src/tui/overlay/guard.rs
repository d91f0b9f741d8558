//! A question that opens while somebody types must not be answered by what they type:
//! keys count only once there has been a pause.

use std::time::{Duration, Instant};

use crossterm::event::KeyCode;

use crate::tui::keys::Key;

/// How long no key must have come.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// When it opened, or the last key came that did not count.
    quiet: Option<Instant>,
}

impl Guard {
    /// For what opened at this time.
    pub fn new(since: Instant) -> Self {
        Self { quiet: Some(since) }
    }

    /// Whether a key counts. Once one did, all do. Those that only stop always count:
    /// they are no text.
    pub fn lets_pass(&mut self, key: Key, now: Instant) -> bool {
        let Some(quiet) = self.quiet else {
            return true;
        };
        if key.code == KeyCode::Esc || key == Key::ctrl('c') {
            return true;
        }
        let passes = now.saturating_duration_since(quiet) >= PAUSE;
        self.quiet = (!passes).then_some(now);
        passes
    }
}
