//! Lines that are neither the user's nor the model's: notices, errors, the program's
//! own words, and marks where a turn ended badly or the conversation was changed.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::item::For;
use crate::agent::{Compaction, How, Reason, Restored};
use crate::tui::text::{Row, lines};
use crate::tui::theme::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Notice,
    Error,
    /// Output of a command.
    Program,
    Mark,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub tone: Tone,
    pub text: String,
    /// It came with the stream, and the entry that it belongs to has not come yet.
    pub awaits_entry: bool,
}

impl Said {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            awaits_entry: false,
        }
    }

    pub fn rows(&self, target: For) -> Vec<Row> {
        let (mark, role) = match self.tone {
            Tone::Notice => ("· ", Role::Dim),
            Tone::Error => ("✗ ", Role::Bad),
            Tone::Program => ("", Role::Text),
            Tone::Mark => ("── ", Role::Dim),
        };
        let style = target.theme.style(role);
        marked_rows(&self.text, mark, style, style, target.columns)
    }
}

/// Wrapped text with a mark before its first row, and room for it before the others.
pub(super) fn marked_rows(
    text: &str,
    mark: &str,
    mark_style: Style,
    style: Style,
    columns: usize,
) -> Vec<Row> {
    let before = crate::tui::text::width(mark);
    let room = columns.saturating_sub(before).max(1);
    let lines = lines(text.trim_end());
    let mut rows: Vec<Row> = lines
        .into_iter()
        .flat_map(|line| {
            let hang = line.len() - line.trim_start_matches(' ').len();
            Row::wrapped(&Line::from(Span::styled(line, style)), room, hang)
        })
        .collect();
    let blank = " ".repeat(before);
    for (at, row) in rows.iter_mut().enumerate() {
        match at {
            0 => row.prefix(mark, mark_style),
            _ => row.prefix(&blank, Style::new()),
        }
    }
    rows
}

/// How a turn ended, where that is worth a line.
pub(super) fn ended(reason: Reason) -> Option<String> {
    match reason {
        // The failure itself has been told.
        Reason::Done | Reason::Failed => None,
        Reason::Interrupted => Some("stopped".into()),
        Reason::Refused => Some("a permission was refused on the way".into()),
        Reason::MaxTokens
        | Reason::Steps
        | Reason::RepeatedCall
        | Reason::MalformedCalls
        | Reason::Context
        | Reason::Loop
        | Reason::Bundle
        | Reason::Usage => Some(format!("the turn ended: {}", reason.word())),
    }
}

pub(super) fn compacted(what: &Compaction) -> String {
    let how = match what.how {
        How::Summarised => "older turns are summarised for the model",
        How::DroppedOldest => "older turns are left out for the model",
        How::Shortened => "older outputs are shortened for the model",
    };
    match what.dropped.as_slice() {
        [] => how.to_owned(),
        [only] => format!("{how} ({only})"),
        [first, .., last] => format!("{how} ({first} ... {last})"),
    }
}

pub(super) fn restored(word: &str, what: &Restored) -> String {
    let mut names = what.named.join(", ");
    let more = what.files.saturating_sub(what.named.len());
    if more > 0 {
        names.push_str(&format!(" and {more} more"));
    }
    match names.is_empty() {
        true => format!("{word}, no file was changed"),
        false => format!("{word}: {names}"),
    }
}
