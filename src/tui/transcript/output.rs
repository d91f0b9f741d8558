//! What came of a call, behind a bar, with all but a few lines folded away.

use ratatui::text::{Line, Span};

use super::item::{Fold, For};
use crate::agent::present::thousands;
use crate::tui::text::{Join, Row, cut, diff, fit, lines, width};
use crate::tui::theme::Role;

/// Lines of output, and of a diff, that are shown folded.
pub(super) const LINES: usize = 6;
const DIFF_LINES: usize = 16;
const BAR: &str = "│ ";

/// Which end of an output is shown when it is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
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

/// An output's rows; folded, its head or its tail.
pub(super) fn rows(text: &str, end: End, target: For, fold: Fold) -> Vec<Row> {
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

/// A diff's rows.
pub(super) fn diff_rows(text: &str, target: For, fold: Fold) -> Vec<Row> {
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
