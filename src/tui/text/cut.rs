//! Hard wrapping, for what must not be broken between words: code and output.

use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;

use super::width;

/// A line in parts of at most `room` columns; at least one, which may be empty.
pub fn cut(line: &[Span<'static>], room: usize) -> Vec<Vec<Span<'static>>> {
    let mut parts = vec![Vec::new()];
    let mut used = 0;
    for span in line {
        let mut from = 0;
        for (at, c) in span.content.grapheme_indices(true) {
            let columns = width(c);
            if used + columns > room && used > 0 {
                push(&mut parts, &span.content[from..at], span);
                parts.push(Vec::new());
                (from, used) = (at, 0);
            }
            used += columns;
        }
        push(&mut parts, &span.content[from..], span);
    }
    parts
}

fn push(parts: &mut [Vec<Span<'static>>], text: &str, span: &Span<'static>) {
    if let (false, Some(last)) = (text.is_empty(), parts.last_mut()) {
        last.push(Span::styled(text.to_owned(), span.style));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_stay_whole() {
        let line = [Span::raw("ab漢"), Span::raw("字👩‍💻c")];
        let parts = cut(&line, 3);
        let parts: Vec<Vec<&str>> = parts
            .iter()
            .map(|part| part.iter().map(|span| span.content.as_ref()).collect())
            .collect();
        assert_eq!(parts, [vec!["ab"], vec!["漢"], vec!["字"], vec!["👩‍💻c"]]);
        assert_eq!(cut(&[], 3), [vec![]]);
    }
}
