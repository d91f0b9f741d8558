//! A unified diff for a screen: line numbers where there is room for them, the marks
//! kept, and in lines that were changed the words that differ.

use std::time::Duration;

use ratatui::text::{Line, Span};
use similar::{ChangeTag, TextDiff};
use unicode_segmentation::UnicodeSegmentation;

use super::{Join, Row, cut, lines, width};
use crate::tui::theme::{Role, Theme};

/// Comparing takes no longer than this; what is left is told coarsely.
const PATIENCE: Duration = Duration::from_millis(50);
/// Lines longer than this are not compared word by word.
const LONGEST: usize = 1_000;
/// Panes narrower than this have no line numbers.
const NUMBERED: usize = 60;

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Hunk,
    Context,
    Added,
    Removed,
}

struct DiffLine {
    kind: Kind,
    /// In the old file, or the new one for what was added; 0 where it is not known.
    number: usize,
    /// Without its mark; sanitised.
    text: String,
    /// Which parts are new or gone; empty where that is the whole line.
    words: Vec<(ChangeTag, String)>,
}

/// A diff of two texts, without headers or numbers.
pub fn between(old: &str, new: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut text = String::new();
    for change in diff.iter_all_changes() {
        text.push(match change.tag() {
            ChangeTag::Equal => ' ',
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        });
        text.push_str(change.value().trim_end_matches('\n'));
        text.push('\n');
    }
    text
}

/// The rows of a diff; a line that is longer than a row goes on in the next one.
pub fn rows(text: &str, columns: usize, theme: Theme) -> Vec<Row> {
    let mut parsed = parse(text);
    compare(&mut parsed);
    let most = parsed.iter().map(|line| line.number).max().unwrap_or(0);
    let gutter = match columns >= NUMBERED && most > 0 {
        true => most.to_string().len() + 1,
        false => 0,
    };
    let each = parsed.iter();
    each.flat_map(|line| line.rows(columns, gutter, theme))
        .collect()
}

fn parse(text: &str) -> Vec<DiffLine> {
    let (mut old, mut new) = (0, 0);
    // Headers are what comes before a hunk; a diff without any has none.
    let mut before_hunk = text.lines().any(|line| line.starts_with("@@ "));
    let mut parsed = Vec::new();
    for line in text.lines() {
        let first = line.chars().next();
        let kind = match first {
            Some('@') if line.starts_with("@@ ") => Kind::Hunk,
            Some('d') if line.starts_with("diff --git ") => {
                before_hunk = true;
                Kind::Header
            }
            _ if before_hunk => Kind::Header,
            // Whether a file ends with a line end.
            Some('\\') => Kind::Header,
            Some('+') => Kind::Added,
            Some('-') => Kind::Removed,
            _ => Kind::Context,
        };
        let rest = match (kind, first) {
            (Kind::Added | Kind::Removed, _) | (Kind::Context, Some(' ')) => &line[1..],
            _ => line,
        };
        let number = match kind {
            Kind::Header => 0,
            Kind::Hunk => {
                before_hunk = false;
                (old, new) = beginnings(line);
                0
            }
            Kind::Context => {
                let number = new;
                (old, new) = (next(old), next(new));
                number
            }
            Kind::Added => {
                let number = new;
                new = next(new);
                number
            }
            Kind::Removed => {
                let number = old;
                old = next(old);
                number
            }
        };
        parsed.push(DiffLine {
            kind,
            number,
            text: lines(rest).into_iter().next().unwrap_or_default(),
            words: Vec::new(),
        });
    }
    parsed
}

/// Numbers are only counted on where they are known.
fn next(number: usize) -> usize {
    match number {
        0 => 0,
        number => number.saturating_add(1),
    }
}

/// Where a hunk begins in both files: `@@ -3,7 +3,8 @@`.
fn beginnings(hunk: &str) -> (usize, usize) {
    let mut words = hunk.split_whitespace().skip(1);
    let mut number = |mark: char| {
        let word = words.next()?.strip_prefix(mark)?;
        word.split(',').next()?.parse().ok()
    };
    (number('-').unwrap_or(0), number('+').unwrap_or(0))
}

/// Finds the words that differ between lines that were removed and as many that were
/// added in their place.
fn compare(lines: &mut [DiffLine]) {
    let mut at = 0;
    while at < lines.len() {
        let run = |from: usize, kind: Kind| {
            let rest = lines.get(from..).unwrap_or_default();
            rest.iter().take_while(|line| line.kind == kind).count()
        };
        let removed = run(at, Kind::Removed);
        let added = run(at + removed, Kind::Added);
        if removed == added {
            for pair in at..at + removed {
                let (old, new) = words(&lines[pair].text, &lines[pair + removed].text);
                lines[pair].words = old;
                lines[pair + removed].words = new;
            }
        }
        at += (removed + added).max(1);
    }
}

type Words = Vec<(ChangeTag, String)>;

/// Both lines in parts; empty where they have too little in common.
fn words(old: &str, new: &str) -> (Words, Words) {
    if old.len().max(new.len()) > LONGEST {
        return Default::default();
    }
    let split = |text| UnicodeSegmentation::split_word_bounds(text).collect::<Vec<&str>>();
    let (olds, news) = (split(old), split(new));
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_slices(&olds, &news);
    if diff.ratio() < 0.4 {
        return Default::default();
    }
    let (mut before, mut after) = (Words::new(), Words::new());
    let push = |words: &mut Words, tag, text: &str| match words.last_mut() {
        Some((last, part)) if *last == tag => part.push_str(text),
        _ => words.push((tag, text.to_owned())),
    };
    for change in diff.iter_all_changes() {
        let (tag, text) = (change.tag(), change.value());
        if tag != ChangeTag::Insert {
            push(&mut before, tag, text);
        }
        if tag != ChangeTag::Delete {
            push(&mut after, tag, text);
        }
    }
    (before, after)
}

impl DiffLine {
    fn rows(&self, columns: usize, gutter: usize, theme: Theme) -> Vec<Row> {
        let (mark, role, word) = match self.kind {
            Kind::Header => ("", Role::Dim, Role::Dim),
            Kind::Hunk => ("", Role::Hint, Role::Hint),
            Kind::Context => (" ", Role::Text, Role::Text),
            Kind::Added => ("+", Role::Added, Role::AddedWord),
            Kind::Removed => ("-", Role::Removed, Role::RemovedWord),
        };
        let (style, word) = (theme.style(role), theme.style(word));
        let spans = match self.words.is_empty() {
            true => vec![Span::styled(self.text.clone(), style)],
            false => {
                let parts = self.words.iter().map(|(tag, text)| match tag {
                    ChangeTag::Equal => Span::styled(text.clone(), style),
                    ChangeTag::Insert | ChangeTag::Delete => Span::styled(text.clone(), word),
                });
                parts.collect()
            }
        };
        let room = columns.saturating_sub(gutter + width(mark)).max(1);
        let parts = cut(&spans, room);
        let last = parts.len().saturating_sub(1);
        let each = parts.into_iter().enumerate().map(|(at, spans)| {
            let mut row = Row::new(Line::from(spans));
            // The mark is text: a copied diff is a diff.
            match at {
                0 if !mark.is_empty() => row.line.spans.insert(0, Span::styled(mark, style)),
                0 => {}
                _ => row.prefix(if mark.is_empty() { "" } else { "↳" }, style),
            }
            row.prefix(&self.number(at, gutter), theme.style(Role::Dim));
            row.join = if at == last {
                Join::LineEnd
            } else {
                Join::Nothing
            };
            row
        });
        each.collect()
    }

    fn number(&self, row: usize, gutter: usize) -> String {
        match (gutter, self.number, row) {
            (0, _, _) => String::new(),
            (_, 1.., 0) => format!("{:>1$} ", self.number, gutter - 1),
            _ => " ".repeat(gutter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::text::row::fits;
    use proptest::prelude::*;

    const DIFF: &str = "\
--- a.rs
+++ a.rs
@@ -9,4 +9,4 @@
 fn main() {
-    let one = 1;
+    let two = 1;
     --x;
+\u{1b}[2J
\\ No newline at end of file
";

    fn shown(text: &str, columns: usize) -> Vec<String> {
        let rows = rows(text, columns, Theme::Plain);
        rows.iter().map(|row| row.line.to_string()).collect()
    }

    #[test]
    fn lines_have_marks_and_numbers_where_there_is_room() {
        assert_eq!(
            shown(DIFF, 60),
            [
                "   --- a.rs",
                "   +++ a.rs",
                "   @@ -9,4 +9,4 @@",
                " 9  fn main() {",
                "10 -    let one = 1;",
                "10 +    let two = 1;",
                "11      --x;",
                "12 +␛[2J",
                "   \\ No newline at end of file",
            ]
        );
        assert_eq!(shown(" ab\n-abcdefg", 5), [" ab", "-abcd", "↳efg"]);
    }

    #[test]
    fn words_that_differ_stand_out() {
        let rows = rows(DIFF, 60, Theme::Plain);
        let removed: Vec<(&str, _)> = rows[4]
            .line
            .spans
            .iter()
            .map(|span| (span.content.as_ref(), span.style))
            .collect();
        let style = |role| Theme::Plain.style(role);
        assert_eq!(
            removed,
            [
                ("10 ", style(Role::Dim)),
                ("-", style(Role::Removed)),
                ("    let ", style(Role::Removed)),
                ("one", style(Role::RemovedWord)),
                (" = 1;", style(Role::Removed)),
            ]
        );
        // Lines with nothing in common are not picked apart.
        assert_eq!(words("abc def", "xyz uvw"), Default::default());
    }

    #[test]
    fn texts_are_compared_by_lines() {
        assert_eq!(between("a\nb\n", "a\nc"), " a\n-b\n+c\n");
    }

    proptest! {
        #[test]
        fn any_text_is_shown_and_fits(
            lines in prop::collection::vec(("(|@@ -1,2 \\+3 @@|\\+|-| |diff --git )", any::<String>()), 0..12),
            columns in 4usize..80,
        ) {
            let text: String = lines.iter().map(|(mark, rest)| format!("{mark}{rest}\n")).collect();
            for row in rows(&text, columns, Theme::Colour) {
                prop_assert!(fits(&row, columns), "{:?}", row.line.to_string());
                prop_assert!(!row.line.to_string().chars().any(char::is_control));
            }
        }
    }
}
