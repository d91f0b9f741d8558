//! Where a text stands in a file if white space at the end of lines counts for
//! nothing: models leave it out, and editors strip it.

use std::ops::Range;

use super::edit_file;

/// The places in `text`, as ranges of its bytes. White space after the last line
/// of `part` is not in them.
pub(super) fn places(text: &str, part: &str) -> Vec<Range<usize>> {
    let (bare, origin) = without(text);
    let (wanted, _) = without(part);
    if wanted.trim().is_empty() {
        return Vec::new();
    }
    // What had white space at its very end stood at the end of a line.
    let ends_a_line = part.trim_end_matches(BLANK).len() < part.len();
    edit_file::places(&bare, &wanted)
        .map(|at| at..at + wanted.len())
        .filter(|place| {
            !ends_a_line || matches!(bare.as_bytes().get(place.end), None | Some(b'\n'))
        })
        .map(|place| origin[place.start]..origin[place.end - 1] + 1)
        .collect()
}

const BLANK: [char; 3] = [' ', '\t', '\r'];

/// The text without white space at the end of its lines, and for each byte of it
/// where it was.
fn without(text: &str) -> (String, Vec<usize>) {
    let (mut bare, mut origin) = (String::with_capacity(text.len()), Vec::new());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (content, end) = match line.strip_suffix('\n') {
            Some(content) => (content, "\n"),
            None => (line, ""),
        };
        let kept = content.trim_end_matches(BLANK);
        bare.push_str(kept);
        bare.push_str(end);
        origin.extend(start..start + kept.len());
        origin.extend((start + content.len()..start + line.len()).take(end.len()));
        start += line.len();
    }
    (bare, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, part: &str) -> Vec<String> {
        let places = places(text, part);
        places
            .into_iter()
            .map(|place| text[place].to_owned())
            .collect()
    }

    #[test]
    fn white_space_at_line_ends_counts_for_nothing() {
        assert_eq!(found("a  \nb\t\r\nc", "a\nb\nc"), ["a  \nb\t\r\nc"]);
        assert_eq!(found("x\na\nbé\n", "a \nbé   \n"), ["a\nbé\n"]);
        assert_eq!(found("  a \n  b\n", "  a\n  b"), ["  a \n  b"]);
        // Not that at their beginning, nor inside.
        assert_eq!(found(" a\nb c", "a\nb  c"), [""; 0]);
        assert_eq!(found("a \nb\na\nb", "a\nb"), ["a \nb", "a\nb"]);
    }

    #[test]
    fn what_ended_a_line_does() {
        assert_eq!(found("let x = 10;", "let x = 1 "), [""; 0]);
        assert_eq!(found("let x = 1\nb", "let x = 1 "), ["let x = 1"]);
        assert_eq!(found("a\n\n", "  \n \n"), [""; 0]);
    }
}
