//! The pane from outside: keys in, asks and frames out.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::*;
use crate::tui::keys::Key;
use crate::tui::trace::sample::{answer as tokens, noted};

const TEXT: &str = "The user wants the failing test fixed. I should look at the test first, \
then at the parser.\nMaybe it is the offset?\n\nThe offset counts bytes. It should count \
characters, as 漢字 and 👩‍💻 are several bytes each. So I read the file.</think>\n\nI will read \
the parser first.\n";

fn drawn(explorer: &mut Explorer, width: u16, height: u16) -> String {
    explorer.layout(width, height);
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    explorer.render(area, &mut buf, Theme::Plain, Focus::Focused);
    let mut text = String::new();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buf[(x, y)].symbol();
            text.push_str(symbol);
            x += crate::tui::text::width(symbol).max(1) as u16;
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn answer() -> Answer {
    Answer {
        reasoning: "The user".into(),
        text: "I will read the parser first.".into(),
        ..Answer::default()
    }
}

/// An explorer with a finished answer of entry 5, walked from its beginning.
fn explorer(width: u16, height: u16) -> Explorer {
    let mut explorer = Explorer::new();
    explorer.open(5, &answer(), &tokens(TEXT));
    explorer.layout(width, height);
    explorer
}

/// Keys by letter; `⏎` is Enter, `⎋` Escape, arrows are arrows.
fn press(explorer: &mut Explorer, keys: &str) -> Option<Ask> {
    let mut last = None;
    for c in keys.chars() {
        let key = match c {
            '⏎' => Key::new(KeyCode::Enter),
            '⎋' => Key::new(KeyCode::Esc),
            '→' => Key::new(KeyCode::Right),
            '←' => Key::new(KeyCode::Left),
            '↓' => Key::new(KeyCode::Down),
            c => Key::char(c),
        };
        last = explorer.key(key);
    }
    last
}

/// What the token at the cursor says.
fn said(explorer: &Explorer) -> String {
    let token = explorer.walk.cursor();
    explorer.trace().token_text(token).to_owned()
}

#[test]
fn motions_lead_to_tokens() {
    let mut explorer = explorer(60, 20);
    let mut after = |keys: &str| {
        press(&mut explorer, keys);
        said(&explorer)
    };
    assert_eq!(after("→"), " user");
    assert_eq!(after("ww"), " the");
    assert_eq!(after("b"), " wants");
    assert_eq!(after(")"), " I");
    assert_eq!(after("("), "The");
    assert_eq!(after("}"), "The");
    assert_eq!(after("→←←"), "\n\n");
    assert_eq!(after("G"), "\n");
    assert_eq!(after("g"), "The");
    // Every fifth token is of level 3, every fifth of level 4.
    assert_eq!(after("nnn"), " should");
    assert_eq!(after("N"), " failing");
    assert_eq!(after("gJJK"), " test");
}

#[test]
fn a_search_goes_from_place_to_place() {
    let mut explorer = explorer(60, 20);
    press(&mut explorer, "/the off");
    assert_eq!(said(&explorer), " the");
    assert_eq!(explorer.search.count(), 2);
    press(&mut explorer, "⏎");
    assert_eq!(said(&explorer), "The");
    assert!(drawn(&mut explorer, 60, 20).contains("2 of 2"));
    press(&mut explorer, "⎋;");
    assert_eq!(said(&explorer), " the");
    press(&mut explorer, ",");
    assert_eq!(said(&explorer), "The");
    press(&mut explorer, "/zzz⎋;");
    assert!(drawn(&mut explorer, 60, 20).contains("not found"));
    // Escape closes the search first.
    assert_eq!(press(&mut explorer, "⎋"), None);
    assert_eq!(press(&mut explorer, "⎋"), Some(Ask::Leave));
}

#[test]
fn bookmarks_and_spans_are_of_an_answer() {
    let mut explorer = explorer(60, 20);
    press(&mut explorer, "→m)m'");
    assert_eq!(said(&explorer), " user");
    assert_eq!(
        press(&mut explorer, "v→→y"),
        Some(Ask::Copy(" user wants the".into()))
    );
    press(&mut explorer, "'");
    assert_eq!(said(&explorer), " I");
    explorer.open(7, &answer(), &tokens("other"));
    press(&mut explorer, "'");
    assert!(drawn(&mut explorer, 60, 20).contains("no bookmarks here"));
    assert_eq!(press(&mut explorer, "y"), Some(Ask::Copy("other".into())));
}

#[test]
fn a_fork_names_answer_token_and_what_comes_instead() {
    let mut explorer = explorer(60, 20);
    let ask = |token, with| {
        Some(Ask::Fork {
            entry: 5,
            token,
            with,
        })
    };
    assert_eq!(press(&mut explorer, "→f2"), ask(1, With::Token(501)));
    assert_eq!(
        press(&mut explorer, "→⏎t no⏎"),
        ask(2, With::Text(" no".into()))
    );
    explorer.begin();
    explorer.push(&noted(0, b"Live"));
    explorer.follow();
    assert_eq!(press(&mut explorer, "f"), None);
    assert!(drawn(&mut explorer, 90, 20).contains("still being written"));
    explorer.finish(8, &answer());
    let with = With::Resample {
        seed: None,
        temperature: None,
    };
    let ask = Some(Ask::Fork {
        entry: 8,
        token: 0,
        with,
    });
    assert_eq!(press(&mut explorer, "fs"), ask);
}

#[test]
fn a_live_answer_is_followed_but_takes_nobody_away() {
    let mut explorer = Explorer::new();
    explorer.begin();
    for one in tokens(TEXT) {
        explorer.push(&one);
        explorer.layout(40, 12);
    }
    assert_eq!(explorer.walk.cursor() + 1, explorer.trace().len());
    assert!(drawn(&mut explorer, 40, 12).starts_with("live  55 tokens  10.0/s\n"));
    press(&mut explorer, "g");
    assert!(drawn(&mut explorer, 40, 12).starts_with("live below, G follows"));
    assert!(drawn(&mut explorer, 40, 6).contains("live below, G follows"));
    explorer.finish(5, &answer());
    explorer.begin();
    assert!(drawn(&mut explorer, 40, 12).starts_with("answer 5  55 tokens"));
    explorer.push(&noted(0, b"Next"));
    assert!(drawn(&mut explorer, 40, 12).starts_with("answer 5  F: the live answer"));
    assert_eq!(said(&explorer), "The");
    press(&mut explorer, "F");
    assert_eq!(said(&explorer), "Next");
    // The answer before is still there, and the live one comes after it.
    assert_eq!(press(&mut explorer, "["), None);
    assert_eq!(said(&explorer), "The");
    press(&mut explorer, "]");
    assert_eq!(said(&explorer), "Next");
    assert_eq!(press(&mut explorer, "x"), Some(Ask::CloseThinking));
    assert_eq!(press(&mut explorer, "+"), Some(Ask::MoreThinking));
    explorer.finish(9, &answer());
    assert_eq!(press(&mut explorer, "+"), None);
}

#[test]
fn what_is_followed_stays_until_the_next_answer_has_a_token() {
    let mut explorer = Explorer::new();
    explorer.begin();
    tokens(TEXT).iter().for_each(|one| explorer.push(one));
    explorer.finish(5, &answer());
    explorer.begin();
    assert!(drawn(&mut explorer, 40, 12).starts_with("answer 5  55 tokens\n"));
    explorer.push(&noted(0, b"Next"));
    assert!(drawn(&mut explorer, 40, 12).starts_with("live  1 tokens\n"));
    // One that is cut off before it is logged is gone with the next.
    explorer.begin();
    explorer.finish(9, &answer());
    assert_eq!(
        (explorer.trace().len(), explorer.trace().entry()),
        (0, Some(9))
    );
}

#[test]
fn what_is_pasted_belongs_where_something_is_typed() {
    let mut explorer = explorer(60, 20);
    assert!(!explorer.takes_text());
    press(&mut explorer, "/the");
    explorer.paste(" off\nset");
    assert_eq!(
        (explorer.search.query(), said(&explorer)),
        ("the off", " the".into())
    );
    press(&mut explorer, "⎋f");
    assert!(!explorer.takes_text());
    press(&mut explorer, "t");
    assert!(explorer.takes_text());
    explorer.paste("no");
    let with = With::Text("no".into());
    let token = explorer.walk.cursor();
    let ask = Ask::Fork {
        entry: 5,
        token,
        with,
    };
    assert_eq!(press(&mut explorer, "⏎"), Some(ask));
}

#[test]
fn answers_that_are_not_there_are_asked_for() {
    let mut explorer = explorer(60, 20);
    let row = |entry, turn| AnswerRef {
        turn,
        entry,
        title: "fix it".into(),
        number: 1,
        tokens: 54,
    };
    explorer.set_answers(vec![row(2, 1), row(5, 2), row(9, 3)]);
    assert_eq!(press(&mut explorer, "["), Some(Ask::ReadTrace(2)));
    assert_eq!(press(&mut explorer, "]"), Some(Ask::ReadTrace(9)));
    assert_eq!(press(&mut explorer, "a↓⏎"), Some(Ask::ReadTrace(9)));
    press(&mut explorer, "a");
    let frame = drawn(&mut explorer, 60, 20);
    assert!(
        frame.contains("› turn 2: fix it / answer 1: 54 tokens"),
        "{frame}"
    );
    assert!(frame.starts_with("turn 2, answer 1  55 tokens"), "{frame}");
}

#[test]
fn branches_are_looked_at_kept_and_compared() {
    let mut explorer = explorer(60, 20);
    assert_eq!(press(&mut explorer, "B"), None);
    let branch = |entry, parent, head| Branch {
        entry,
        parent,
        label: format!("branch {entry}"),
        parted: parent.map(|_| (5, 18)),
        tokens: 54,
        head,
    };
    explorer.set_branches(vec![branch(6, None, true), branch(9, Some(0), false)]);
    assert_eq!(press(&mut explorer, "Bj⏎"), Some(Ask::ReadTrace(9)));
    assert_eq!(press(&mut explorer, "Bjk"), Some(Ask::KeepBranch(9)));
    let ask = Ask::Compare { left: 5, right: 9 };
    assert_eq!(press(&mut explorer, "c"), Some(ask));
    let wide = drawn(&mut explorer, 100, 20);
    assert!(
        wide.contains("› └ branch 9: 54 tokens from token 19  "),
        "{wide}"
    );
    let other = TEXT.replace(
        "Maybe it is the offset?",
        "Perhaps the length is wrong? No.",
    );
    explorer.add(9, &answer(), &tokens(&other));
    explorer.compare(TraceId::Entry(5), TraceId::Entry(9));
    insta::assert_snapshot!(drawn(&mut explorer, 60, 12), @r#"
    entry 5: 55 tokens           │entry 9: 56 tokens
    test first, then at the parser.

    ── token 20: "Maybe" 5.0% or "Perhaps" 5.0% ────────────────
    Maybe it is the offset?      │Perhaps the length is wrong?
                                 │No.
    The offset counts bytes. It  │
    should count characters, as  │The offset counts bytes. It
    漢字 and 👩‍💻 are several      │should count characters, as
    bytes each. So I read the    │漢字 and 👩‍💻 are several
    file.</think>                │bytes each. So I read the
                                 │file.</think>
    "#);
    press(&mut explorer, "⎋");
    explorer.compare(TraceId::Entry(5), TraceId::Entry(9));
    insta::assert_snapshot!(drawn(&mut explorer, 40, 12), @r#"
    entry 5: 55 tokens / entry 9: 56 tokens
    at the parser.

    ── token 20: "Maybe" 5.0% or "Perhaps" …
    Maybe it is the offset?

    The offset counts bytes. It should
    count characters, as 漢字 and 👩‍💻 are
    ────────────────────────────────────────
    Perhaps the length is wrong? No.

    The offset counts bytes. It should
    "#);
    assert_eq!(press(&mut explorer, "⎋X"), None);
    assert_eq!(press(&mut explorer, "j"), Some(Ask::Export(Format::Json)));
}

#[test]
fn panes_of_all_sizes() {
    let mut explorer = Explorer::new();
    insta::assert_snapshot!(drawn(&mut explorer, 30, 12), @r"
    reasoning
    no reasoning yet
    The model's tokens appear
    here as they come, tinted by
    how unsure it was of each.
    Walk with the arrows, n goes
    to the next uncertain one, f
    goes on differently from
    there.

    entropy ·0.1 -0.5 =1.2 #2.2
    ");
    let mut explorer = self::explorer(30, 20);
    press(&mut explorer, "n");
    insta::assert_snapshot!(drawn(&mut explorer, 30, 20), @r#"
    answer 5  55 tokens
    The user wants the failing  ┃=
    test fixed. I should look   ┃#
    at the test first, then at  ┃#
    the parser.                 ┃#
    Maybe it is the offset?     ┃#
                                ┃#
    The offset counts bytes. It ┃=
    should count characters, as ┃#
    漢字 and 👩‍💻 are several     ┃#
    bytes each. So I read the   ┃#
    file.</think>               ┃#
                                ┃#
    I will read the parser      ┃#
    entropy ·0.1 -0.5 =1.2 #2.2
    "␣the"  22.3% (1.50 nats)
    entropy 1.50  estimated
    thought  4 of 55  after 0.3 s
    2 "␣alt1" 13.5%
    3 "␣alt2" 5.0%  4 "␣alt3" 1.8%
    "#);
    insta::assert_snapshot!(drawn(&mut explorer, 40, 12), @r#"
    answer 5  55 tokens
    The user wants the failing test       ┃#
    fixed. I should look at the test      ┃#
    first, then at the parser.            ┃#
    Maybe it is the offset?               ┃#
                                          ┃#
    The offset counts bytes. It should    ┃#
    count characters, as 漢字 and 👩‍💻 are  ┃#
    several bytes each. So I read the     ┃#
    file.</think>                         │#
    entropy ·0.1 -0.5 =1.2 #2.2 nats
    "␣the" 22.3% H 1.50 estimated | "␣alt1"…
    "#);
    press(&mut explorer, "iZ");
    insta::assert_snapshot!(drawn(&mut explorer, 80, 24), @r"
    answer 5  55 tokens
    ▸ The user wants the failing test fixed. I should … (25 tokens, max 3.0 nats) ┃-
    ▸ The offset counts bytes. It should count charact… (23 tokens, max 3.0 nats) ┃#
    ▸ I will read the parser first. (7 tokens, max 3.0 nats)                      ┃=
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃=
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃=
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃-
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃-
                                                                                  ┃#
                                                                                  ┃#
    entropy ·0.1 -0.5 =1.2 #2.2 nats
    thought      46 tokens    4.5 s  10.2 tokens/s
    answer        8 tokens    0.8 s  10.0 tokens/s
    markup        1 tokens    0.1 s  10.0 tokens/s
    entropy from first to last, up to 3.0:
    ▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█▁▁▃▅█
    ");
    press(&mut explorer, "Zrv→→");
    insta::assert_snapshot!(drawn(&mut explorer, 80, 24), @r"
    answer 5  55 tokens
    The user wants the failing test fixed. I should look at the test first, then  ┃=
    at the parser.                                                                ┃#
    Maybe it is the offset?                                                       ┃#
                                                                                  ┃#
    The offset counts bytes. It should count characters, as 漢字 and 👩‍💻 are       ┃#
    several bytes each. So I read the file.</think>                               ┃#
                                                                                  ┃=
    I will read the parser first.                                                 ┃#
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃#
                                                                                  ┃#
    entropy ·0.1 -0.5 =1.2 #2.2 nats
    expert of each of 4 layers:
     2  3  4  0
    tokens 1-3: load of each expert
      0 ████   17%   1 ████   17%   2 ██████ 25%   3 ██████ 25%   4 ████   17%
      5         0%   6         0%   7         0%   8         0%   9         0%
     10         0%  11         0%  12         0%  13         0%  14         0%
     15         0%   -         0%
    layers that switch from token to token: 4.0 on average
    ██
    ");
    press(&mut explorer, "⎋⎋f");
    insta::assert_snapshot!(drawn(&mut explorer, 30, 14), @r#"
    answer 5  55 tokens
    The user wants the failing  ┃#
    test fixed. I should look   ┃#
    at the test first, then at  ┃#
    the parser.                 │#
    Maybe it is the offset?     │#
    entropy ·0.1 -0.5 =1.2 #2.2
    Instead of "␣wants", token 3:
     1  40.7% "␣wants" (taken)
    ›2  13.5% "␣alt1"
     3   5.0% "␣alt2"
     4   1.8% "␣alt3"
     5   0.7% "␣alt4"
    1-5 t text s seed T temp Esc
    "#);
    press(&mut explorer, "⎋");
    let wide = drawn(&mut explorer, 200, 60);
    let below: Vec<&str> = wide.lines().skip(52).collect();
    assert!(below[0].starts_with("\"␣wants\"  40.7% (0.90 nats)  entropy 0.90"));
    assert_eq!(below[1], "›1  40.7% ████▏      \"␣wants\"");
    assert_eq!(below[5], " 5   0.7% ▏          \"␣alt4\"");
    assert_eq!(below[6..], ["", ""]);
}

#[test]
fn levels_of_heat_can_be_told_apart_without_colour() {
    let mut explorer = explorer(80, 24);
    explorer.layout(80, 24);
    let area = Rect::new(0, 0, 80, 24);
    let mut buf = Buffer::empty(area);
    explorer.render(area, &mut buf, Theme::Plain, Focus::Unfocused);
    // The first five words are of the five levels; the first is under the cursor.
    let looks: Vec<Style> = [1, 5, 10, 16, 20].map(|x| buf[(x, 1)].style()).to_vec();
    for (at, look) in looks.iter().enumerate() {
        assert!(!looks[..at].contains(look), "{looks:?}");
    }
    assert!(looks[0].add_modifier.contains(Modifier::REVERSED));
    assert!(
        buf.content()
            .iter()
            .all(|cell| cell.fg == ratatui::style::Color::Reset)
    );
}

#[test]
fn the_cursor_is_seen_in_a_span_and_on_what_was_found() {
    let look = |keys: &str, x: u16| {
        let mut explorer = explorer(80, 24);
        press(&mut explorer, keys);
        explorer.layout(80, 24);
        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        explorer.render(area, &mut buf, Theme::Colour, Focus::Focused);
        buf[(x, 1)].modifier
    };
    // "The user": the span is of both, the cursor on the second.
    let (span, cursor) = (look("v→", 1), look("v→", 5));
    assert!(span.contains(Modifier::REVERSED) && cursor.contains(Modifier::REVERSED));
    assert_ne!(span, cursor);
    assert!(look("/user", 5).contains(Modifier::REVERSED | Modifier::UNDERLINED));
}
