//! `--inline`: what is finished is the terminal's, once and in order.

use crate::terminal::World;

#[test]
fn what_is_finished_stays_in_the_terminal() {
    let world = World::new();
    let mut terminal = world.start(12, 80, &["--inline"]);
    terminal.wait_idle();
    assert!(!terminal.is_alternate());
    for (request, answer) in [
        ("list the files in src", "src contains lib.rs, main.rs."),
        ("read src/main.rs", "say hi"),
    ] {
        terminal.say(request);
        terminal.wait("─ Steer");
        terminal.wait_until(answer, |screen| screen.contains(answer));
        terminal.wait_idle();
    }
    // Help takes the other screen, and gives this one back.
    let before = terminal.settled();
    terminal.press("\x1bOP");
    terminal.wait("┌ Help");
    assert!(terminal.is_alternate());
    terminal.press("\x1b");
    terminal.wait("─ Message");
    assert!(!terminal.is_alternate());
    assert_eq!(terminal.settled(), before);
    let all = terminal.scrollback();
    let mut last = 0;
    for line in [
        "❯ list the files in src",
        "✓ list_dir src",
        "src contains lib.rs, main.rs.",
        "❯ read src/main.rs",
        "✓ read_file src/main.rs",
    ] {
        let places: Vec<usize> = all.match_indices(line).map(|(at, _)| at).collect();
        assert_eq!(places.len(), 1, "{line} in {all}");
        assert!(places[0] > last, "{line} in {all}");
        last = places[0];
    }
    assert!(!all[..last].contains("─ Message"), "{all}");
    assert_eq!(terminal.leave(), 0);
}
