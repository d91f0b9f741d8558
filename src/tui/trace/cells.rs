//! The text of a trace as what is drawn: characters as a reader sees them, which may
//! be made of several tokens, each harmless and as wide as it says.

use std::borrow::Cow;

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;

use crate::sandbox::sanitize;

/// Columns between tab stops.
const TAB: usize = 4;
/// Bytes of a character that are drawn; a letter can have marks without end.
const MOST: usize = 64;

/// A character as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Its bytes in the text.
    pub from: usize,
    pub to: usize,
    /// What is drawn.
    pub shown: Cow<'a, str>,
    pub columns: usize,
}

impl Cell<'_> {
    pub fn is_space(&self) -> bool {
        self.shown == " "
    }

    /// Whether the row ends with it.
    pub fn is_break(&self) -> bool {
        self.columns == 0
    }
}

/// The character that begins at the byte `from`, which has to be where one begins,
/// drawn at a column; `None` at the end of the text.
pub fn cell(text: &str, from: usize, column: usize) -> Option<Cell<'_>> {
    let bytes = text.as_bytes();
    let first = *bytes.get(from)?;
    let next_is_ascii = bytes.get(from + 1).is_none_or(u8::is_ascii);
    if (b' '..0x7f).contains(&first) && next_is_ascii {
        return Some(Cell {
            from,
            to: from + 1,
            shown: Cow::Borrowed(&text[from..from + 1]),
            columns: 1,
        });
    }
    let raw = text.get(from..)?.graphemes(true).next()?;
    let (shown, columns) = shown(raw, column);
    Some(Cell {
        from,
        to: from + raw.len(),
        shown,
        columns,
    })
}

/// Bytes from `from` on, `most` at most, that are a character and a column each, and no
/// spaces. A letter that a mark may follow is not among them.
pub fn plain(text: &str, from: usize, most: usize) -> usize {
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    let is_plain = |pair: &&[u8]| (b'!'..0x7f).contains(&pair[0]) && pair[1].is_ascii();
    bytes.windows(2).take(most).take_while(is_plain).count()
}

/// What is drawn of a character, and its columns; 0 is a line break.
fn shown(raw: &str, column: usize) -> (Cow<'_, str>, usize) {
    match raw {
        "\n" | "\r\n" => return (Cow::Borrowed(""), 0),
        "\t" => {
            let columns = TAB - column % TAB;
            return (Cow::Owned(" ".repeat(columns)), columns);
        }
        _ => {}
    }
    let mut end = raw.len().min(MOST);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    let raw = &raw[..end];
    let safe = sanitize::for_line(raw);
    match columns(&safe) {
        // A mark without a letter to stand on.
        0 => {
            let codes = raw.chars().map(|c| format!("<U+{:04X}>", c as u32));
            let codes: String = codes.collect();
            let columns = codes.len();
            (Cow::Owned(codes), columns)
        }
        columns => (safe, columns),
    }
}

/// Columns that a text takes in a buffer.
pub fn columns(text: &str) -> usize {
    let widths = text
        .graphemes(true)
        .map(|one| usize::from(one.cell_width()));
    widths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<(String, usize)> {
        let mut at = 0;
        let mut column = 0;
        let mut all = Vec::new();
        while let Some(cell) = cell(text, at, column) {
            assert_eq!(cell.from, at);
            at = cell.to;
            column += cell.columns;
            all.push((cell.shown.into_owned(), cell.columns));
        }
        assert_eq!(at, text.len());
        all
    }

    #[test]
    fn plain_letters_end_where_more_may_belong_to_them() {
        let ends = [
            ("ab c", 0, 9),
            ("abé", 0, 9),
            ("abc", 0, 2),
            ("a\u{301}", 0, 9),
            ("", 3, 1),
        ];
        let ends = ends.map(|(text, from, most)| plain(text, from, most));
        assert_eq!(ends, [2, 1, 2, 0, 0]);
    }

    #[test]
    fn characters_are_whole_harmless_and_as_wide_as_they_say() {
        let shown = |pairs: &[(&str, usize)]| -> Vec<(String, usize)> {
            pairs
                .iter()
                .map(|(text, n)| ((*text).to_owned(), *n))
                .collect()
        };
        assert_eq!(cells("a\tb"), shown(&[("a", 1), ("   ", 3), ("b", 1)]));
        assert_eq!(cells("e\u{301}漢"), shown(&[("e\u{301}", 1), ("漢", 2)]));
        assert_eq!(cells("👩‍💻!"), shown(&[("👩‍💻", 2), ("!", 1)]));
        assert_eq!(cells("\u{1b}["), shown(&[("␛", 1), ("[", 1)]));
        assert_eq!(cells("\n\r\n"), shown(&[("", 0), ("", 0)]));
        assert_eq!(cells("\u{301}"), shown(&[("<U+0301>", 8)]));
        assert_eq!(cells("\u{200b}"), shown(&[("<U+200B>", 8)]));
        let marked = format!("e{}", "\u{301}".repeat(1000));
        assert_eq!(cells(&marked), [(marked[..63].to_owned(), 1)]);
    }
}
