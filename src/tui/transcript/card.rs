//! A call of a tool as a card: what it is about in one line, how it does, and the
//! beginning or the end of what came of it.

use std::time::{Duration, Instant};

use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use super::item::{Fold, For};
use crate::agent::ToolResult;
use crate::agent::present::{call_line, thousands};
use crate::sandbox::sanitize;
use crate::tui::text::{Join, Row, cut, diff, fit, line_width, lines, width};
use crate::tui::theme::Role;

/// Lines of output, and of a diff, that are shown folded.
const LINES: usize = 6;
const DIFF_LINES: usize = 16;
/// Bytes of a running command's output that are kept.
const LIVE: usize = 16 * 1024;
const BAR: &str = "│ ";

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
            State::Waiting | State::Running(_) => false,
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
            State::Running(_) => State::CutOff,
            ended => ended,
        };
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
            true => self.summary(),
            false => self.output.clone(),
        }
    }

    /// About how many rows it has.
    pub fn about(&self, fold: Fold) -> usize {
        match fold {
            Fold::Folded => 1 + self.output.lines().take(LINES + 1).count(),
            Fold::Open => 1 + self.output.lines().count(),
        }
    }

    pub fn rows(&self, target: For, fold: Fold) -> Vec<Row> {
        let mut rows = vec![self.first_row(target)];
        rows.extend(match self.detail() {
            Detail::Nothing => Vec::new(),
            Detail::Text(text) => text_rows(text, End::Head, target, fold),
            Detail::Log(text) => text_rows(text, End::Tail, target, fold),
            Detail::Diff(text) => diff_rows(&text, target, fold),
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

    /// What it is about, in one line.
    fn summary(&self) -> String {
        let path = || self.text("path").unwrap_or_default();
        let number = |key| self.arguments.get(key).and_then(Value::as_u64);
        let summary = match self.name.as_str() {
            "read_file" => match (number("start"), number("end")) {
                (None, None) => path().to_owned(),
                (Some(start), None) => format!("{}, from line {start}", path()),
                (None, Some(end)) => format!("{}, up to line {end}", path()),
                (Some(start), Some(end)) => format!("{}, lines {start} to {end}", path()),
            },
            "edit_file" | "write_file" | "list_dir" => path().to_owned(),
            "search" => format!("{} in {}", self.text("pattern").unwrap_or_default(), path()),
            "run_command" => {
                let command = self.text("command").unwrap_or_default().trim();
                match self.arguments.get("background").and_then(Value::as_bool) {
                    Some(true) => format!("{command} (in the background)"),
                    Some(false) | None => command.to_owned(),
                }
            }
            "git" => {
                let words = self.arguments.get("args").and_then(Value::as_array);
                let words = words.map(Vec::as_slice).unwrap_or_default().iter();
                let words = words.map(|word| match word {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                words.collect::<Vec<_>>().join(" ")
            }
            "command_output" | "stop_command" => match number("id") {
                Some(id) => format!("command {id}"),
                None => String::new(),
            },
            _ => {
                let line = call_line(&self.name, &self.arguments);
                let shown = line.split_once('(').map(|(_, rest)| rest);
                shown.map_or(String::new(), |rest| {
                    rest.strip_suffix(')').unwrap_or(rest).to_owned()
                })
            }
        };
        sanitize::for_line(&summary.replace('\n', " ⏎ ")).into_owned()
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
            State::CutOff => ("✗", Role::Bad, "cut off"),
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
        let summary = fit(&self.summary(), room.saturating_sub(end_room + 1));
        if !summary.is_empty() {
            spans.push(Span::raw(format!(" {summary}")));
        }
        let end = fit(&end, end_room);
        let end_role = match self.state {
            State::Failed | State::CutOff => Role::Bad,
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

/// Which end of an output is shown when it is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Head,
    Tail,
}

/// The line that stands for lines that are not shown.
pub(super) fn more(lines: usize) -> String {
    let count = thousands(lines);
    match lines {
        1 => "… 1 more line".into(),
        _ => format!("… {count} more lines"),
    }
}

fn text_rows(text: &str, end: End, target: For, fold: Fold) -> Vec<Row> {
    let text = text.trim_end_matches(['\n', '\r', ' ']);
    let count = text.lines().count();
    let dim = target.theme.style(Role::Dim);
    let hidden = match fold {
        // One line is as good as a line that says that there is one.
        Fold::Folded if count > LINES + 1 => count - LINES,
        Fold::Folded | Fold::Open => 0,
    };
    let (from, to) = match end {
        End::Head => (0, count - hidden),
        End::Tail => (hidden, count),
    };
    let room = target.columns.saturating_sub(width(BAR)).max(1);
    let shown = text.lines().skip(from).take(to - from);
    let mut rows: Vec<Row> = Vec::new();
    for line in shown {
        let line = lines(line).into_iter().next().unwrap_or_default();
        let line = match fold {
            Fold::Folded => fit(&line, room),
            Fold::Open => line,
        };
        rows.extend(barred(vec![Span::styled(line, dim)], target));
    }
    if hidden > 0 {
        let row = more_row(hidden, target);
        match end {
            End::Head => rows.push(row),
            End::Tail => rows.insert(0, row),
        }
    }
    rows
}

fn diff_rows(text: &str, target: For, fold: Fold) -> Vec<Row> {
    let room = target.columns.saturating_sub(width(BAR)).max(1);
    let bar = target.theme.style(Role::Dim);
    // What is folded is not worth comparing.
    let count = text.lines().count();
    let (shown, hidden) = match fold {
        Fold::Folded if count > DIFF_LINES + 1 => {
            let end = text.match_indices('\n').nth(DIFF_LINES - 1);
            (
                &text[..end.map_or(text.len(), |(at, _)| at)],
                count - DIFF_LINES,
            )
        }
        Fold::Folded | Fold::Open => (text, 0),
    };
    let mut rows = diff::rows(shown, room, target.theme);
    for row in &mut rows {
        row.prefix(BAR, bar);
    }
    if hidden > 0 {
        rows.push(more_row(hidden, target));
    }
    rows
}

fn more_row(lines: usize, target: For) -> Row {
    let style = target.theme.style(Role::Dim);
    let text = fit(&more(lines), target.columns.saturating_sub(width(BAR)));
    Row::decoration(Line::from(Span::styled(format!("{BAR}{text}"), style)))
}

/// A line behind a bar, in as many rows as it takes.
fn barred(line: Vec<Span<'static>>, target: For) -> Vec<Row> {
    let room = target.columns.saturating_sub(width(BAR)).max(1);
    let parts = cut(&line, room);
    let last = parts.len().saturating_sub(1);
    let rows = parts.into_iter().enumerate().map(|(at, spans)| {
        let mut row = Row::new(Line::from(spans));
        row.prefix(BAR, target.theme.style(Role::Dim));
        row.join = if at == last {
            Join::LineEnd
        } else {
            Join::Nothing
        };
        row
    });
    rows.collect()
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
