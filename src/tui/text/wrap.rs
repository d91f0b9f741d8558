//! Wrapping of styled lines: between words where that is possible, else between
//! characters as a reader sees them, so that no cell is cut in half.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::width;

/// A character as a reader sees it, with its style.
#[derive(Clone, Copy)]
struct Cell<'a> {
    text: &'a str,
    style: Style,
    columns: usize,
}

/// A line as rows of at most `columns` columns; `indent` columns are left free before
/// all rows but the first. Nothing is lost but spaces where a row ends. An empty line
/// is one row.
pub fn wrap(line: &Line<'_>, columns: usize, indent: usize) -> Vec<Line<'static>> {
    let pieces = wrap_joined(line, columns, indent);
    pieces.into_iter().map(|(row, _)| row).collect()
}

/// The same, with how many spaces were between the end of each row and the next one.
pub fn wrap_joined(line: &Line<'_>, columns: usize, indent: usize) -> Vec<(Line<'static>, usize)> {
    let columns = columns.max(1);
    let indent = match indent + 1 < columns {
        true => indent,
        false => 0,
    };
    let cells: Vec<Cell<'_>> = line
        .spans
        .iter()
        .flat_map(|span| {
            let style = line.style.patch(span.style);
            span.content.graphemes(true).map(move |text| Cell {
                text,
                style,
                columns: width(text),
            })
        })
        .collect();
    let mut rows = Vec::new();
    let mut rest = cells.as_slice();
    loop {
        let before = if rows.is_empty() { 0 } else { indent };
        let (taken, skipped) = split(rest, columns - before);
        rows.push((row(&rest[..taken], before), skipped));
        rest = &rest[taken + skipped..];
        if rest.is_empty() {
            return rows;
        }
    }
}

/// How many cells go into a row, and how many spaces after them go nowhere.
fn split(cells: &[Cell<'_>], columns: usize) -> (usize, usize) {
    let mut used = 0;
    // Where the last word ends, and the next one begins.
    let mut between: Option<(usize, usize)> = None;
    for (at, cell) in cells.iter().enumerate() {
        if used + cell.columns > columns && at > 0 {
            let is_space = |cell: &Cell<'_>| cell.text == " ";
            if is_space(cell) {
                let spaces = cells[at..].iter().take_while(|cell| is_space(cell));
                return (at, spaces.count());
            }
            // A word that is longer than a row is cut where the row ends.
            return match between {
                Some((end, next)) => (end, next - end),
                None => (at, 0),
            };
        }
        used += cell.columns;
        if cell.text == " " {
            between = match between {
                Some((end, next)) if next == at => Some((end, at + 1)),
                // Spaces that a row begins with belong to it.
                _ if cells[..at].iter().all(|cell| cell.text == " ") => None,
                _ => Some((at, at + 1)),
            };
        }
    }
    (cells.len(), 0)
}

fn row(cells: &[Cell<'_>], indent: usize) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if indent > 0 {
        spans.push(Span::raw(" ".repeat(indent)));
    }
    for cell in cells {
        match spans.last_mut() {
            Some(last) if last.style == cell.style => last.content.to_mut().push_str(cell.text),
            _ => spans.push(Span::styled(cell.text.to_owned(), cell.style)),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
        let rows = wrap(&Line::from(text.to_owned()), columns, indent);
        rows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrapped("one two three", 8, 0), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 7, 0), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4, 0), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("- one two", 6, 2), ["- one", "  two"]);
        assert_eq!(wrapped("漢字漢字", 5, 0), ["漢字", "漢字"]);
        assert_eq!(wrapped("", 5, 0), [""]);
        assert_eq!(wrapped("字", 1, 0), ["字"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(
            text in "[a-c字👩 ]{0,40}",
            columns in 2usize..12,
            indent in 0usize..4,
        ) {
            let rows = wrapped(&text, columns, indent);
            for row in &rows {
                prop_assert!(width(row) <= columns, "{rows:?}");
            }
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&rows.concat()), bare(&text));
        }
    }
}
