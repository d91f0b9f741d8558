//! What the user and the model said, as items.

use ratatui::text::{Line, Span};

use super::item::{Fold, For};
use super::output::more;
use super::said::marked_rows;
use super::words::Words;
use crate::agent::present::thousands;
use crate::tui::text::Row;
use crate::tui::text::markdown::Markdown;
use crate::tui::theme::Role;

/// Lines of a user's message that are shown folded.
const LINES: usize = 20;

/// A message of the user's.
pub(super) struct User {
    pub text: String,
    /// Files that went along.
    pub attached: Vec<String>,
    /// Counted from 1; one that was said while a turn ran has none.
    pub number: Option<usize>,
}

impl User {
    pub fn rows(&self, target: For, fold: Fold) -> Vec<Row> {
        let style = target.theme.style(Role::User);
        let dim = target.theme.style(Role::Dim);
        let count = self.text.lines().count();
        let hidden = match fold {
            Fold::Folded if count > LINES + 1 => count - LINES,
            Fold::Folded | Fold::Open => 0,
        };
        let shown = match hidden {
            0 => self.text.clone(),
            _ => {
                let lines: Vec<&str> = self.text.lines().take(LINES).collect();
                lines.join("\n")
            }
        };
        let mut rows = marked_rows(&shown, "❯ ", style, style, target.columns);
        if hidden > 0 {
            let line = Line::from(Span::styled(more(hidden), dim));
            rows.push(Row::decoration(line));
        }
        for path in &self.attached {
            rows.extend(marked_rows(path, "  + ", dim, dim, target.columns));
        }
        rows
    }
}

/// An answer of the model's: a line on its reasoning, and its text.
#[derive(Default)]
pub(super) struct Answer {
    pub markdown: Markdown,
    pub thought: Words,
    /// Its entry in the log; `None` while it is being written, and if it never was.
    pub entry: Option<u64>,
    pub state: Writing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    #[default]
    Goes,
    Ended,
}

impl Answer {
    /// The line that stands for the reasoning, and what keeps it apart from the text.
    pub fn stub(&self, target: For) -> Vec<Row> {
        if self.thought.count == 0 {
            return Vec::new();
        }
        let text = self.markdown.source().trim();
        let word = match (self.state, text.is_empty()) {
            (Writing::Goes, true) => "thinking",
            (Writing::Goes, false) | (Writing::Ended, _) => "thought",
        };
        let words = thousands(self.thought.count);
        let style = target.theme.style(Role::Dim);
        let line = Line::from(Span::styled(format!("▸ {word}, {words} words"), style));
        let mut rows = vec![Row::decoration(line)];
        if !text.is_empty() {
            rows.push(Row::default());
        }
        rows
    }
}
