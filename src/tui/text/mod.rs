//! Text for a grid of cells: widths, wrapping and making hostile text harmless.

mod cut;
pub mod diff;
pub mod highlight;
pub mod markdown;
mod row;
mod table;
mod wrap;

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

pub use cut::cut;
pub use row::{Join, Row, joined};
pub use wrap::{wrap, wrap_joined};

use crate::sandbox::sanitize;

/// Columns between tab stops.
const TAB: usize = 4;

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Hostile text as lines that can be put on a screen: sanitised, tabs expanded.
pub fn lines(text: &str) -> Vec<String> {
    let safe = sanitize::for_terminal(text);
    safe.lines().map(expand_tabs).collect()
}

/// Spaces up to the next stop in place of each tab.
fn expand_tabs(line: &str) -> String {
    let mut expanded = String::with_capacity(line.len());
    for (at, part) in line.split('\t').enumerate() {
        if at > 0 {
            let stop = TAB - width(&expanded) % TAB;
            expanded.extend(std::iter::repeat_n(' ', stop));
        }
        expanded.push_str(part);
    }
    expanded
}

/// The beginning of a text that fits into so many columns, `…` at its end where it is
/// cut. One line, sanitised.
pub fn fit(text: &str, columns: usize) -> String {
    let safe = sanitize::for_line(text);
    if width(&safe) <= columns {
        return safe.into_owned();
    }
    let mut fitted = String::new();
    let mut used = 0;
    for c in unicode_segmentation::UnicodeSegmentation::graphemes(safe.as_ref(), true) {
        used += width(c);
        if used >= columns {
            break;
        }
        fitted.push_str(c);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

/// Columns of a line.
pub fn line_width(line: &Line<'_>) -> usize {
    line.spans.iter().map(|span| width(&span.content)).sum()
}

/// A line in one style.
pub fn styled(text: impl Into<String>, style: ratatui::style::Style) -> Line<'static> {
    Line::from(Span::styled(text.into(), style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_made_harmless_and_fits() {
        assert_eq!(lines("a\tb\n\x1b[2J\r\nc"), ["a   b", "␛[2J", "c"]);
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("漢字漢字", 6), "漢字…");
        assert_eq!(fit("👩‍💻👩‍💻👩‍💻", 5), "👩‍💻👩‍💻…");
        assert_eq!((fit("abc", 0), fit("", 3)), (String::new(), String::new()));
    }
}
