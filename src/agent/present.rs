//! How events look on a line-based terminal: pure text, shared by the front
//! ends that print lines. Everything from a model or a tool is sanitised here.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::sandbox::sanitize;
use crate::tools::Background;

/// Shown characters of one argument, and lines of one tool result.
const ARGUMENT: usize = 60;
const RESULT_LINES: usize = 6;
const RESULT_WIDTH: usize = 160;

/// Whether escape codes may be used on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Ansi,
}

impl Style {
    /// ANSI on a terminal, unless `NO_COLOR` or `TERM` says otherwise.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match stream.is_terminal() && !set("NO_COLOR") && !dumb {
            true => Self::Ansi,
            false => Self::Plain,
        }
    }

    pub fn dim(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[2m{text}\x1b[0m"),
        }
    }

    pub fn bold(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[1m{text}\x1b[0m"),
        }
    }
}

/// `name(argument=value, ...)` on one line.
pub fn call_line(name: &str, arguments: &Map<String, Value>) -> String {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            format!("{}={}", one_line(key, ARGUMENT), one_line(&value, ARGUMENT))
        })
        .collect();
    format!("{}({})", one_line(name, ARGUMENT), arguments.join(", "))
}

/// `name(argument=value, ...)`, nothing left out; for files, not for terminals.
pub fn whole_call(name: &str, arguments: &Map<String, Value>) -> String {
    let arguments = arguments
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    format!("{name}({})", arguments.collect::<Vec<_>>().join(", "))
}

/// The first lines of a tool result, and how many more there are.
pub fn result_lines(output: &str) -> Vec<String> {
    let mut lines: Vec<String> = output
        .lines()
        .take(RESULT_LINES)
        .map(|line| one_line(line, RESULT_WIDTH))
        .collect();
    let more = output.lines().count().saturating_sub(RESULT_LINES);
    if more > 0 {
        lines.push(format!("... {more} more lines"));
    }
    lines
}

/// The beginning of a text, on one line.
pub fn one_line(text: &str, width: usize) -> String {
    let mut short: String = text.chars().take(width).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    sanitize::for_line(&short).into_owned()
}

/// The beginning of a message, as a title: its words on one line.
pub fn title(text: &str, width: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().take(width).collect();
    one_line(&words.join(" "), width)
}

/// A command in the background, with how it does.
pub fn background_line(command: &Background) -> String {
    let Background {
        id,
        command,
        end,
        age,
    } = command;
    match end {
        Some(end) => format!("background command {id} has ended {end}: {command}"),
        None => format!(
            "background command {id} runs for {} s: {command}",
            age.as_secs()
        ),
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Decides when waiting is worth a line: after half a second, then at most ten
/// times a second on a terminal, once elsewhere.
#[derive(Debug, Default)]
pub struct Progress {
    started: Option<Instant>,
    shown: Option<Instant>,
}

impl Progress {
    pub const PATIENCE: Duration = Duration::from_millis(500);
    const INTERVAL: Duration = Duration::from_millis(100);

    /// What to write to a stream of this `style` now, if anything.
    pub fn update(
        &mut self,
        (done, total): (usize, usize),
        style: Style,
        now: Instant,
    ) -> Option<String> {
        let started = *self.started.get_or_insert(now);
        if done >= total {
            return self.finish(style);
        }
        let due = match (self.shown, style) {
            (None, _) => now.duration_since(started) >= Self::PATIENCE,
            (Some(_), Style::Plain) => false,
            (Some(shown), Style::Ansi) => now.duration_since(shown) >= Self::INTERVAL,
        };
        if !due {
            return None;
        }
        self.shown = Some(now);
        Some(match style {
            Style::Plain => format!("reading the prompt: {} tokens\n", thousands(total)),
            Style::Ansi => {
                let filled = done * 20 / total.max(1);
                let rate = done as f64 / now.duration_since(started).as_secs_f64().max(1e-3);
                format!(
                    "\r\x1b[2Kreading the prompt [{}{}] {} of {} tokens ({rate:.0}/s)",
                    "#".repeat(filled),
                    ".".repeat(20 - filled),
                    thousands(done),
                    thousands(total)
                )
            }
        })
    }

    /// The wait is over: what takes the line away again.
    pub fn finish(&mut self, style: Style) -> Option<String> {
        self.started = None;
        let shown = self.shown.take().is_some();
        (shown && style == Style::Ansi).then(|| "\r\x1b[2K".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_and_results_are_short_and_harmless() {
        let arguments = json!({"path": "a\u{1b}[2Jb\nc", "n": 3, "content": "x".repeat(100)});
        let line = call_line("write_file", arguments.as_object().unwrap());
        assert!(line.starts_with("write_file(path=a␛[2Jb␊c, n=3, content=xxx"));
        assert!(line.ends_with("x…)") && line.chars().count() < 120);
        let lines = result_lines("1\n2\x07\n3\n4\n5\n6\n7\n8");
        assert_eq!(lines, ["1", "2␇", "3", "4", "5", "6", "... 2 more lines"]);
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn progress_waits_half_a_second_and_cleans_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut progress = Progress::default();
        let step = |done| (done, 100);
        assert_eq!(progress.update(step(0), Style::Ansi, at(0)), None);
        assert_eq!(progress.update(step(10), Style::Ansi, at(400)), None);
        let shown = progress.update(step(50), Style::Ansi, at(600)).unwrap();
        assert!(
            shown.contains("[##########..........] 50 of 100"),
            "{shown}"
        );
        assert_eq!(progress.update(step(51), Style::Ansi, at(650)), None);
        let gone = progress.update(step(100), Style::Ansi, at(700)).unwrap();
        assert_eq!(gone, "\r\x1b[2K");

        assert_eq!(progress.update(step(0), Style::Plain, at(0)), None);
        let line = progress.update(step(1), Style::Plain, at(500)).unwrap();
        assert_eq!(line, "reading the prompt: 100 tokens\n");
        assert_eq!(progress.update(step(2), Style::Plain, at(5000)), None);
        assert_eq!(progress.update(step(100), Style::Plain, at(6000)), None);
    }
}
