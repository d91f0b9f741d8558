use proptest::prelude::*;

use super::paste::Pastes;
use super::rows::{Piece, Rows};
use crate::tui::text::width;

fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(str::to_owned).collect()
}

fn shown(text: &str, columns: usize) -> Vec<String> {
    let (lines, pastes) = (lines(text), Pastes::default());
    let rows = Rows::new(&lines, &pastes, columns);
    (0..rows.len())
        .map(|row| {
            let pieces = rows.shown(&lines, &pastes, row).unwrap();
            pieces.iter().map(Piece::text).collect()
        })
        .collect()
}

#[test]
fn rows_end_between_words_and_lose_nothing() {
    assert_eq!(shown("one two three", 8), ["one two ", "three"]);
    assert_eq!(shown("one two   three", 7), ["one two   ", "three"]);
    assert_eq!(shown("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(shown("漢字漢字", 5), ["漢字", "漢字"]);
    assert_eq!(shown("ab 👩‍💻👩‍💻", 5), ["ab ", "👩‍💻👩‍💻"]);
    assert_eq!(shown("👩‍💻👩‍💻👩‍💻", 5), ["👩‍💻👩‍💻", "👩‍💻"]);
    assert_eq!(shown("a\tb\n\n\x1bc", 10), ["a   b", "", "␛c"]);
}

#[test]
fn places_and_cells_belong_together() {
    let (lines, pastes) = (lines("one two\n漢字"), Pastes::default());
    let rows = Rows::new(&lines, &pastes, 4);
    assert_eq!(rows.len(), 3);
    for (place, cell) in [
        ((0, 0), (0, 0)),
        ((0, 3), (0, 3)),
        ((0, 4), (1, 0)),
        ((0, 7), (1, 3)),
        ((1, 1), (2, 2)),
        ((1, 2), (2, 4)),
    ] {
        assert_eq!(rows.cell(&lines, &pastes, place), cell);
        assert_eq!(rows.place(&lines, &pastes, cell), place);
    }
    // The second half of a wide character, and what is beyond a row.
    assert_eq!(rows.place(&lines, &pastes, (2, 1)), (1, 0));
    assert_eq!(rows.place(&lines, &pastes, (0, 99)), (0, 3));
    assert_eq!(rows.place(&lines, &pastes, (1, 99)), (0, 7));
}

#[test]
fn a_block_takes_the_place_of_its_label() {
    let mut pastes = Pastes::default();
    let block = pastes.block("1\n2\n3".to_owned());
    let lines = vec![format!("a{block}b")];
    let rows = Rows::new(&lines, &pastes, 40);
    assert_eq!(
        rows.shown(&lines, &pastes, 0).unwrap(),
        [
            Piece::Text("a".to_owned()),
            Piece::Block("[pasted 3 lines]".to_owned()),
            Piece::Text("b".to_owned())
        ]
    );
    assert_eq!(rows.cell(&lines, &pastes, (0, 2)), (0, 17));
    let narrow = Rows::new(&lines, &pastes, 6);
    assert_eq!(
        narrow.shown(&lines, &pastes, 1).unwrap(),
        [Piece::Block("[past…".to_owned())]
    );
}

proptest! {
    #[test]
    fn each_place_has_a_cell_and_comes_back(
        text in "[ab字 \t\n\u{301}👩‍💻]{0,40}",
        columns in 1usize..12,
    ) {
        let (lines, pastes) = (lines(&text), Pastes::default());
        let rows = Rows::new(&lines, &pastes, columns);
        let whole: String = lines.concat();
        let bare = |text: &str| -> usize { text.chars().filter(|c| !c.is_whitespace()).count() };
        prop_assert!(bare(&shown(&text, columns).concat()) >= bare(&whole));
        for (line, content) in lines.iter().enumerate() {
            use unicode_segmentation::UnicodeSegmentation;
            let mut character = 0;
            for grapheme in content.graphemes(true).chain(std::iter::once("")) {
                let cell = rows.cell(&lines, &pastes, (line, character));
                prop_assert!(cell.0 < rows.len() && cell.1 <= columns);
                let back = rows.place(&lines, &pastes, cell);
                // Spaces that hang over the end share its cell.
                let hangs = cell.1 == columns || width(grapheme) == 0;
                prop_assert!(hangs || back == (line, character), "{cell:?} {back:?}");
                character += grapheme.chars().count();
            }
        }
    }
}
