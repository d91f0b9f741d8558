//! How the program treats the terminal it was lent: it gives it back however it ends,
//! passes nothing hostile on to it, and loses nothing when its size changes.

use proptest::prelude::RngExt;
use proptest::test_runner::TestRunner;
use rustix::process::{Signal, kill_process};

use crate::terminal::{Terminal, World};

#[test]
fn the_terminal_is_as_it_was() {
    let world = World::new();
    let mut terminal = world.start(24, 80, &[]);
    terminal.wait_idle();
    assert!(terminal.is_alternate() && !terminal.is_cooked());
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
    assert!(!terminal.is_alternate() && terminal.is_cooked());
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = world.start(24, 80, &[]);
        terminal.wait_idle();
        kill_process(terminal.pid(), signal).unwrap();
        assert_eq!(terminal.ended(), 130);
        assert!(!terminal.is_alternate() && terminal.is_cooked());
    }
}

#[test]
fn a_bundle_that_can_not_be_used_is_one_line_and_a_status() {
    let world = World::new();
    let mut terminal = world.start(24, 80, &["--model", "/does/not/exist"]);
    assert_eq!(terminal.ended(), 3);
    let screen = terminal.contents();
    assert!(screen.contains("cairn: error: /does/not/exist"), "{screen}");
    assert!(!terminal.is_alternate() && terminal.is_cooked());
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let world = World::new();
    let mut terminal = world.start(24, 100, &[]);
    terminal.wait_idle();
    terminal.say("read evil.txt");
    terminal.wait("a␛[2Jb␛]0;t␇c");
    terminal.wait_idle();
    let raw = terminal.raw();
    assert!(!raw.contains("\x1b]0;") && !raw.contains("a\x1b[2J"));
    terminal.say("read wide.txt");
    terminal.wait("漢字かな交じり文 🦀🎉 end");
    terminal.wait_idle();
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn without_colour_there_is_none() {
    let world = World::new();
    let size = (24, 80);
    let mut terminal = Terminal::start(&world, size, &[], &[("NO_COLOR", "1")]);
    terminal.wait_idle();
    terminal.say("list the files in src");
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait_idle();
    // Colours are 30 to 37, 90 to 97, and 38 with more behind it.
    let raw = terminal.raw();
    let sequences = raw.split("\x1b[").skip(1);
    let styles = sequences.filter_map(|rest| rest.split_once('m').map(|(style, _)| style));
    for style in styles.filter(|style| style.chars().all(|c| c.is_ascii_digit() || c == ';')) {
        let coloured = style.split(';').any(|part| {
            let number = part.parse().unwrap_or(0);
            (30..=38).contains(&number) || (40..=48).contains(&number) || number >= 90
        });
        assert!(!coloured, "{style:?}");
    }
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn a_thousand_sizes_lose_no_line() {
    let world = World::new();
    let mut terminal = world.start(40, 120, &[]);
    terminal.wait_idle();
    for request in ["list the files in src", "read src/main.rs", "hello"] {
        terminal.say(request);
        terminal.wait("─ Steer");
        terminal.wait_idle();
    }
    let before = terminal.settled();
    let mut random = TestRunner::deterministic().new_rng();
    for _ in 0..1000 {
        let rows = random.random_range(1..100);
        let columns = random.random_range(1..300);
        terminal.resize(rows, columns);
    }
    terminal.resize(40, 120);
    terminal.press("\x0c");
    terminal.wait_until("all is where it was", |screen| {
        trimmed(screen) == trimmed(&before)
    });
    assert_eq!(terminal.leave(), 0);
}

/// Rows without the blanks at their ends, which nobody sees.
fn trimmed(screen: &str) -> Vec<&str> {
    screen.lines().map(str::trim_end).collect()
}
