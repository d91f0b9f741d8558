//! Any keys, tokens and sizes.

use crossterm::event::KeyCode;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::tui::keys::Key;
use crate::tui::trace::rows::cells_of;
use crate::tui::trace::sample::{self, noted};

#[derive(Clone, Debug)]
enum Step {
    Key(Key),
    Begin,
    Push(Vec<u8>),
    Finish,
    Open(u64, Vec<Vec<u8>>),
    Compare,
    Size(u16, u16),
    Wheel(i32),
    Paste(String),
    Click(u16, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let letters = "hjklnNbwgGzZmvyrifBaXxt/;,'[]{}()<>+FJK sTc12 5.0pq".chars();
    let mut keys: Vec<Key> = letters.map(Key::char).collect();
    let codes = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Backspace,
    ];
    keys.extend(codes.map(Key::new));
    let some = || proptest::collection::vec(sample::token(), 0..30);
    prop_oneof![
        12 => proptest::sample::select(keys).prop_map(Step::Key),
        1 => Just(Step::Begin),
        6 => sample::token().prop_map(Step::Push),
        1 => Just(Step::Finish),
        1 => (1u64..6, some()).prop_map(|(entry, tokens)| Step::Open(entry, tokens)),
        1 => Just(Step::Compare),
        2 => (0u16..120, 0u16..40).prop_map(|(width, height)| Step::Size(width, height)),
        1 => (-5i32..5).prop_map(Step::Wheel),
        2 => (0u16..120, 0u16..40).prop_map(|(x, y)| Step::Click(x, y)),
        1 => any::<String>().prop_map(Step::Paste),
    ]
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_is_drawn_outside(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut explorer = Explorer::new();
        let (mut width, mut height) = (30, 10);
        let branch = |entry, parent| Branch {
            entry,
            parent,
            label: "b".into(),
            parted: None,
            tokens: 1,
            head: false,
        };
        explorer.set_branches(vec![branch(1, None), branch(2, Some(0))]);
        let answer_of = |entry| AnswerRef {
            turn: 1,
            entry,
            title: "\u{1b}[2Jfix it".into(),
            number: 1,
            tokens: 3,
        };
        explorer.set_answers((1..6).map(answer_of).collect());
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Key(key) => {
                    explorer.key(key);
                }
                Step::Begin => explorer.begin(),
                Step::Push(bytes) => explorer.push(&noted(at, &bytes)),
                Step::Finish => explorer.finish(10 + at as u64, &Answer::default()),
                Step::Open(entry, tokens) => {
                    let tokens = tokens.iter().enumerate();
                    let tokens: Vec<Noted> = tokens.map(|(at, one)| noted(at, one)).collect();
                    explorer.open(entry, &Answer::default(), &tokens);
                }
                Step::Compare => explorer.compare(TraceId::Entry(1), TraceId::Live),
                Step::Size(w, h) => (width, height) = (w, h),
                Step::Wheel(rows) => explorer.wheel(rows),
                Step::Paste(text) => explorer.paste(&text),
                Step::Click(x, y) => explorer.click(x, y),
            }
            explorer.layout(width, height);
            let whole = Rect::new(0, 0, width + 4, height + 2);
            let mut buf = Buffer::filled(whole, ratatui::buffer::Cell::new("~"));
            let inner = Rect::new(2, 1, width, height);
            explorer.render(inner, &mut buf, Theme::Colour, Focus::Focused);
            for y in 0..whole.height {
                for x in 0..whole.width {
                    let is_inside = inner.contains(ratatui::layout::Position { x, y });
                    let symbol = buf[(x, y)].symbol();
                    prop_assert!(is_inside || symbol == "~", "{x} {y}");
                    prop_assert!(!symbol.chars().any(char::is_control), "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_click_goes_to_what_is_drawn_there(
        tokens in proptest::collection::vec(sample::token(), 1..60),
        width in 16u16..60,
    ) {
        let tokens = tokens.iter().enumerate();
        let tokens: Vec<Noted> = tokens.map(|(at, one)| noted(at, one)).collect();
        let mut explorer = Explorer::new();
        explorer.open(1, &Answer::default(), &tokens);
        let height = 20;
        explorer.layout(width, height);
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        explorer.render(area, &mut buf, Theme::Colour, Focus::Unfocused);
        let text = explorer.places().text;
        let before = explorer.walk.clone();
        for y in text.top()..text.bottom() {
            for x in text.left()..text.right() {
                let symbol = buf[(x, y)].symbol();
                if symbol.trim().is_empty() || symbol == "↵" {
                    continue;
                }
                explorer.walk = before.clone();
                explorer.click(x, y);
                let trace = explorer.trace();
                let token = explorer.walk.cursor();
                // The character that is drawn begins in the token.
                let from = trace.start(token);
                let row = explorer.walk.rows().row_of(from);
                let rest = cells_of(trace.text(), from, trace.end(token));
                let shown: String = rest.map(|(_, cell)| cell.shown.into_owned()).collect();
                prop_assert!(shown.contains(symbol), "{row}: {shown:?} {symbol:?}");
            }
        }
    }
}
