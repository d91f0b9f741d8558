use std::time::{Duration, Instant};

use super::approval::ApprovalDialog;
use super::testing::keys;
use super::tests::{question, shown, typed};
use super::{Outcome, Overlay};
use crate::agent::Approval;
use crate::sandbox::Rule;
use crate::tools::Effect;
use crate::tui::keys::Key;
use crate::tui::theme::Theme;

const RULES: &[&str] = &["run=cargo test --lib", "run:cargo test"];

fn open(effect: Effect, preview: &str, always: &[&str], since: Instant) -> Overlay {
    let question = question(effect, preview, always);
    Overlay::Approval(ApprovalDialog::new(question, since, Theme::Colour))
}

/// The answer that keys give to a command with both rules.
fn answer(text: &str) -> Option<Approval> {
    let since = Instant::now();
    let mut dialog = open(Effect::Run, "cargo test --lib", RULES, since);
    match typed(&mut dialog, since, text)? {
        Outcome::Approval(approval) => Some(approval),
        other => panic!("{other:?}"),
    }
}

fn always(rule: &str) -> Option<Approval> {
    Some(Approval::Always(rule.parse::<Rule>().unwrap()))
}

#[test]
fn each_answer_has_its_key() {
    assert_eq!(answer("y"), Some(Approval::Yes));
    assert_eq!(answer("n"), Some(Approval::No));
    assert_eq!(answer("a"), always("run=cargo test --lib"));
    assert_eq!(answer("p"), always("run:cargo test"));
    assert_eq!(answer("<Esc>"), Some(Approval::Stop));
    assert_eq!(answer("<C-c>"), Some(Approval::Stop));
    // Edits are no command's matter.
    assert_eq!(answer("e"), None);
    let since = Instant::now();
    let mut write = open(Effect::Write, "+x", &[], since);
    assert_eq!(
        typed(&mut write, since, "e"),
        Some(Outcome::Approval(Approval::AcceptEdits))
    );
    let mut write = open(Effect::Write, "+x", &[], since);
    assert_eq!(typed(&mut write, since, "a"), None);
    assert_eq!(typed(&mut write, since, "p"), None);
}

#[test]
fn a_reason_is_typed_and_can_be_left() {
    let because = |why: &str| Some(Approval::NoBecause(why.to_owned()));
    assert_eq!(answer("ruse<Space>make<Enter>"), because("use make"));
    assert_eq!(answer("r<Enter>"), Some(Approval::No));
    assert_eq!(answer("ryes<Esc>"), None);
    assert_eq!(answer("ryes<Esc>y"), Some(Approval::Yes));
    assert_eq!(answer("rno<C-c>"), Some(Approval::Stop));
    let since = Instant::now();
    let mut dialog = open(Effect::Run, "ls", &[], since);
    dialog.paste("y\n");
    typed(&mut dialog, since, "r");
    dialog.paste("in\ntwo lines\n");
    assert_eq!(
        typed(&mut dialog, since, "<Enter>"),
        Some(Outcome::Approval(Approval::NoBecause(
            "in two lines".into()
        )))
    );
}

#[test]
fn enter_answers_only_what_was_moved_to() {
    assert_eq!(answer("<Enter>"), None);
    assert_eq!(answer("<Down><Enter>"), None);
    assert_eq!(answer("<Space><Enter>"), None);
    assert_eq!(answer("<Right><Enter>"), Some(Approval::Yes));
    assert_eq!(answer("<Tab><Right><Enter>"), Some(Approval::No));
    assert_eq!(answer("<Left><Enter>"), always("run:cargo test"));
    let because = Some(Approval::NoBecause("fine".into()));
    assert_eq!(
        answer("<Left><Left><Left><Left><Enter>fine<Enter>"),
        because
    );
}

#[test]
fn what_is_typed_on_from_before_is_no_answer() {
    let since = Instant::now();
    let at = |millis| since + Duration::from_millis(millis);
    let mut dialog = open(Effect::Run, "rm -rf x", &[], since);
    // In the middle of "yes, any": none of it counts until there is a pause.
    for (key, millis) in keys("yesany")
        .into_iter()
        .zip([10, 200, 390, 600, 800, 1000])
    {
        assert_eq!(dialog.key(key, at(millis)), None);
    }
    assert_eq!(dialog.key(Key::char('y'), at(1290)), None);
    assert_eq!(
        dialog.key(Key::char('y'), at(1600)),
        Some(Outcome::Approval(Approval::Yes))
    );
    let mut dialog = open(Effect::Run, "rm -rf x", &[], since);
    assert_eq!(
        dialog.key(keys("<Esc>")[0], at(1)),
        Some(Outcome::Approval(Approval::Stop))
    );
}

#[test]
fn nothing_else_allows_anything() {
    let since = Instant::now();
    let mut dialog = open(Effect::Run, "rm -rf x", RULES, since);
    let odd = "<C-y><A-y>Y<C-a><A-a>N1xz<F1><Home><End><PgDn><PgUp><Up><Down><Space>jkgG<BS><Del>";
    for key in keys(odd) {
        assert_eq!(
            dialog.key(key, since + Duration::from_secs(1)),
            None,
            "{}",
            key.name()
        );
        shown(&mut dialog, 40, 12);
        shown(&mut dialog, 80, 24);
    }
}

#[test]
fn it_shows_the_effect_and_the_keys_at_any_size() {
    let since = Instant::now();
    let command = "find . -name '*.rs' -newer Cargo.toml -exec grep -n 'fn main' {} + | sort";
    let mut dialog = open(Effect::Run, command, &[&format!("run={command}")], since);
    insta::assert_snapshot!(shown(&mut dialog, 40, 12).join("\n"), @r#"
    ........................................
    ........................................
    ┌ Run this command? (run_command) ─────┐
    │find . -name '*.rs' -newer Cargo.toml │
    │  -exec grep -n 'fn main' {} + | sort │
    │                                      │
    │[y] yes  [n] no  [r] no, because      │
    │[Esc] stop  [a] always this           │
    └──────────────────────────────────────┘
    ........................................
    ........................................
    ........................................
    "#);
    let diff = "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n 1\n-2\n+two 字\n 3\n 4\n 5\n 6\n 7\n 8\n 9";
    let mut dialog = open(Effect::Write, diff, &["write:src/x.rs"], since);
    insta::assert_snapshot!(shown(&mut dialog, 40, 12).join("\n"), @r#"
    ┌ Change this file? (run_command) ─────┐
    │--- a/x                               │
    │+++ b/x                               │
    │@@ -1,9 +1,9 @@                       │
    │ 1                                    │
    │-2                                    │
    │+two 字                               │
    │                                      │
    │[y] yes  [e] all edits  [n] no        │
    │[r] no, because  [Esc] stop           │
    │[a] always write:src/x.rs             │
    └ PgDn 7 more lines ───────────────────┘
    "#);
    typed(&mut dialog, since, "<PgDn><Right>");
    insta::assert_snapshot!(shown(&mut dialog, 40, 12).join("\n"), @r#"
    ┌ Change this file? (run_command) ─────┐
    │+two 字                               │
    │ 3                                    │
    │ 4                                    │
    │ 5                                    │
    │ 6                                    │
    │ 7                                    │
    │                                      │
    │>[y] yes  [e] all edits  [n] no       │
    │[r] no, because  [Esc] stop           │
    │[a] always write:src/x.rs             │
    └ PgDn 2 more lines ───────────────────┘
    "#);
    let mut dialog = open(Effect::Run, "cargo test --lib", RULES, since);
    insta::assert_snapshot!(shown(&mut dialog, 80, 24).join("\n"), @r#"
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ..┌ Run this command? (run_command) ─────────────────────────────────────────┐..
    ..│ cargo test --lib                                                         │..
    ..│                                                                          │..
    ..│ [y] yes  [n] no  [r] no, because  [Esc] stop  [a] always this            │..
    ..│ [p] always run:cargo test                                                │..
    ..└──────────────────────────────────────────────────────────────────────────┘..
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    ................................................................................
    "#);
    typed(&mut dialog, since, "ruse");
    insta::assert_snapshot!(shown(&mut dialog, 200, 12).join("\n"), @r#"
    ........................................................................................................................................................................................................
    ........................................................................................................................................................................................................
    ........................................................................................................................................................................................................
    .............................................┌ Run this command? (run_command) ───────────────────────────────────────────────────────────────────────────┐.............................................
    .............................................│ cargo test --lib                                                                                           │.............................................
    .............................................│                                                                                                            │.............................................
    .............................................│ why not: use                                                                                               │.............................................
    .............................................└ Enter send · Esc back ─────────────────────────────────────────────────────────────────────────────────────┘.............................................
    ........................................................................................................................................................................................................
    ........................................................................................................................................................................................................
    ........................................................................................................................................................................................................
    ........................................................................................................................................................................................................
    "#);
}

#[test]
fn a_long_rule_hides_neither_the_command_nor_the_way_out() {
    let since = Instant::now();
    let program = "x".repeat(300);
    let rules = [format!("run={program}"), format!("run:{program}")];
    let rules = rules.each_ref().map(String::as_str);
    let mut dialog = open(Effect::Run, &program, &rules, since);
    insta::assert_snapshot!(shown(&mut dialog, 40, 12).join("\n"), @r#"
    ┌ Run this command? (run_command) ─────┐
    │xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx│
    │  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx│
    │  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx│
    │  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx│
    │                                      │
    │[y] yes  [n] no  [r] no, because      │
    │[Esc] stop  [a] always this           │
    │[p] always                            │
    │  run:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx│
    │  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…│
    └ PgDn 5 more lines ───────────────────┘
    "#);
}
