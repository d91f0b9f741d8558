//! The text as rows of the screen: wrapped between words, else between characters as a
//! reader sees them; and which cell belongs to which place in the text.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::paste::Pastes;
use crate::tui::overlay::field::shown;
use crate::tui::text::{fit, width};

/// Columns between tab stops.
const TAB: usize = 4;

/// A place in the text: line, and character within it.
pub type Place = (usize, usize);

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    bytes: Range<usize>,
    /// Characters of the line before it.
    before: usize,
}

/// All rows at one width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    columns: usize,
    rows: Vec<Row>,
}

impl Rows {
    /// Lines in rows of so many columns. Spaces where a row ends may reach beyond it.
    pub fn new(lines: &[String], pastes: &Pastes, columns: usize) -> Self {
        let columns = columns.max(1);
        let mut rows = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let mut before = 0;
            for bytes in ranges(line, pastes, columns) {
                let characters = line[bytes.clone()].chars().count();
                rows.push(Row {
                    line: number,
                    bytes,
                    before,
                });
                before += characters;
            }
        }
        Self { columns, rows }
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Row and column of a place.
    pub fn cell(&self, lines: &[String], pastes: &Pastes, place: Place) -> (usize, usize) {
        let (line, character) = place;
        let after = self
            .rows
            .partition_point(|row| (row.line, row.before) <= (line, character));
        let at = after.saturating_sub(1);
        let Some(row) = self.rows.get(at) else {
            return (0, 0);
        };
        let mut column = 0;
        let mut left = character.saturating_sub(row.before);
        for grapheme in text(lines, row).graphemes(true) {
            if left == 0 {
                break;
            }
            column += cells(grapheme, pastes, column, self.columns);
            left = left.saturating_sub(grapheme.chars().count());
        }
        (at, column.min(self.columns))
    }

    /// The place that a cell belongs to.
    pub fn place(&self, lines: &[String], pastes: &Pastes, cell: (usize, usize)) -> Place {
        let (at, wanted) = cell;
        let Some(row) = self.rows.get(at) else {
            return (0, 0);
        };
        let ends_here = self
            .rows
            .get(at + 1)
            .is_none_or(|next| next.line != row.line);
        let (mut column, mut character, mut last) = (0, row.before, row.before);
        for grapheme in text(lines, row).graphemes(true) {
            column += cells(grapheme, pastes, column, self.columns);
            if column > wanted {
                return (row.line, character);
            }
            last = character;
            character += grapheme.chars().count();
        }
        // The place after a row that goes on is the next row's first.
        match ends_here {
            true => (row.line, character),
            false => (row.line, last),
        }
    }

    /// What a row shows, harmless; `None` where there is none.
    pub fn shown(&self, lines: &[String], pastes: &Pastes, at: usize) -> Option<Vec<Piece>> {
        let row = self.rows.get(at)?;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut column = 0;
        for grapheme in text(lines, row).graphemes(true) {
            let piece = match pastes.label(grapheme) {
                Some(label) => Piece::Block(fit(&label, self.columns)),
                None if grapheme == "\t" => Piece::Text(" ".repeat(TAB - column % TAB)),
                None => Piece::Text(shown(grapheme).into_owned()),
            };
            column += width(piece.text());
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
                (_, piece) => pieces.push(piece),
            }
        }
        Some(pieces)
    }
}

/// A part of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// The label of a paste.
    Block(String),
}

impl Piece {
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Block(text) => text,
        }
    }
}

fn text<'a>(lines: &'a [String], row: &Row) -> &'a str {
    let line = lines.get(row.line).map_or("", String::as_str);
    line.get(row.bytes.clone()).unwrap_or("")
}

/// Columns of a character that begins at this column.
fn cells(grapheme: &str, pastes: &Pastes, column: usize, columns: usize) -> usize {
    match grapheme {
        "\t" => TAB - column % TAB,
        _ => match pastes.label(grapheme) {
            Some(label) => width(&label).min(columns),
            None => width(&shown(grapheme)),
        },
    }
}

/// The rows of a line; an empty line is one.
fn ranges(line: &str, pastes: &Pastes, columns: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut column) = (0, 0);
    // After the last space of the row.
    let mut word = None;
    for (at, grapheme) in line.grapheme_indices(true) {
        let is_space = grapheme.chars().all(char::is_whitespace);
        let mut wide = cells(grapheme, pastes, column, columns);
        while column + wide > columns && at > start && !is_space {
            let end = word.take().unwrap_or(at);
            ranges.push(start..end);
            start = end;
            column = 0;
            for moved in line[start..at].graphemes(true) {
                column += cells(moved, pastes, column, columns);
            }
            wide = cells(grapheme, pastes, column, columns);
        }
        column += wide;
        if is_space {
            word = Some(at + grapheme.len());
        }
    }
    ranges.push(start..line.len());
    ranges
}
