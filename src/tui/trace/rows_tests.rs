//! Rows against the whole text, however it came.

use proptest::prelude::*;

use super::*;
use crate::tui::trace::sample::{token, trace_of};
use crate::tui::trace::walk::Walk;

fn rows(text: &str, columns: usize) -> Rows {
    let mut rows = Rows::default();
    rows.layout(text, columns);
    rows
}

fn shown(text: &str, rows: &Rows) -> Vec<String> {
    let row = |at: usize| {
        let (_, from, to) = rows.row(at).unwrap();
        let cells = cells_of(text, from, to);
        cells.map(|(_, cell)| cell.shown.into_owned()).collect()
    };
    (0..rows.len()).map(row).collect()
}

#[test]
fn rows_end_between_words_and_at_breaks() {
    let wrapped = |text, columns| shown(text, &rows(text, columns));
    assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
    assert_eq!(wrapped("one two three", 7), ["one two ", "three"]);
    assert_eq!(wrapped("one\n\ntwo\n", 7), ["one", "", "two", ""]);
    assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
    assert_eq!(wrapped("a 漢字漢字", 5), ["a 漢", "字漢", "字"]);
    assert_eq!(wrapped("   indented", 6), ["   ind", "ented"]);
    assert_eq!(wrapped("字", 1), ["字"]);
    assert_eq!(wrapped("", 5), [""]);
}

#[test]
fn a_folded_paragraph_is_one_row() {
    let text = "one two\nthree\n\nfour five\n\n\nsix";
    let mut rows = rows(text, 5);
    assert_eq!(rows.paragraphs(), [0, 15, 27]);
    rows.fold(text, BTreeSet::from([15]));
    let kinds: Vec<(Kind, &str)> = (0..rows.len())
        .filter_map(|at| rows.row(at))
        .map(|(kind, from, to)| (kind, &text[from..to]))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Text, "one "),
            (Kind::Text, "two\n"),
            (Kind::Text, "three\n"),
            (Kind::Text, "\n"),
            (Kind::Folded, "four five\n\n\n"),
            (Kind::Text, "six"),
        ]
    );
    assert_eq!((rows.row_of(16), rows.row_of(99)), (4, 5));
}

proptest! {
    #[test]
    fn text_that_comes_in_pieces_has_the_rows_of_the_whole(
        tokens in proptest::collection::vec(token(), 0..60),
        columns in 1usize..30,
        folded in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let bytes: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let text = trace_of(&bytes).0.text().to_owned();
        let whole = rows(&text, columns);
        let folds: BTreeSet<u32> = whole.paragraphs().iter().zip(&folded)
            .filter(|(_, is)| **is).map(|(from, _)| *from).collect();
        let mut whole = whole;
        whole.fold(&text, folds.clone());

        let mut pieces = Rows::default();
        pieces.fold("", folds);
        for (end, _) in text.char_indices() {
            pieces.layout(&text[..end], columns);
        }
        pieces.layout(&text, columns);
        prop_assert_eq!(&pieces.rows, &whole.rows);
        prop_assert_eq!(&pieces.paragraphs, &whole.paragraphs);

        // Every byte once, in order, and no row too wide.
        let mut next = 0;
        for at in 0..whole.len() {
            let (kind, from, to) = whole.row(at).unwrap();
            prop_assert_eq!(from, next);
            next = to;
            if kind == Kind::Text {
                let cells: Vec<_> = cells_of(&text, from, to).collect();
                let (mut used, mut last) = (0, None);
                for (_, cell) in &cells {
                    used += cell.columns;
                    last = Some(cell);
                }
                let hangs = usize::from(last.is_some_and(|cell| cell.is_space()));
                prop_assert!(used <= columns + hangs || cells.len() <= 2, "{:?}", cells);
                prop_assert_eq!(last.map_or(to, |cell| cell.to), to);
            }
        }
        prop_assert_eq!(next, text.len());
    }

    #[test]
    fn a_place_gives_the_token_that_is_drawn_there(
        tokens in proptest::collection::vec(token(), 1..40),
        columns in 1usize..30,
    ) {
        let bytes: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let (trace, _) = trace_of(&bytes);
        let mut walk = Walk::default();
        walk.layout(&trace, columns, 10);
        let mut drawn = Vec::new();
        for row in 0..walk.rows().len() {
            let (_, from, to) = walk.rows().row(row).unwrap();
            for (column, cell) in cells_of(trace.text(), from, to) {
                let token = trace.token_at(cell.from);
                let under = column + cell.columns.saturating_sub(1);
                prop_assert_eq!(walk.token_in(&trace, row, column), Some(token));
                prop_assert_eq!(walk.token_in(&trace, row, under), Some(token));
                drawn.push((token, cell.from, cell.to));
            }
        }
        prop_assert!(drawn.is_sorted());
        // Tokens that nothing is drawn for are part of a character of another's.
        for at in 0..trace.len() {
            let (start, end) = (trace.start(at), trace.end(at));
            let is_drawn = drawn.iter().any(|(token, ..)| *token == at);
            let is_part = drawn.iter().any(|(_, from, to)| *from < end && start < *to);
            prop_assert!(is_drawn || is_part || start == end, "{at}");
        }
    }
}
