//! All overlays: what they show at the sizes that matter, and that nothing breaks them.

use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use super::testing::{keys, rows};
use super::*;
use crate::agent::Question;
use crate::sandbox::Rule;
use crate::tools::Effect;
use crate::tui::keys::{Binding, Key};

const LATER: Duration = Duration::from_secs(1);

pub fn question(effect: Effect, preview: &str, always: &[&str]) -> Question {
    Question {
        id: "1".into(),
        name: "run_command".into(),
        effect,
        preview: preview.into(),
        always: always
            .iter()
            .map(|rule| rule.parse::<Rule>().unwrap())
            .collect(),
    }
}

/// Types keys a second after it opened; what the last of them came to.
pub fn typed(overlay: &mut Overlay, since: Instant, text: &str) -> Option<Outcome> {
    let mut outcome = None;
    for key in keys(text) {
        outcome = overlay.key(key, since + LATER);
    }
    outcome
}

pub fn shown(overlay: &mut Overlay, width: u16, height: u16) -> Vec<String> {
    let screen = Rect::new(0, 0, width, height);
    let mut buf = Buffer::filled(screen, Cell::new("."));
    overlay.layout(screen);
    overlay.render(screen, &mut buf, Theme::Colour);
    rows(&buf)
}

const DIFF: &str = "--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n fn main() {\n-    old();\n\
                    +    new(\"字\x1b[2J\");\n }\n--- a/y.rs\n+++ b/y.rs\n@@ -0,0 +1 @@\n+y\n";

fn sections() -> Vec<help::Section> {
    let row = |keys: &str, help| (keys.to_owned(), help);
    vec![
        (
            "Everywhere".to_owned(),
            vec![row("Ctrl-C", "stop"), row("Ctrl-P", "all commands")],
        ),
        (
            "Writing".to_owned(),
            vec![
                row("Alt-Enter, Shift-Enter, Ctrl-J, and another", "new line"),
                row("Enter", "send"),
            ],
        ),
    ]
}

/// The tables themselves, so that the screen is as full as it gets.
fn all_keys() -> Overlay {
    let sections = help::merged(super::sections());
    Overlay::Help(Help::new(sections, Theme::Colour))
}

fn entries() -> Vec<palette::Entry> {
    let entry = |label: &str, keys: &str, id| palette::Entry {
        label: label.into(),
        keys: keys.into(),
        id,
    };
    vec![
        entry("show the reasoning", "Ctrl-T", 7),
        entry("/undo: take back what the last turn changed", "", 8),
        entry("copy the last answer 字", "Ctrl-Y", 9),
    ]
}

fn all(since: Instant) -> Vec<Overlay> {
    let theme = Theme::Colour;
    vec![
        Overlay::Approval(ApprovalDialog::new(
            question(
                Effect::Run,
                "cargo test --lib\n字 \x1b[1m",
                &["run=cargo test --lib", "run:cargo test"],
            ),
            since,
            theme,
        )),
        Overlay::Approval(ApprovalDialog::new(
            question(Effect::Write, DIFF, &["write:src/x.rs"]),
            since,
            theme,
        )),
        Overlay::Confirm(Confirm::new("Quit?", "A turn runs.\n字", since, theme)),
        Overlay::Diff(Diff::new("what turn 3 changed", DIFF, theme)),
        Overlay::Help(Help::new(sections(), theme)),
        all_keys(),
        Overlay::Message(Message::new("/stats", "1 token\n\x1b[31m2 tokens", theme)),
        Overlay::Palette(Palette::new(entries())),
        Overlay::Sessions(Sessions::new(&[], SystemTime::UNIX_EPOCH)),
    ]
}

#[test]
fn a_confirmation_needs_its_key() {
    let since = Instant::now();
    let ask = || Overlay::Confirm(Confirm::new("Quit?", "A turn runs.", since, Theme::Colour));
    for nothing in ["<Enter>", "<Space>", "x", "<C-y>", "<Tab>"] {
        assert_eq!(typed(&mut ask(), since, nothing), None, "{nothing}");
    }
    for (key, answer) in [("y", Answer::Yes), ("n", Answer::No), ("<Esc>", Answer::No)] {
        assert_eq!(typed(&mut ask(), since, key), Some(Outcome::Answer(answer)));
    }
    assert_eq!(ask().key(Key::char('y'), since), None);
    insta::assert_snapshot!(shown(&mut ask(), 40, 12).join("\n"), @r#"
    ........................................
    ........................................
    ........................................
    ........................................
    ┌ Question ────────────────────────────┐
    │Quit?                                 │
    │A turn runs.                          │
    └ y yes · n no ────────────────────────┘
    ........................................
    ........................................
    ........................................
    ........................................
    "#);
    let long = "why ".repeat(200);
    let mut long = Overlay::Confirm(Confirm::new("Trust it?", &long, since, Theme::Colour));
    insta::assert_snapshot!(shown(&mut long, 40, 12).join("\n"), @r#"
    ┌ Question ────────────────────────────┐
    │Trust it?                             │
    │why why why why why why why why why   │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    │  why why why why why why why why why │
    └ y yes · n no · PgDn 14 more lines ───┘
    "#);
}

#[test]
fn what_belongs_together_is_listed_together() {
    let row = |keys: &str, help| (keys.to_owned(), help);
    let tables = vec![
        (
            "a".to_owned(),
            vec![row("1", "pick"), row("2", "pick"), row("q", "close")],
        ),
        ("b".to_owned(), vec![row("3", "pick")]),
        ("a".to_owned(), vec![row("4", "pick")]),
    ];
    let merged = vec![
        (
            "a".to_owned(),
            vec![row("1, 2", "pick"), row("q", "close"), row("4", "pick")],
        ),
        ("b".to_owned(), vec![row("3", "pick")]),
    ];
    assert_eq!(help::merged(tables), merged);
}

#[test]
fn help_is_found_by_typing() {
    let since = Instant::now();
    let mut help = Overlay::Help(Help::new(sections(), Theme::Colour));
    insta::assert_snapshot!(shown(&mut help, 60, 12).join("\n"), @r#"
    ..┌ Help ────────────────────────────────────────────────┐..
    ..│ Everywhere                                           │..
    ..│   Ctrl-C  stop                                       │..
    ..│   Ctrl-P  all commands                               │..
    ..│                                                      │..
    ..│ Writing                                              │..
    ..│   Alt-Enter, Shift-Enter, Ctrl-J, and another        │..
    ..│           new line                                   │..
    ..│   Enter   send                                       │..
    ..│                                                      │..
    ..│                                                      │..
    ..└ Esc close · / find ──────────────────────────────────┘..
    "#);
    assert_eq!(typed(&mut help, since, "/LINE"), None);
    insta::assert_snapshot!(shown(&mut help, 40, 12).join("\n"), @r#"
    ┌ Help ────────────────────────────────┐
    │find LINE                             │
    │Writing                               │
    │  Alt-Enter, Shift-Enter, Ctrl-J, and │
    │  another                             │
    │          new line                    │
    │                                      │
    │                                      │
    │                                      │
    │                                      │
    │                                      │
    └ Enter keep · Esc all keys ───────────┘
    "#);
    // Letters are the filter's until Enter; then Esc takes it away, and the next closes.
    assert_eq!(typed(&mut help, since, "q<Enter>"), None);
    assert_eq!(typed(&mut help, since, "<Esc>"), None);
    assert_eq!(typed(&mut help, since, "<Esc>"), Some(Outcome::Closed));
    for key in ["q", "?", "<F1>"] {
        assert_eq!(typed(&mut help, since, key), Some(Outcome::Closed));
    }
    insta::assert_snapshot!(shown(&mut all_keys(), 80, 24).join("\n"), @r#"
    ................................................................................
    ..┌ Help ────────────────────────────────────────────────────────────────────┐..
    ..│ question for permission                                                  │..
    ..│   y                      yes                                             │..
    ..│   e                      yes, and to all edits from now on               │..
    ..│   a                      always, exactly this                            │..
    ..│   p                      always, what begins like it                     │..
    ..│   n                      no                                              │..
    ..│   r                      no, and say why                                 │..
    ..│   Esc, Ctrl-C            stop the turn                                   │..
    ..│   Right, Tab             next answer                                     │..
    ..│   Left, Shift-Tab        answer before                                   │..
    ..│   Enter                  give the marked answer                          │..
    ..│                                                                          │..
    ..│ yes or no                                                                │..
    ..│   y                      yes                                             │..
    ..│   n, Esc, Ctrl-C         no                                              │..
    ..│                                                                          │..
    ..│ lists                                                                    │..
    ..│   Enter                  choose                                          │..
    ..│   Esc, Ctrl-C            close                                           │..
    ..│   Up, Ctrl-P             up                                              │..
    ..└ Esc close · / find · PgDn 40 more lines ─────────────────────────────────┘..
    ................................................................................
    "#);
}

#[test]
fn the_palette_gives_the_entry_that_was_meant() {
    let since = Instant::now();
    let palette = || Overlay::Palette(Palette::new(entries()));
    assert_eq!(
        typed(&mut palette(), since, "<Enter>"),
        Some(Outcome::Entry(7))
    );
    assert_eq!(
        typed(&mut palette(), since, "ldu<BS><BS><BS>undo<Enter>"),
        Some(Outcome::Entry(8))
    );
    assert_eq!(
        typed(&mut palette(), since, "<Down><C-n><Enter>"),
        Some(Outcome::Entry(9))
    );
    assert_eq!(typed(&mut palette(), since, "xyzzy<Enter>"), None);
    assert_eq!(typed(&mut palette(), since, "<Esc>"), Some(Outcome::Closed));
    let mut one = palette();
    typed(&mut one, since, "co");
    insta::assert_snapshot!(shown(&mut one, 60, 12).join("\n"), @r#"
    ............................................................
    ............................................................
    ............................................................
    ..┌ Commands ────────────────────────────────────────────┐..
    ..│ find co                                       1 of 3 │..
    ..│ > copy the last answer 字                     Ctrl-Y │..
    ..│                                                      │..
    ..│                                                      │..
    ..└ Enter choose · Esc close ────────────────────────────┘..
    ............................................................
    ............................................................
    ............................................................
    "#);
    assert_eq!(one.cursor(Rect::new(0, 0, 60, 12)), Some((11, 4).into()));
    insta::assert_snapshot!(shown(&mut palette(), 40, 6).join("\n"), @r#"
    ┌ Commands ────────────────────────────┐
    │find                            3 of 3│
    │> show the reasoning            Ctrl-T│
    │  /undo: take back what the last turn…│
    │  copy the last answer 字       Ctrl-Y│
    └ Enter choose · Esc close ────────────┘
    "#);
}

#[test]
fn a_diff_is_walked_by_files() {
    let since = Instant::now();
    let mut diff = Overlay::Diff(Diff::new("what turn 3 changed", DIFF, Theme::Colour));
    insta::assert_snapshot!(shown(&mut diff, 60, 8).join("\n"), @r#"
    ┌ what turn 3 changed (1 of 2 files) ──────────────────────┐
    │ --- a/x.rs                                               │
    │ +++ b/x.rs                                               │
    │ @@ -1,3 +1,3 @@                                          │
    │  fn main() {                                             │
    │ -    old();                                              │
    │ +    new("字␛[2J");                                      │
    └ Esc close · n next file · N file before ─────────────────┘
    "#);
    shown(&mut diff, 60, 6);
    assert_eq!(typed(&mut diff, since, "n"), None);
    let rows = shown(&mut diff, 60, 6);
    assert!(rows[0].contains("(2 of 2 files)"), "{rows:?}");
    assert!(rows[1].contains("--- a/y.rs"), "{rows:?}");
    typed(&mut diff, since, "N");
    assert!(shown(&mut diff, 60, 6)[1].contains("--- a/x.rs"));
    assert_eq!(typed(&mut diff, since, "q"), Some(Outcome::Closed));
}

#[test]
fn a_diff_has_its_colours() {
    let lines = diff::diff_lines(DIFF, Theme::Colour);
    let styles: Vec<_> = lines.iter().map(|line| line.spans[0].style).collect();
    let style = |role| Theme::Colour.style(role);
    use crate::tui::theme::Role;
    assert_eq!(styles[0], style(Role::Heading));
    assert_eq!(styles[2], style(Role::Dim));
    assert_eq!(styles[4], style(Role::Removed));
    assert_eq!(styles[5], style(Role::Added));
    assert_eq!(lines[5].to_string(), "+    new(\"字␛[2J\");");
}

#[test]
fn a_message_scrolls() {
    let since = Instant::now();
    let text: String = (1..=30).map(|n| format!("line {n}\n")).collect();
    let mut message = Overlay::Message(Message::new("/stats", &text, Theme::Colour));
    insta::assert_snapshot!(shown(&mut message, 40, 6).join("\n"), @r#"
    ┌ /stats ──────────────────────────────┐
    │line 1                                │
    │line 2                                │
    │line 3                                │
    │line 4                                │
    └ Esc close · PgDn 26 more lines ──────┘
    "#);
    typed(&mut message, since, "<PgDn><Down>");
    assert!(shown(&mut message, 40, 6)[1].contains("line 5"));
    typed(&mut message, since, "G");
    assert!(shown(&mut message, 40, 6)[4].contains("line 30"));
    assert_eq!(typed(&mut message, since, "<Enter>"), Some(Outcome::Closed));
}

#[test]
fn wide_characters_below_do_not_move_a_border() {
    let since = Instant::now();
    let screen = Rect::new(0, 0, 81, 24);
    let mut buf = Buffer::empty(screen);
    for y in 0..24 {
        buf.set_string(y % 2, y, "字".repeat(40), ratatui::style::Style::new());
    }
    for mut overlay in all(since) {
        let mut buf = buf.clone();
        overlay.layout(screen);
        overlay.render(screen, &mut buf, Theme::Colour);
        // What a terminal shows is what it is told from a blank screen.
        let mut cells = vec![" "; 81 * 24];
        let blank = Buffer::empty(screen);
        let drawn = blank.diff(&buf);
        for (x, y, cell) in &drawn {
            cells[usize::from(*y) * 81 + usize::from(*x)] = cell.symbol();
        }
        for (at, cell) in buf.content().iter().enumerate() {
            let is_border = "┌┐└┘│".contains(cell.symbol()) && cell.symbol() != " ";
            assert!(!is_border || cells[at] == cell.symbol(), "{at}");
        }
    }
}

#[test]
fn no_key_does_two_things_in_a_place() {
    fn of<A>(bindings: &[Binding<A>]) -> Vec<Key> {
        { bindings.iter() }
            .flat_map(|one| one.keys)
            .copied()
            .collect()
    }
    let scroll = of(scroll::KEYS);
    let walk = of(picker::KEYS);
    for places in [
        vec![of(approval::KEYS), scroll.clone()],
        vec![of(confirm::KEYS), scroll.clone()],
        vec![of(diff::KEYS), scroll.clone()],
        vec![of(help::KEYS), scroll.clone()],
        vec![of(help::FILTER_KEYS), of(field::KEYS)],
        vec![of(message::KEYS), scroll],
        vec![of(finder::KEYS), walk.clone(), of(field::KEYS)],
        vec![of(sessions::KEYS), walk, of(field::KEYS)],
    ] {
        let keys = places.concat();
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{}", key.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_keys_at_any_size_break_them(
        pressed in "[abefgjknprqyGN/ ?\u{301}字👩]{0,20}",
        named in proptest::collection::vec(proptest::sample::select(vec![
            "<Up>", "<Down>", "<PgDn>", "<PgUp>", "<End>", "<Home>", "<Left>", "<Right>", "<Tab>",
            "<BS>", "<Del>", "<C-w>", "<C-k>", "<C-u>", "<C-a>",
        ]), 0..20),
        pasted in "[a\n\r\t\u{1b}字]{0,12}",
        (width, height) in (0u16..120, 0u16..40),
    ) {
        let since = Instant::now();
        let screen = Rect::new(0, 0, width, height);
        for mut overlay in all(since) {
            let mut pressed = keys(&pressed).into_iter();
            for name in &named {
                overlay.key(keys(name)[0], since + LATER);
                if let Some(key) = pressed.next() {
                    overlay.key(key, since + LATER);
                }
            }
            overlay.paste(&pasted);
            overlay.layout(screen);
            let mut buf = Buffer::empty(screen);
            overlay.render(screen, &mut buf, Theme::Plain);
            if let Some(cursor) = overlay.cursor(screen) {
                prop_assert!(screen.contains(cursor), "{cursor:?} {screen:?}");
            }
            for cell in buf.content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
            // Without a layout for this size there is something to see as well.
            let other = Rect::new(0, 0, height, width);
            overlay.render(other, &mut Buffer::empty(other), Theme::Colour);
        }
    }
}
