//! What is typed becomes turns, words to the turn that runs, and commands.

use super::world::World;
use crate::agent::Event;
use crate::tui::app::{Pane, Phase};
use crate::tui::driver::Report;
use crate::tui::theme::Theme;

/// Types a message and Enter.
fn say(world: &mut World, text: &str) -> Vec<String> {
    world.press(&format!("{}<Enter>", text.replace(' ', "<Space>")))
}

fn work(what: &str) -> Phase {
    Phase::Working { what: what.into() }
}

#[test]
fn enter_sends_and_the_turn_is_shown() {
    let mut world = World::usual();
    let effects = say(&mut world, "do it");
    assert_eq!(effects, ["Job(Turn(\"do it\"))", "Remember(\"do it\")"]);
    assert_eq!(world.app.phase, work("one moment"));
    world.agent(Event::TurnStarted);
    for (done, total) in [(0, 100), (40, 100)] {
        world.agent(Event::Prefill { done, total });
        assert!(matches!(world.app.phase, Phase::Reading(_)));
    }
    world.agent(Event::Prefill {
        done: 100,
        total: 100,
    });
    assert_eq!(world.app.phase, work("thinking"));
    world.agent(Event::Text { text: "a".into() });
    assert_eq!(world.app.phase, work("answering"));
    world.idle();
    assert_eq!(world.app.phase, Phase::Idle);
}

#[test]
fn enter_steers_and_tab_queues_while_a_turn_runs() {
    let mut world = World::working();
    assert_eq!(
        say(&mut world, "now"),
        ["Steer(\"now\")", "Remember(\"now\")"]
    );
    assert_eq!(world.press("a<Tab>"), ["Remember(\"a\")"]);
    assert_eq!(world.press("b<Tab>"), ["Remember(\"b\")"]);
    assert_eq!(world.app.queue, ["a", "b"]);
    // The last one comes back first.
    assert_eq!(world.press("<Up>"), [""; 0]);
    assert_eq!(world.app.composer.text(), "b");
    assert_eq!(world.app.queue, ["a"]);
    // What is written is not lost for what waits.
    world.press("<Up>");
    assert_eq!(world.app.queue, ["a"]);
    world.press("<C-u><Up>");
    assert_eq!(world.app.composer.text(), "a");
    assert!(world.app.queue.is_empty());
}

#[test]
fn what_waits_is_sent_turn_by_turn() {
    let mut world = World::working();
    world.press("a<Tab>b<Tab>");
    // What came too late for the turn is said first.
    assert_eq!(
        world.idle_with(vec!["late".into()]),
        ["Job(Turn(\"late\"))"]
    );
    assert_eq!(world.idle(), ["Job(Turn(\"a\"))"]);
    assert_eq!(world.app.phase, work("one moment"));
    assert_eq!(world.idle(), ["Job(Turn(\"b\"))"]);
    assert_eq!(world.idle(), [""; 0]);
    assert_eq!(world.app.phase, Phase::Idle);
}

#[test]
fn a_message_can_be_written_before_the_bundle_is_there() {
    let mut world = World::loading((80, 24), Theme::Colour);
    assert_eq!(say(&mut world, "early"), ["Remember(\"early\")"]);
    let opened = world.opened();
    assert_eq!(world.report(Report::Ready(Box::new(opened))), ["Files"]);
    assert_eq!(world.idle(), ["Job(Turn(\"early\"))"]);
}

#[test]
fn commands_are_obeyed_and_own_ones_are_messages() {
    let mut world = World::usual();
    assert_eq!(
        say(&mut world, "/compact tests"),
        [
            "Job(Obey(Compact, \"tests\"))",
            "Remember(\"/compact tests\")"
        ]
    );
    world.idle();
    assert_eq!(
        say(&mut world, "/review it"),
        ["Job(Turn(\"/review it\"))", "Remember(\"/review it\")"]
    );
    world.idle();
    assert_eq!(say(&mut world, "/sessions x"), {
        ["Job(Obey(Sessions, \"x\"))", "Remember(\"/sessions x\")"]
    });
    world.idle();
    assert_eq!(say(&mut world, "!ls -l"), {
        ["Job(Shell(\"ls -l\"))", "Remember(\"!ls -l\")"]
    });
}

#[test]
fn an_unknown_command_is_told_the_nearest() {
    let mut world = World::usual();
    assert_eq!(say(&mut world, "/hlep me"), ["Remember(\"/hlep me\")"]);
    assert_eq!(world.app.phase, Phase::Idle);
    let rows = world.rows(world.app.areas.conversation).join("\n");
    assert!(
        rows.contains("no command /hlep; the nearest is /help"),
        "{rows}"
    );
}

#[test]
fn an_earlier_message_is_edited() {
    let mut world = World::usual();
    for text in ["first", "second"] {
        world.user(text);
        world.answer("Hm.</think>Yes.", Vec::new());
        world.end_turn();
    }
    world.press("<Esc><Esc>");
    assert_eq!(world.app.focus, Pane::Conversation);
    // From the last item to the first message.
    world.press("[[[[E");
    assert_eq!(world.app.focus, Pane::Composer);
    assert_eq!(world.app.composer.text(), "/edit 1 first");
    let effects = world.press("!<Enter>");
    assert_eq!(
        effects,
        ["Job(Edit(1, \"first!\"))", "Remember(\"/edit 1 first!\")"]
    );
    // The same without a number and a text.
    world.idle();
    world.press("/edit<Space><Enter>");
    assert_eq!(world.app.focus, Pane::Conversation);
}

#[test]
fn the_palette_does_what_needs_nothing_more_and_types_the_rest() {
    let mut world = World::usual();
    let effects = world.press("<C-p>cache<Space>saved<Enter>");
    assert_eq!(effects, ["Job(Obey(Stats, \"\"))"]);
    assert!(world.app.overlay.is_none());
    world.idle();
    assert_eq!(
        world.press("<C-p>keep<Space>a<Space>message<Enter>"),
        [""; 0]
    );
    assert_eq!(world.app.composer.text(), "/pin ");
    assert_eq!(world.press("<C-u><C-p>anew<Enter>"), ["Redraw"]);
    assert_eq!(world.press("<C-p><Esc>"), [""; 0]);
    assert!(world.app.overlay.is_none());
}
