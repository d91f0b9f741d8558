//! How a turn is stopped, and how the program ends.

use super::world::World;
use crate::agent::Exit;
use crate::tui::app::{App, Phase};
use crate::tui::driver::Report;
use crate::tui::event::Event;
use crate::tui::theme::Theme;

const LEAVES: [&str; 2] = ["Stop", "Leave(Done)"];

#[test]
fn ctrl_c_clears_what_is_typed_and_twice_leaves() {
    let mut world = World::usual();
    assert_eq!(world.press("hi<C-c>"), [""; 0]);
    assert_eq!(world.app.composer.text(), "");
    let flash = |world: &World| world.app.flash(world.now).map(str::to_owned);
    assert_eq!(
        flash(&world).as_deref(),
        Some("cleared (Ctrl-C once more leaves)")
    );
    world.pass(1999);
    assert_eq!(world.press("<C-c>"), LEAVES);

    let mut world = World::usual();
    assert_eq!(world.press("<C-c>"), [""; 0]);
    world.pass(2000);
    assert_eq!(flash(&world), None);
    assert_eq!(world.press("<C-c>"), [""; 0]);
    assert_eq!(flash(&world).as_deref(), Some("Ctrl-C once more leaves"));
    assert_eq!(world.press("<C-c>"), LEAVES);
}

#[test]
fn ctrl_c_and_escape_stop_a_turn() {
    let mut world = World::working();
    assert_eq!(world.press("so<C-c>"), ["Stop"]);
    assert_eq!(world.app.composer.text(), "");
    assert_eq!(
        world.app.flash(world.now),
        Some("stopping (Ctrl-C once more leaves)")
    );
    assert_eq!(world.press("<C-c>"), LEAVES);

    let mut world = World::working();
    assert_eq!(world.press("so<Esc>"), ["Stop"]);
    // What is written for later stays.
    assert_eq!(world.app.composer.text(), "so");
    // A list that is open is closed first.
    let mut world = World::working();
    assert_eq!(world.press("/st<Esc>"), [""; 0]);
    assert_eq!(world.press("<Esc>"), ["Stop"]);
    // And where nothing runs there is nothing to stop.
    assert_eq!(World::usual().press("<Esc>"), [""; 0]);
}

#[test]
fn ctrl_d_and_quit_leave() {
    let mut world = World::usual();
    assert_eq!(world.press("ab<Left><C-d>"), [""; 0]);
    assert_eq!(world.app.composer.text(), "a");
    assert_eq!(world.press("<BS><C-d>"), LEAVES);
    let effects = World::usual().press("/quit<Space><Enter>");
    assert_eq!(effects[..2], LEAVES);
}

#[test]
fn a_start_that_fails_leaves_with_its_status() {
    let mut world = World::loading((80, 24), Theme::Colour);
    let report = Report::Failed(Exit::Bundle, "no such bundle".into());
    assert_eq!(App::failed(&report), Some((Exit::Bundle, "no such bundle")));
    assert_eq!(world.report(report), ["Leave(Bundle)"]);
}

#[test]
fn the_systems_wish_is_heard() {
    let mut world = World::working();
    let effects = super::world::told(world.happen(Event::Terminate));
    assert_eq!(effects, ["Stop", "Leave(Interrupted)"]);
}

#[test]
fn leaving_is_possible_while_a_bundle_loads() {
    let mut world = World::loading((80, 24), Theme::Colour);
    assert!(matches!(world.app.phase, Phase::Loading(_)));
    assert_eq!(world.press("<C-c><C-c>"), LEAVES);
}
