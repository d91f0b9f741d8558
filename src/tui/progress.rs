//! Something that takes a while, with how far it is, how fast and how long it will
//! take.

use std::time::{Duration, Instant};

use super::text;
use crate::agent::present::thousands;

/// Shorter waits are not worth a bar.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// Columns of a bar at most.
const BAR: usize = 24;
/// Rates are guesses before so much is done.
const SETTLED: Duration = Duration::from_millis(800);

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is being done, and what is counted.
    what: String,
    unit: &'static str,
    done: usize,
    total: usize,
    since: Instant,
}

impl Progress {
    pub fn new(what: impl Into<String>, unit: &'static str, since: Instant) -> Self {
        Self {
            what: what.into(),
            unit,
            done: 0,
            total: 0,
            since,
        }
    }

    pub fn set(&mut self, done: usize, total: usize) {
        self.done = done;
        self.total = total;
    }

    pub fn is_worth_a_line(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PATIENCE
    }

    /// One line of at most so many columns.
    pub fn line(&self, columns: usize, now: Instant) -> String {
        let passed = now.duration_since(self.since);
        if self.total == 0 {
            let line = format!("{} {} s", self.what, passed.as_secs());
            return text::fit(&line, columns);
        }
        let share = self.done as f64 / self.total as f64;
        let mut tail = format!(
            " {} of {} {}",
            thousands(self.done),
            thousands(self.total),
            self.unit
        );
        let rate = self.done as f64 / passed.as_secs_f64().max(1e-3);
        if passed >= SETTLED && self.done > 0 {
            let left = (self.total - self.done.min(self.total)) as f64 / rate;
            tail.push_str(&format!(", {rate:.0}/s, {} left", span(left)));
        }
        let room = columns.saturating_sub(text::width(&self.what) + text::width(&tail) + 2);
        let bar = match room.min(BAR) {
            room if room < 6 => String::new(),
            room => {
                let filled = ((share * room as f64) as usize).min(room);
                format!(" {}{}", "█".repeat(filled), "░".repeat(room - filled))
            }
        };
        text::fit(&format!("{}{bar}{tail}", self.what), columns)
    }
}

/// Seconds as people say them.
fn span(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_rate_and_time_left() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut progress = Progress::new("reading the prompt", "tokens", start);
        assert!(!progress.is_worth_a_line(at(100)) && progress.is_worth_a_line(at(400)));
        assert_eq!(progress.line(80, at(3000)), "reading the prompt 3 s");
        progress.set(1000, 4000);
        assert_eq!(
            progress.line(100, at(10_000)),
            "reading the prompt ██████░░░░░░░░░░░░░░░░░░ 1,000 of 4,000 tokens, 100/s, 30 s left"
        );
        assert_eq!(
            progress.line(40, at(500)),
            "reading the prompt 1,000 of 4,000 tokens"
                .chars()
                .take(40)
                .collect::<String>()
        );
    }
}
