//! Walks over a trace of a few rows.

use super::*;
use crate::tui::trace::sample::{cut, noted, trace};
use crate::tui::trace::vocabulary::Vocabulary;

const TEXT: &str = "one two three four\nfive six\n\nseven eight nine\n\nten";

fn walk(height: usize) -> (Trace, Vocabulary, Walk) {
    let (trace, words) = trace(&cut(TEXT));
    let mut walk = Walk::at_start();
    walk.layout(&trace, 10, height);
    (trace, words, walk)
}

/// What the token at the cursor says.
fn said<'a>(trace: &'a Trace, walk: &Walk) -> &'a str {
    trace.token_text(walk.cursor()).trim()
}

#[test]
fn rows_are_walked_by_column_and_the_view_follows() {
    // one two / three four / five six / (empty) / seven / eight nine / (empty) / ten
    let (trace, _, mut walk) = walk(3);
    assert_eq!(walk.rows().len(), 8);
    walk.go(&trace, 1, Direction::Forward);
    let mut seen = Vec::new();
    for _ in 0..7 {
        walk.go_rows(&trace, 1);
        seen.push((said(&trace, &walk), walk.top()));
    }
    let expected = [
        ("three", 0),
        ("five", 0),
        ("", 1),
        ("seven", 2),
        ("eight", 3),
        ("", 4),
        ("ten", 5),
    ];
    assert_eq!(seen, expected);
    assert_eq!(walk.follow(), Follow::End);
    walk.go_rows(&trace, -100);
    assert_eq!((said(&trace, &walk), walk.top()), ("two", 0));
    assert_eq!(walk.in_view(&trace), (0, 7));
}

#[test]
fn the_end_is_followed_until_someone_moves_away() {
    let (mut trace, mut words, mut walk) = walk(3);
    walk.go(&trace, usize::MAX, Direction::Forward);
    let push = |trace: &mut Trace, words: &mut Vocabulary, text: &str| {
        trace.push(&noted(trace.len(), text.as_bytes()), words);
    };
    for text in [" more", " and", " more"] {
        push(&mut trace, &mut words, text);
        walk.layout(&trace, 10, 3);
        assert_eq!(walk.cursor() + 1, trace.len());
    }
    let bottom = walk.top();
    walk.scroll(&trace, -2);
    push(&mut trace, &mut words, " words");
    walk.layout(&trace, 10, 3);
    assert_eq!((walk.top(), walk.follow()), (bottom - 2, Follow::Stay));
    walk.go(&trace, usize::MAX, Direction::Forward);
    walk.scroll(&trace, -1);
    walk.scroll(&trace, 1);
    assert_eq!(walk.follow(), Follow::End);
}

#[test]
fn folds_are_one_step_and_open_when_something_in_them_is_gone_to() {
    let (trace, _, mut walk) = walk(5);
    let seven = trace.token_at(TEXT.find("seven").unwrap());
    walk.jump(&trace, seven + 1);
    assert_eq!(walk.paragraph(&trace), (seven, seven + 4));
    walk.fold(&trace);
    assert_eq!((walk.cursor(), walk.rows().len()), (seven, 6));
    walk.go(&trace, seven + 1, Direction::Forward);
    assert_eq!(said(&trace, &walk), "ten");
    walk.go(&trace, walk.cursor() - 1, Direction::Back);
    assert_eq!(walk.cursor(), seven);
    walk.go(&trace, seven - 1, Direction::Back);
    assert_eq!(walk.beside(&trace, Direction::Forward), Some(seven));
    walk.jump(&trace, seven + 1);
    assert_eq!((said(&trace, &walk), walk.rows().len()), ("eight", 8));
    walk.fold_all(&trace);
    assert_eq!(walk.rows().len(), 3);
    walk.fold_all(&trace);
    assert_eq!(walk.rows().len(), 8);
}

#[test]
fn paragraphs_are_gone_through_in_both_directions() {
    let (trace, _, mut walk) = walk(5);
    let mut seen = Vec::new();
    while let Some(token) = walk.beside(&trace, Direction::Forward) {
        walk.go(&trace, token, Direction::Forward);
        seen.push(said(&trace, &walk));
    }
    walk.go(&trace, walk.cursor() - 2, Direction::Back);
    while let Some(token) = walk.beside(&trace, Direction::Back) {
        walk.go(&trace, token, Direction::Back);
        seen.push(said(&trace, &walk));
    }
    assert_eq!(seen, ["seven", "ten", "seven", "one"]);
}
