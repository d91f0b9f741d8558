//! A call of a tool as a card: what it is about in one line, how it does, and what
//! came of it.

use std::time::{Duration, Instant};

use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use super::item::{Fold, For};
use super::output::{self, End};
use super::summary::summary;
use crate::agent::ToolResult;
use crate::tui::text::{Row, diff, fit, line_width, width};
use crate::tui::theme::Role;

/// Bytes of a running command's output that are kept.
const LIVE: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// Since then, where that is known.
    Running(Option<Instant>),
    Ok,
    Failed,
    Refused,
    /// The turn ended before.
    NotRun,
    /// It was running when the session was left; what came of it is told when the turn
    /// goes on.
    Left,
    /// The turn ended in the middle.
    CutOff,
}

pub(super) struct Card {
    pub id: String,
    name: String,
    arguments: Map<String, Value>,
    pub state: State,
    took: Option<Duration>,
    /// What came of it, or what it has printed so far.
    output: String,
    /// A unified diff of what it changed.
    diff: Option<String>,
}

/// What a card shows below its first line.
enum Detail<'a> {
    Nothing,
    /// The beginning is what matters.
    Text(&'a str),
    /// The end is.
    Log(&'a str),
    Diff(std::borrow::Cow<'a, str>),
}

impl Card {
    pub fn new(id: &str, name: &str, arguments: &Map<String, Value>) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.clone(),
            state: State::Waiting,
            took: None,
            output: String::new(),
            diff: None,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub fn is_final(&self) -> bool {
        match self.state {
            State::Waiting | State::Running(_) | State::Left => false,
            State::Ok | State::Failed | State::Refused | State::NotRun | State::CutOff => true,
        }
    }

    /// The time counts from when it was first seen running, if nothing else is known.
    pub fn started(&mut self, now: Option<Instant>) {
        if let State::Running(since) = &mut self.state {
            *since = since.or(now);
        }
    }

    pub fn seconds(&self, now: Option<Instant>) -> u64 {
        self.elapsed(now).map_or(0, |elapsed| elapsed.as_secs())
    }

    fn elapsed(&self, now: Option<Instant>) -> Option<Duration> {
        match (self.state, now) {
            (State::Running(Some(since)), Some(now)) => Some(now.saturating_duration_since(since)),
            _ => None,
        }
    }

    pub fn finish(&mut self, result: &ToolResult, now: Option<Instant>) {
        self.took = self.elapsed(now);
        self.state = match (result.ok, result.refused) {
            (true, _) => State::Ok,
            (false, true) => State::Refused,
            (false, false) => State::Failed,
        };
        self.output.clone_from(&result.output);
    }

    /// The turn is over.
    pub fn give_up(&mut self) {
        self.state = match self.state {
            State::Waiting => State::NotRun,
            State::Running(_) | State::Left => State::CutOff,
            ended => ended,
        };
    }

    /// The session is from the log: nothing runs.
    pub fn leave(&mut self) {
        if self.is_running() {
            self.state = State::Left;
        }
    }

    /// More that it printed while it runs.
    pub fn print(&mut self, text: &str) {
        if self.is_final() {
            return;
        }
        self.output.push_str(text);
        if self.output.len() > 2 * LIVE {
            let from = self.output.len() - LIVE;
            let cut = (from..).find(|at| self.output.is_char_boundary(*at));
            self.output.drain(..cut.unwrap_or(from));
        }
    }

    pub fn change(&mut self, diff: &str) {
        self.diff = Some(diff.to_owned());
    }

    pub fn source(&self) -> String {
        match self.output.is_empty() {
            true => summary(&self.name, &self.arguments),
            false => self.output.clone(),
        }
    }

    /// About how many rows it has.
    pub fn about(&self, fold: Fold) -> usize {
        match fold {
            Fold::Folded => 1 + self.output.lines().take(output::LINES + 1).count(),
            Fold::Open => 1 + self.output.lines().count(),
        }
    }

    pub fn rows(&self, target: For, fold: Fold) -> Vec<Row> {
        let mut rows = vec![self.first_row(target)];
        rows.extend(match self.detail() {
            Detail::Nothing => Vec::new(),
            Detail::Text(text) => output::rows(text, End::Head, target, fold),
            Detail::Log(text) => output::rows(text, End::Tail, target, fold),
            Detail::Diff(text) => output::diff_rows(&text, target, fold),
        });
        rows
    }

    fn detail(&self) -> Detail<'_> {
        if self.state == State::Ok {
            if let Some(text) = self.own_diff() {
                return Detail::Diff(text);
            }
        } else if let (State::Running(_), Some(text)) = (self.state, &self.diff) {
            return Detail::Diff(text.into());
        }
        match self.name.as_str() {
            _ if self.output.trim().is_empty() => Detail::Nothing,
            "git" if self.output.contains("\n@@ -") => Detail::Diff((&self.output).into()),
            _ if self.is_running() => Detail::Log(&self.output),
            "run_command" | "command_output" => Detail::Log(&self.output),
            _ => Detail::Text(&self.output),
        }
    }

    /// What it changed in a file: as it was told, or else by what it was asked for.
    fn own_diff(&self) -> Option<std::borrow::Cow<'_, str>> {
        if let Some(text) = &self.diff {
            return Some(text.into());
        }
        let (old, new) = match self.name.as_str() {
            "edit_file" => (self.text("old")?, self.text("new")?),
            "write_file" => ("", self.text("content")?),
            _ => return None,
        };
        Some(diff::between(old, new).into())
    }

    fn text(&self, argument: &str) -> Option<&str> {
        self.arguments.get(argument)?.as_str()
    }

    fn first_row(&self, target: For) -> Row {
        let theme = target.theme;
        let (icon, role, word) = match self.state {
            State::Waiting => ("○", Role::Dim, "waiting"),
            State::Running(_) => ("◐", Role::Hint, "running"),
            State::Ok => ("✓", Role::Good, ""),
            State::Failed => ("✗", Role::Bad, "failed"),
            State::Refused => ("⊘", Role::Warning, "refused"),
            State::NotRun => ("–", Role::Dim, "not run"),
            State::Left | State::CutOff => ("✗", Role::Bad, "cut off"),
        };
        let time = match self.elapsed(target.now).or(self.took) {
            Some(time) if self.is_running() => format!("{} s", time.as_secs()),
            Some(time) if time.as_millis() >= 100 => duration(time),
            Some(_) | None => String::new(),
        };
        let words = [word, &time];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let end = match words.is_empty() {
            true => String::new(),
            false => format!(" · {}", words.join(" ")),
        };
        let name = fit(&self.name, 24.min(target.columns.saturating_sub(2)));
        let mut spans = vec![
            Span::styled(format!("{icon} "), theme.style(role)),
            Span::styled(name, theme.style(Role::Strong)),
        ];
        let used = line_width(&Line::from(spans.clone()));
        let room = target.columns.saturating_sub(used);
        let end_room = width(&end).min(room);
        let summary = fit(
            &summary(&self.name, &self.arguments),
            room.saturating_sub(end_room + 1),
        );
        if !summary.is_empty() {
            spans.push(Span::raw(format!(" {summary}")));
        }
        let end = fit(&end, end_room);
        let end_role = match self.state {
            State::Failed | State::Left | State::CutOff => Role::Bad,
            State::Refused => Role::Warning,
            State::Waiting | State::Running(_) | State::Ok | State::NotRun => Role::Dim,
        };
        spans.push(Span::styled(end, theme.style(end_role)));
        spans.retain(|span| !span.content.is_empty());
        Row {
            lead: 2.min(target.columns),
            ..Row::new(Line::from(spans))
        }
    }
}

/// `2.3 s`, `12 s`, `2 m 05 s`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", (time.as_secs_f64() * 10.0).floor() / 10.0),
        10..60 => format!("{seconds} s"),
        _ => format!("{} m {:02} s", seconds / 60, seconds % 60),
    }
}
