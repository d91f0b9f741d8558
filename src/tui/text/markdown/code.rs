//! Blocks of code: a label, then each line behind a bar. Lines are not wrapped between
//! words; where one is longer than the pane it goes on in the next row, with a mark.

use ratatui::text::{Line, Span};

use super::render::Target;
use crate::tui::text::highlight::{Code, Piece, plain, spans};
use crate::tui::text::{Join, Row, cut, fit, lines, width};
use crate::tui::theme::Role;

const BAR: &str = "│ ";
/// Before a row that goes on with the line above.
const ON: &str = "│↳";
/// Whether rows look as they will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Colours {
    #[default]
    Known,
    Awaited,
}

/// Columns of a language's name.
const LANGUAGE: usize = 40;

/// The language that a fence's info string names.
pub(super) fn language(info: &str) -> String {
    let word = info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
    word.to_owned()
}

/// The rows of a whole block, and whether all its colours are known.
pub(super) fn block(
    language: &str,
    text: &str,
    target: Target<'_>,
    memo: &mut Code,
) -> (Vec<Row>, Colours) {
    let lines = lines(text);
    let pieces = memo.all(target.highlighter, &lines, target.last);
    let mut rows: Vec<Row> = label(language, target).into_iter().collect();
    let mut colours = Colours::Known;
    for (line, pieces) in lines.iter().zip(pieces) {
        if pieces.is_none() {
            colours = Colours::Awaited;
        }
        let pieces = pieces.unwrap_or_else(|| plain(line));
        rows.extend(row(line, &pieces, target));
    }
    if rows.is_empty() {
        rows.extend(row("", &[], target));
    }
    (rows, colours)
}

/// The row above a block that names its language.
pub(super) fn label(language: &str, target: Target<'_>) -> Option<Row> {
    let style = target.theme.style(Role::Dim);
    let name = fit(language, LANGUAGE.min(target.columns.saturating_sub(2)));
    (!name.is_empty())
        .then(|| Row::decoration(Line::from(Span::styled(format!("╭ {name}"), style))))
}

/// The rows of one line, which is sanitised.
pub(super) fn row(line: &str, pieces: &[Piece], target: Target<'_>) -> Vec<Row> {
    let (bar, on) = match target.columns > 2 * width(BAR) {
        true => (BAR, ON),
        // Too narrow for anything but the code.
        false => ("", ""),
    };
    let room = target.columns.saturating_sub(width(bar)).max(1);
    let style = target.theme.style(Role::Dim);
    let mut rows: Vec<Row> = cut(&spans(line, pieces, target.theme), room)
        .into_iter()
        .enumerate()
        .map(|(at, spans)| {
            let mut row = Row::new(Line::from(spans));
            row.join = Join::Nothing;
            row.prefix(if at == 0 { bar } else { on }, style);
            row
        })
        .collect();
    if let Some(last) = rows.last_mut() {
        last.join = Join::LineEnd;
    }
    rows
}
