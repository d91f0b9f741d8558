//! Questions and their answers, and whom they are told.

use super::world::{World, done, told};
use crate::agent::Question;
use crate::agent::slash::Way;
use crate::sandbox::Rule;
use crate::tools::Effect;
use crate::tui::driver::Report;
use crate::tui::event::Event;
use crate::tui::theme::Theme;

fn question(effect: Effect) -> Report {
    Report::Asks(Question {
        id: "call_1".into(),
        name: "run_command".into(),
        effect,
        preview: "cargo test".into(),
        always: vec!["run=cargo test".parse::<Rule>().unwrap()],
    })
}

/// What keys come to that are pressed when the question was there for a second.
fn answer(effect: Effect, keys: &str) -> Vec<String> {
    let mut world = World::working();
    assert_eq!(world.report(question(effect)), [""; 0]);
    world.pass(1000);
    let effects = world.press(keys);
    assert!(world.app.overlay.is_none(), "{keys}");
    effects
}

#[test]
fn each_key_gives_its_answer() {
    assert_eq!(answer(Effect::Run, "y"), ["Answer(Yes)"]);
    assert_eq!(answer(Effect::Run, "n"), ["Answer(No)"]);
    assert_eq!(answer(Effect::Write, "e"), ["Answer(AcceptEdits)"]);
    let because = answer(Effect::Run, "ruse<Space>make<Enter>");
    assert_eq!(because, ["Answer(NoBecause(\"use make\"))"]);
    let always = answer(Effect::Run, "a");
    let rule = "run=cargo test".parse::<Rule>().unwrap();
    assert_eq!(always, [format!("Answer(Always({rule:?}))")]);
    for stops in ["<Esc>", "<C-c>"] {
        assert_eq!(answer(Effect::Run, stops), ["Stop", "Answer(Stop)"]);
    }
}

#[test]
fn what_is_typed_on_from_before_is_no_answer() {
    let mut world = World::working();
    world.press("so");
    world.report(question(Effect::Run));
    world.pass(100);
    assert_eq!(world.press("y<Enter>n"), [""; 0]);
    assert!(world.app.overlay.is_some());
    world.pass(400);
    assert_eq!(world.press("n"), ["Answer(No)"]);
    // It was not typed into the message either.
    assert_eq!(world.app.composer.text(), "so");
}

#[test]
fn a_folders_settings_are_asked_about_before_there_is_an_agent() {
    for (keys, effects) in [("<Enter>y", ["Answer(Yes)"]), ("<Space>n", ["Answer(No)"])] {
        let mut world = World::loading((80, 24), Theme::Colour);
        world.report(Report::AsksForTrust("top_p = 0.5".into()));
        let rows = world.rows(world.screen()).join("\n");
        assert!(rows.contains("top_p = 0.5"), "{rows}");
        world.pass(1000);
        assert_eq!(world.press(keys), effects);
        assert!(world.app.overlay.is_none());
    }
}

#[test]
fn files_are_overwritten_only_after_a_yes() {
    let asked = || {
        let mut world = World::usual();
        world.press("/undo<Enter>");
        world.report(Report::Conflicts(Way::Back, "a.rs was changed".into()));
        world.idle();
        world.pass(1000);
        world
    };
    assert_eq!(asked().press("y"), ["Job(Overwrite(Back))"]);
    let mut world = asked();
    assert_eq!(world.press("n"), [""; 0]);
    let rows = world.rows(world.app.areas.conversation).join("\n");
    assert!(rows.contains("nothing was changed"), "{rows}");
}

#[test]
fn only_who_looks_elsewhere_is_called() {
    let mut world = World::working();
    assert_eq!(world.report(question(Effect::Run)), [""; 0]);
    assert_eq!(world.agent(done()), [""; 0]);
    assert_eq!(told(world.happen(Event::Unfocused)), [""; 0]);
    assert_eq!(
        world.report(question(Effect::Run)),
        ["Notify(\"a question waits for you\")"]
    );
    assert_eq!(world.agent(done()), ["Notify(\"the turn is over\")"]);
    world.happen(Event::Focused);
    assert_eq!(world.agent(done()), [""; 0]);
}
