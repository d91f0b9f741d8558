//! A fork at a token, from the keys to the branches after a restart.

use crate::terminal::World;

const F6: &str = "\x1b[17~";
const RIGHT: &str = "\x1b[C";
const UP: &str = "\x1b[A";

#[test]
fn an_answer_is_forked_compared_and_found_again() {
    let world = World::new();
    let mut terminal = world.start(36, 120, &[]);
    terminal.wait_idle();
    terminal.say("list the files in src");
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait_idle();

    // "I have the list." to "I have."
    terminal.press(F6);
    terminal.press("g");
    terminal.press(RIGHT);
    terminal.press(RIGHT);
    terminal.press(RIGHT);
    terminal.wait("id ");
    terminal.press("f");
    terminal.wait("Instead of");
    terminal.press("2\r");
    terminal.wait("from here on it is another branch");
    terminal.wait_idle();
    let screen = terminal.contents();
    let reused = screen.lines().last().unwrap().split(" · ");
    let reused = { reused }.find_map(|part| part.strip_suffix(" reused"));
    let numbers: Vec<usize> = { reused.unwrap().split(" of ") }
        .map(|number| number.trim().replace(',', "").parse().unwrap())
        .collect();
    assert!(numbers[1] - numbers[0] <= 2, "prefilled more: {screen}");

    terminal.press("B");
    terminal.wait("Branches:");
    terminal.press(UP);
    terminal.press("c");
    terminal.wait("── token 4: ");
    terminal.press("\x1b");
    terminal.settled();
    assert_eq!(terminal.leave(), 0);

    let mut terminal = world.start(36, 120, &["--continue"]);
    terminal.wait_idle();
    terminal.wait("from here on it is another branch");
    terminal.press(F6);
    terminal.settled();
    terminal.press("B");
    terminal.wait("Branches:");
    terminal.wait("(here)");
    terminal.press("\x1b");
    terminal.settled();
    assert_eq!(terminal.leave(), 0);
}
