//! A row of a pane, with what it takes to copy text out of it: which columns are
//! decoration, and whether the next row goes on with the same line.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::{line_width, width, wrap_joined};

/// What was between a row and the next one before the text was wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    #[default]
    LineEnd,
    Space,
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub line: Line<'static>,
    /// Columns at the beginning that are no text: indents, bars, bullets.
    pub lead: usize,
    pub join: Join,
}

impl Row {
    pub fn new(line: Line<'static>) -> Self {
        Self {
            line,
            lead: 0,
            join: Join::LineEnd,
        }
    }

    /// A row that is no text at all, such as a border.
    pub fn decoration(line: Line<'static>) -> Self {
        Self {
            lead: line_width(&line),
            ..Self::new(line)
        }
    }

    /// The rows of a line; `columns` and `indent` as for [`super::wrap()`].
    pub fn wrapped(line: &Line<'_>, columns: usize, indent: usize) -> Vec<Self> {
        let pieces = wrap_joined(line, columns, indent);
        let last = pieces.len().saturating_sub(1);
        let rows = pieces.into_iter().enumerate();
        rows.map(|(at, (line, spaces))| Self {
            lead: match at {
                0 => 0,
                _ => leading_spaces(&line).min(indent),
            },
            line,
            join: match spaces {
                _ if at == last => Join::LineEnd,
                0 => Join::Nothing,
                _ => Join::Space,
            },
        })
        .collect()
    }

    /// Puts decoration before everything else.
    pub fn prefix(&mut self, text: &str, style: Style) {
        if !text.is_empty() {
            self.lead += width(text);
            self.line
                .spans
                .insert(0, Span::styled(text.to_owned(), style));
        }
    }

    /// The text between two columns, decoration left out; `to` is not part of it. A wide
    /// character belongs to the column where it begins.
    pub fn text(&self, from: usize, to: usize) -> String {
        let mut at = 0;
        let mut text = String::new();
        for span in &self.line.spans {
            for c in span.content.graphemes(true) {
                if at >= from.max(self.lead) && at < to {
                    text.push_str(c);
                }
                at += width(c);
            }
        }
        text
    }

    /// Columns of text that is no space: the measure of how far into a text a row is,
    /// which is the same at any width.
    pub fn weight(&self) -> usize {
        let text = self.text(0, usize::MAX);
        text.split(' ').map(width).sum()
    }
}

/// Whether a row is no wider than a pane; a cluster that is wider itself can't be cut.
#[cfg(test)]
pub(super) fn fits(row: &Row, columns: usize) -> bool {
    let text = row.text(0, usize::MAX);
    // With the mark of a diff's line.
    let clusters = text.trim_start_matches(['+', '-', ' ']).graphemes(true);
    line_width(&row.line) <= columns || clusters.count() == 1
}

fn leading_spaces(line: &Line<'_>) -> usize {
    let first = line.spans.first().map_or("", |span| &span.content);
    first.len() - first.trim_start_matches(' ').len()
}

/// The text of rows as it was before it was wrapped.
pub fn joined(pieces: impl IntoIterator<Item = (String, Join)>) -> String {
    let mut text = String::new();
    let mut join = None;
    for (piece, next) in pieces {
        text.push_str(match join {
            None | Some(Join::Nothing) => "",
            Some(Join::Space) => " ",
            Some(Join::LineEnd) => "\n",
        });
        text.push_str(&piece);
        join = Some(next);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_it_went_in() {
        let mut rows = Row::wrapped(&Line::from("one two 漢字漢字漢字 three"), 8, 2);
        for row in &mut rows {
            row.prefix("│ ", Style::new());
        }
        let shown: Vec<String> = rows.iter().map(|row| row.line.to_string()).collect();
        assert_eq!(
            shown,
            ["│ one two", "│   漢字漢", "│   字漢字", "│   three"]
        );
        let text = |row: &Row| (row.text(0, usize::MAX), row.join);
        assert_eq!(joined(rows.iter().map(text)), "one two 漢字漢字漢字 three");
        assert_eq!(rows[1].text(4, 7), "漢字");
        assert_eq!(rows.iter().map(Row::weight).sum::<usize>(), 6 + 12 + 5);
    }
}
