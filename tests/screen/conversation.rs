//! Turns with the demo model: messages, reasoning, questions, stopping, waiting.

use std::time::Duration;

use crate::terminal::World;

/// What is typed so soon after a question has come was meant for something else.
const GUARD: Duration = Duration::from_millis(400);

#[test]
fn a_conversation_on_a_terminal() {
    let world = World::new();
    let mut terminal = world.start(24, 80, &[]);
    terminal.wait_idle();
    terminal.say("list the files in src");
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait_idle();
    let screen = terminal.contents();
    assert!(screen.contains("reasoning"), "{screen}");
    assert!(screen.contains("tok/s"), "{screen}");

    // A question shows the effect and the keys; Enter alone allows nothing.
    terminal.say("create a.txt with \"x y\"");
    terminal.wait("Change this file?");
    std::thread::sleep(GUARD);
    terminal.press("\r");
    terminal.settled();
    assert!(!world.root().join("a.txt").exists());
    terminal.press("y");
    terminal.wait("I created a.txt.");
    terminal.wait_idle();
    let written = std::fs::read_to_string(world.root().join("a.txt")).unwrap();
    assert_eq!(written.trim_end(), "x y");

    terminal.say("create b.txt with \"x y\"");
    terminal.wait("Change this file?");
    std::thread::sleep(GUARD);
    terminal.press("n");
    terminal.wait("denied by the user");
    terminal.wait_idle();
    assert!(!world.root().join("b.txt").exists());
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn a_turn_is_stopped_and_messages_wait() {
    let world = World::new();
    let mut terminal = world.start(24, 80, &["--allow", "run"]);
    terminal.wait_idle();
    terminal.say("run the command sh slow.sh");
    terminal.wait_until("the command runs", |_| {
        world.root().join("running").exists()
    });
    terminal.press("list the files in src");
    terminal.wait("in src");
    terminal.press("\t");
    terminal.wait("1 message waits");
    terminal.press("\x1b");
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait_idle();
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn a_session_goes_on_after_a_restart() {
    let world = World::new();
    let mut terminal = world.start(40, 120, &[]);
    terminal.wait_idle();
    terminal.say("list the files in src");
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait_idle();
    assert_eq!(terminal.leave(), 0);
    let terminal = world.start(40, 120, &["--continue"]);
    terminal.wait_idle();
    let screen = terminal.contents();
    for part in ["list the files in src", "src contains lib.rs, main.rs."] {
        assert!(screen.contains(part), "{part} in {screen}");
    }
    assert_eq!(terminal.leave(), 0);
}
