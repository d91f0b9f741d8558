use std::sync::Arc;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::{Busy, Composer, KEYS, MENU_KEYS, SEARCH_KEYS, Sent};
use crate::tui::keys::{Focus, Key};
use crate::tui::overlay::testing::{keys, rows};
use crate::tui::theme::Theme;

fn composer() -> Composer {
    let mut composer = Composer::new(vec!["first".into(), "second\nline".into()]);
    let files = ["src/main.rs", "src/a b.rs", "docs/read me.md", "docs/"];
    composer.set_files(files.map(str::to_owned).into());
    composer.set_commands(&[("review".into(), "look at \x1b[2J changes".into())]);
    composer
}

/// Types keys; what the last of them came to.
fn typed(composer: &mut Composer, text: &str) -> Option<Sent> {
    let mut sent = None;
    for key in keys(text) {
        sent = composer.key(key);
    }
    sent
}

fn message(text: &str) -> Option<Sent> {
    Some(Sent::Message(text.to_owned()))
}

/// The whole screen with the composer at its bottom, and the cursor.
fn screen(composer: &mut Composer, width: u16, height: u16) -> (Vec<String>, Option<Position>) {
    let whole = Rect::new(0, 0, width, height);
    let mut buf = Buffer::filled(whole, ratatui::buffer::Cell::new("."));
    let wanted = composer.height(width, height);
    let area = Rect::new(0, height - wanted, width, wanted);
    composer.render(area, &mut buf, Theme::Colour, Focus::Focused);
    composer.render_popup(area, &mut buf, Theme::Colour);
    (rows(&buf), composer.cursor(area))
}

#[test]
fn enter_sends_by_what_is_written_and_whether_a_turn_runs() {
    let mut one = composer();
    assert_eq!(typed(&mut one, "<Enter>"), None);
    assert_eq!(typed(&mut one, "<Space><Enter>"), None);
    assert_eq!(typed(&mut one, "hi<Enter>"), message(" hi"));
    assert!(one.is_empty());
    assert_eq!(typed(&mut one, "hi<Tab>"), None);
    one.set_busy(Busy::Working);
    assert_eq!(typed(&mut one, "<Enter>"), Some(Sent::Steer("hi".into())));
    assert_eq!(typed(&mut one, "hi<Tab>"), Some(Sent::Queue("hi".into())));
    assert_eq!(
        typed(&mut one, "!ls<Space>-l<Enter>"),
        Some(Sent::Shell("ls -l".into()))
    );
    assert_eq!(typed(&mut one, "!<Enter>"), None);
    assert!(one.clear() && !one.clear());
    let sent = typed(&mut one, "/think<Space>on<Enter>");
    assert_eq!(sent, Some(Sent::Command("/think on".into())));
    assert_eq!(sent.unwrap().kept().as_deref(), Some("/think on"));
    assert_eq!(Sent::Shell("ls".into()).kept().as_deref(), Some("!ls"));
    assert_eq!(typed(&mut one, "<C-g>"), Some(Sent::External));
}

#[test]
fn lines_are_made_and_walked() {
    let mut one = composer();
    typed(&mut one, "a<A-Enter>b<S-Enter>c<C-j>d\\<Enter>e");
    assert_eq!(one.text(), "a\nb\nc\nd\ne");
    typed(&mut one, "<Up><Up>x<Down><Home>y<C-a><C-k>");
    assert_eq!(one.text(), "a\nb\ncx\n\ne");
    typed(&mut one, "<C-k><C-e>z");
    assert_eq!(one.text(), "a\nb\ncx\nez");
}

#[test]
fn words_are_deleted_brought_back_and_undone() {
    let mut one = composer();
    typed(&mut one, "one<Space>two<Space>three<C-w>");
    assert_eq!(one.text(), "one two ");
    typed(&mut one, "<C-a><C-y>");
    assert_eq!(one.text(), "threeone two ");
    typed(&mut one, "<C-_><C-7>");
    assert_eq!(one.text(), "one two three");
    typed(&mut one, "<A-_>");
    assert_eq!(one.text(), "one two ");
    typed(&mut one, "<C-u>");
    assert_eq!(one.text(), "");
    typed(&mut one, "<C-y><A-b><A-b><A-d>");
    assert_eq!(one.text(), " two ");
    assert!(one.clear());
    typed(&mut one, "<C-_>");
    assert_eq!(one.text(), " two ");
}

#[test]
fn characters_are_those_that_a_reader_sees() {
    let mut one = composer();
    typed(&mut one, "a👩‍💻e\u{301}字");
    assert_eq!(one.text(), "a👩‍💻e\u{301}字");
    let (_, cursor) = screen(&mut one, 40, 3);
    assert_eq!(cursor, Some(Position::new(2 + 6, 1)));
    typed(&mut one, "<Left><Left><BS>");
    assert_eq!(one.text(), "ae\u{301}字");
    typed(&mut one, "<Del><Del><Del>");
    assert_eq!(one.text(), "a");
    // Backspace is not what Ctrl-Y brings back.
    typed(&mut one, "<C-y>");
    assert_eq!(one.text(), "a");
}

#[test]
fn history_is_walked_and_the_draft_comes_back() {
    let mut one = composer();
    typed(&mut one, "draft<Up>");
    assert_eq!(one.text(), "second\nline");
    typed(&mut one, "<Up>");
    assert_eq!(one.text(), "first");
    typed(&mut one, "<Up>");
    assert_eq!(one.text(), "first");
    typed(&mut one, "<Down>");
    assert_eq!(one.text(), "second\nline");
    typed(&mut one, "<Down>!");
    assert_eq!(one.text(), "draft!");
    assert_eq!(typed(&mut one, "<Up><Up>x<Enter>"), message("firstx"));
    typed(&mut one, "<Up>");
    assert_eq!(one.text(), "firstx");
    // What was recalled opens no list, so that one can walk on.
    let mut one = Composer::new(vec!["old".into(), "/help".into()]);
    typed(&mut one, "<Up><Up>");
    assert_eq!(one.text(), "old");
}

#[test]
fn history_is_searched_as_one_types() {
    let mut one = composer();
    for text in ["cargo test", "cargo doc", "ls"] {
        one.set_text(text);
        typed(&mut one, "<Enter>");
    }
    typed(&mut one, "draft<C-r>CAR");
    assert_eq!(one.text(), "cargo doc");
    assert!(one.has_popup());
    typed(&mut one, "<C-r>");
    assert_eq!(one.text(), "cargo test");
    let (shown, cursor) = screen(&mut one, 60, 5);
    assert_eq!(
        shown,
        [
            "............................................................",
            "search: CAR  2 of 2  Ctrl-R older · Enter take · Esc back",
            "─ Earlier message ──────────────────────────────────────────",
            "> cargo test",
            "────────────────────────────────────────────────────────────",
        ]
    );
    assert_eq!(cursor, Some(Position::new(11, 1)));
    typed(&mut one, "<Esc>");
    assert_eq!(one.text(), "draft");
    typed(&mut one, "<C-r>doc<Enter>!");
    assert_eq!(one.text(), "cargo doc!");
    typed(&mut one, "<C-r>nothing like it<Enter>");
    assert_eq!(one.text(), "cargo doc!");
    typed(&mut one, "<C-r>ls<C-a>x");
    assert_eq!(one.text(), "xls");
}

#[test]
fn long_pastes_are_blocks() {
    let mut one = composer();
    typed(&mut one, "see:");
    one.paste("short\ttext\r\nof two lines\x1b[31m\rthree");
    assert_eq!(one.text(), "see:short\ttext\nof two lines␛[31m\nthree");
    one.clear();
    let many = (1..=42).map(|n| format!("{n}\n")).collect::<String>();
    typed(&mut one, "a");
    one.paste(&many);
    one.paste(&"x".repeat(1001));
    typed(&mut one, "b");
    let whole = format!("a{many}{}b", "x".repeat(1001));
    assert_eq!(one.text(), whole);
    let (shown, cursor) = screen(&mut one, 60, 3);
    assert_eq!(shown[1], "> a[pasted 42 lines][pasted 1,001 characters]b");
    assert_eq!(cursor, Some(Position::new(46, 1)));
    // One step, one deletion, and it comes back.
    typed(&mut one, "<Left><Left><BS>");
    assert_eq!(one.text(), format!("a{}b", "x".repeat(1001)));
    typed(&mut one, "<C-_>");
    assert_eq!(one.text(), whole);
    assert_eq!(typed(&mut one, "<Enter>"), message(&whole));
    // Nobody can write what stands for a block.
    one.paste("\u{F0000}");
    typed(&mut one, "\u{F0001}");
    assert_eq!(one.text(), "\u{FFFD}\u{FFFD}");
}

#[test]
fn a_message_that_is_set_opens_no_list_and_can_be_huge() {
    let mut one = composer();
    one.set_text("/hel");
    assert!(!one.has_popup());
    assert_eq!(
        typed(&mut one, "<Enter>"),
        Some(Sent::Command("/hel".into()))
    );
    let huge = "word ".repeat(100_000);
    one.set_text(&huge);
    assert_eq!(one.text(), huge);
    assert_eq!(
        screen(&mut one, 40, 3).0[1],
        "> [pasted 500,000 characters]"
    );
    let huge = huge.trim_end();
    assert_eq!(typed(&mut one, "<Enter>"), message(huge));
    typed(&mut one, "<Up>");
    assert_eq!(one.text(), huge);
    assert_eq!(
        screen(&mut one, 40, 3).0[1],
        "> [pasted 499,999 characters]"
    );
}

#[test]
fn files_are_found_as_they_are_typed() {
    let mut one = composer();
    typed(&mut one, "see<Space>@sma");
    assert_eq!(typed(&mut one, "<Enter>"), None);
    assert_eq!(one.text(), "see @src/main.rs ");
    typed(&mut one, "@readme<Tab>and<Space>@doc<Down><Tab>");
    assert_eq!(
        one.text(),
        "see @src/main.rs @\"docs/read me.md\" and @\"docs/read me.md\" "
    );
    one.clear();
    // In a folder one goes on, and what is written in full is sent.
    typed(&mut one, "@docs/<Tab>");
    assert_eq!(one.text(), "@docs/");
    one.clear();
    assert_eq!(
        typed(&mut one, "@src/main.rs<Enter>"),
        message("@src/main.rs")
    );
    // An address is no file, and what was closed stays closed.
    typed(&mut one, "me@src");
    assert!(!one.has_popup());
    typed(&mut one, "<Space>@s<Esc>r");
    assert!(!one.has_popup());
    assert_eq!(typed(&mut one, "<Enter>"), message("me@src @sr"));
    typed(&mut one, "@nothinglikeit");
    assert!(!one.has_popup());
}

#[test]
fn commands_are_found_completed_and_sent() {
    let mut one = composer();
    assert_eq!(
        typed(&mut one, "/undo<Enter>"),
        Some(Sent::Command("/undo".into()))
    );
    // It needs to be told which.
    assert_eq!(typed(&mut one, "/resume<Enter>"), None);
    assert_eq!(one.text(), "/resume ");
    assert_eq!(
        typed(&mut one, "12<Enter>"),
        Some(Sent::Command("/resume 12".into()))
    );
    typed(&mut one, "/comp<Tab>");
    assert_eq!(one.text(), "/compact ");
    one.clear();
    assert_eq!(
        typed(&mut one, "/rev<Enter>"),
        Some(Sent::Command("/review".into()))
    );
    // Elsewhere than at the beginning a slash is one.
    typed(&mut one, "a<Space>/un");
    assert!(!one.has_popup());
}

#[test]
fn esc_twice_on_nothing_and_up_with_something_queued() {
    let mut one = composer();
    assert_eq!(typed(&mut one, "<Esc>"), None);
    assert_eq!(typed(&mut one, "<Esc>"), Some(Sent::EditEarlier));
    assert_eq!(typed(&mut one, "<Esc>x<BS><Esc>"), None);
    assert_eq!(typed(&mut one, "x<Esc><Esc>"), None);
    one.clear();
    one.set_queued(2);
    assert_eq!(typed(&mut one, "<Up>"), Some(Sent::Takeback));
    one.set_queued(0);
    assert_eq!(typed(&mut one, "<Up>"), None);
    assert_eq!(one.text(), "second\nline");
}

#[test]
fn it_says_what_keys_do_now() {
    let mut one = composer();
    assert_eq!(
        screen(&mut one, 40, 3).0,
        [
            "─ Message ──────────────────────────────",
            "> Ask for something; @ names a file, / …",
            "─ Enter send · Alt-Enter new line ──────",
        ]
    );
    one.set_busy(Busy::Working);
    one.set_queued(1);
    typed(
        &mut one,
        "hello<Space>字字字字字字字字字字字字字字字字<Space>end",
    );
    let (shown, cursor) = screen(&mut one, 40, 6);
    assert_eq!(
        shown,
        [
            "........................................",
            "........................................",
            "─ Steer, 1 queued ──────────────────────",
            "> hello",
            "  字字字字字字字字字字字字字字字字 end",
            "─ Enter steer now · Tab queue ──────────",
        ]
    );
    assert_eq!(cursor, Some(Position::new(38, 4)));
    typed(&mut one, "<C-u>/think<Space>");
    assert_eq!(
        screen(&mut one, 60, 3).0[0],
        "─ /think [on|off|show|fold], 1 queued ──────────────────────"
    );
    typed(&mut one, "<C-u>!ls");
    assert_eq!(
        screen(&mut one, 40, 3).0[0],
        "─ Shell command, 1 queued ──────────────"
    );
}

#[test]
fn the_list_opens_above() {
    let mut one = composer();
    typed(&mut one, "/r");
    let (shown, _) = screen(&mut one, 80, 24);
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ┌ Commands, 6 of 21 ───────────────────────────────────────────────────────────┐
    │ > redo         bring back what was undone last                               │
    │   resume       go on with another session  ID                                │
    │   review       look at ␛[2J changes                                          │
    │   fork         go on with a copy, from an entry of it  [ID][@ENTRY]          │
    │   clear        start a new conversation                                      │
    │   permissions  list the rules that allow and deny                            │
    └ Tab insert · Enter take · Esc close ─────────────────────────────────────────┘
    ─ Command ──────────────────────────────────────────────────────────────────────
    > /r
    ────────────────────────────────────────────────────────────────────────────────
    "#);
    typed(&mut one, "<C-u>@");
    let (shown, _) = screen(&mut one, 40, 12);
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ........................................
    ........................................
    ........................................
    ┌ Files, 4 of 4 ───────────────────────┐
    │> src/main.rs                         │
    │  src/a b.rs                          │
    │  docs/read me.md                     │
    │  docs/                               │
    └ Tab insert · Enter take · Esc close ─┘
    ─ Message ──────────────────────────────
    > @
    ────────────────────────────────────────
    "#);
}

#[test]
fn a_long_text_scrolls_with_the_cursor() {
    let mut one = composer();
    one.set_text("1\n2\n3\n4\n5\n6");
    assert_eq!(screen(&mut one, 20, 5).0[1..4], ["> 4", "  5", "  6"]);
    typed(&mut one, "<Up><Up>");
    assert_eq!(screen(&mut one, 20, 5).0[1..4], ["> 4", "  5", "  6"]);
    typed(&mut one, "<Up>");
    let (shown, cursor) = screen(&mut one, 20, 5);
    assert_eq!(shown[1..4], ["> 3", "  4", "  5"]);
    assert_eq!(cursor, Some(Position::new(3, 1)));
    assert_eq!(screen(&mut one, 20, 1).0, ["> 3"]);
}

/// Each key of a table once.
#[test]
fn no_key_does_two_things() {
    fn all<A>(bindings: &[crate::tui::keys::Binding<A>]) -> Vec<Key> {
        { bindings.iter() }
            .flat_map(|one| one.keys)
            .copied()
            .collect()
    }
    for table in [all(KEYS), all(MENU_KEYS), all(SEARCH_KEYS)] {
        for (at, key) in table.iter().enumerate() {
            assert!(!table[..at].contains(key), "{}", key.name());
        }
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    let tables: Vec<Key> = KEYS
        .iter()
        .flat_map(|one| one.keys.iter().copied())
        .collect();
    prop_oneof![
        3 => proptest::sample::select(tables),
        2 => proptest::sample::select("ab/@!\"\\ s字👩\u{200d}💻\u{301}\u{202e}".chars().collect::<Vec<_>>())
            .prop_map(Key::char),
        1 => any::<char>().prop_map(Key::char),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_keys_at_any_size_break_it(
        pressed in proptest::collection::vec(any_key(), 0..60),
        pasted in "[a\n\r\t\u{1b}字]{0,12}",
        (width, height) in (0u16..50, 0u16..14),
    ) {
        let mut one = composer();
        for (at, key) in pressed.into_iter().enumerate() {
            one.key(key);
            if at % 16 == 7 {
                one.paste(&pasted);
            }
            let whole = Rect::new(0, 0, width, height);
            let mut buf = Buffer::empty(whole);
            let wanted = one.height(width, height).min(height);
            let area = Rect::new(0, height - wanted, width, wanted);
            one.render(area, &mut buf, Theme::Plain, Focus::Focused);
            one.render_popup(area, &mut buf, Theme::Plain);
            if let Some(cursor) = one.cursor(area) {
                prop_assert!(whole.contains(cursor), "{cursor:?}");
            }
            for cell in buf.content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
        }
    }
}

#[test]
fn files_that_come_later_fill_the_open_list() {
    let mut one = Composer::new(Vec::new());
    typed(&mut one, "@ma");
    assert!(!one.has_popup());
    one.set_files(Arc::from(["main.rs".to_owned()]));
    assert!(one.has_popup());
    typed(&mut one, "<Tab>");
    assert_eq!(one.text(), "@main.rs ");
}
