//! What a command prints, on its way to the front end while it runs: whole characters,
//! in few pieces, and no more than somebody would read. The call's result is another
//! matter, and has its own bounds.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::driver::Agent;
use super::event::{Event, Front};
use crate::generate::{Cancel, Utf8Stream};
use crate::tools::{Call, Outcome};

/// Bytes of one call's output that are passed on.
const MOST: usize = 64 * 1024;
/// Between two pieces.
const INTERVAL: Duration = Duration::from_millis(50);

impl Agent {
    /// Runs a call; the front end hears what it prints under `id`, and undo knows what it
    /// changes by `change`.
    pub(super) fn run_live(
        &self,
        (id, change): (&str, Option<u64>),
        call: &Call,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Outcome {
        let live = RefCell::new((Live::default(), front));
        let tell = |text: Option<String>, front: &mut dyn Front| {
            if let Some(text) = text {
                let id = id.to_owned();
                front.event(&Event::ToolOutput { id, text });
            }
        };
        let printed = |bytes: &[u8]| {
            let (live, front) = &mut *live.borrow_mut();
            live.push(bytes);
            tell(live.due(Instant::now()), *front);
        };
        // Asked every few milliseconds, so what was held back is not held for long.
        let cancelled = || {
            let (live, front) = &mut *live.borrow_mut();
            tell(live.due(Instant::now()), *front);
            cancel.is_cancelled()
        };
        let outcome = self.toolbox.run_as(change, call, &cancelled, &printed);
        let (mut live, front) = live.into_inner();
        tell(live.finish(), front);
        outcome
    }
}

/// Output of one command that nobody has been told of yet.
#[derive(Default)]
struct Live {
    characters: Utf8Stream,
    held: String,
    /// Bytes of text so far.
    taken: usize,
    told: Option<Instant>,
}

impl Live {
    fn push(&mut self, bytes: &[u8]) {
        let text = self.characters.push(bytes);
        self.hold(&text);
    }

    /// As much as there is room for.
    fn hold(&mut self, text: &str) {
        let room = MOST.saturating_sub(self.taken).min(text.len());
        let end = (0..=room).rev().find(|&at| text.is_char_boundary(at));
        let kept = &text[..end.unwrap_or(0)];
        self.held.push_str(kept);
        self.taken = match kept.len() == text.len() {
            true => self.taken + kept.len(),
            // Nothing follows what is left out.
            false => MOST,
        };
    }

    /// What is to be told, if it is time to.
    fn due(&mut self, now: Instant) -> Option<String> {
        let waits = { self.told }.is_some_and(|told| now.duration_since(told) < INTERVAL);
        if waits || self.held.is_empty() {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.held))
    }

    /// The command is over: the rest.
    fn finish(&mut self) -> Option<String> {
        let tail = self.characters.finish();
        self.hold(&tail);
        (!self.held.is_empty()).then(|| std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters_and_few() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut live = Live::default();
        assert_eq!(live.due(at(0)), None);
        live.push("a\u{e9}".as_bytes().split_at(2).0);
        assert_eq!(live.due(at(0)).as_deref(), Some("a"));
        live.push(b"\xa9b");
        assert_eq!(live.due(at(49)), None, "held back");
        live.push(b"c");
        assert_eq!(live.due(at(50)).as_deref(), Some("\u{e9}bc"));
        live.push(b"d\xe2\x82");
        assert_eq!(live.finish().as_deref(), Some("d\u{fffd}"));
        assert_eq!(live.finish(), None);
    }

    #[test]
    fn a_flood_is_cut() {
        let mut live = Live::default();
        live.push(&vec![b'x'; MOST - 1]);
        live.push("\u{e9}y".as_bytes());
        live.push(b"z");
        assert_eq!(live.finish(), Some("x".repeat(MOST - 1)));
    }
}
