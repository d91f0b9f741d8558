//! The whole program by hand, as a script: in tmux the demo model does three turns, its
//! reasoning is walked, a fork is made at a token, both branches are compared, and a
//! second process finds them again. What tmux shows at four moments is the README's
//! picture; `cargo xtask readme-panes` puts it there, and otherwise it is compared.

mod pictures;
mod tmux;

use std::fs;

use pictures::Pictures;
use tmux::Tmux;

/// The token of the third turn's reasoning that is replaced, counted from 1: the `h` of
/// `ho`.
const TOKEN: usize = 18;

#[test]
fn three_turns_a_walk_a_fork_a_comparison_and_a_restart() {
    if !tmux::is_installed() {
        eprintln!("skipped: tmux is not installed");
        return;
    }
    let tmux = Tmux::start();
    let file = tmux.workspace().join("src/main.rs");
    let changed = || fs::read_to_string(&file).unwrap();
    let mut pictures = Pictures::default();

    // Three turns. What is most likely is the same on all machines.
    tmux.run("cairn --temperature 0");
    tmux.wait_idle();
    tmux.say("list the files in src");
    tmux.wait("src contains lib.rs, main.rs.");
    tmux.wait_idle();
    tmux.say("read src/main.rs");
    tmux.wait("src/main.rs starts with:");
    tmux.wait_idle();
    tmux.say("replace hi with ho in src/main.rs");
    tmux.allow("+say ho");
    tmux.wait("I replaced hi with ho in src/main.rs.");
    tmux.wait_idle();
    assert_eq!(changed(), "say ho\n");
    let screen = tmux.settled();
    shows(&screen, &["✓ edit_file src/main.rs", "turn 3, answer 2"]);
    pictures.add("After three turns:", screen);

    // The reasoning of the answer that made the change, token by token.
    tmux.press(&["F6", "["]);
    tmux.wait("turn 3, answer 1");
    tmux.wait("1 of 84");
    tmux.press(&["n"]);
    tmux.wait("no uncertain token after this one");
    tmux.press(&["Right"; TOKEN - 1]);
    tmux.wait(&format!("{TOKEN} of 84"));
    shows(&tmux.settled(), &["\"h\"  100%", "2 \"html\""]);

    // From there it goes on differently, and so do the files.
    tmux.press(&["f"]);
    tmux.wait("Instead of \"h\", token 18:");
    tmux.press(&["t", "h", "e", "y"]);
    tmux.wait("text: hey");
    pictures.add(
        "`F6`, `[` and the arrows lead to a token of the reasoning; `f`, `t` and a text replace it:",
        tmux.settled(),
    );
    tmux.press(&["Enter"]);
    tmux.allow("+say hey");
    tmux.wait("I replaced hi with hey in src/main.rs.");
    tmux.wait_idle();
    assert_eq!(changed(), "say hey\n");
    shows(
        &tmux.settled(),
        &[
            "── from here on it is another branch",
            "files are as this branch has them",
        ],
    );

    // What was put in is what surprises most.
    tmux.press(&["["]);
    tmux.wait("turn 3, answer 1");
    tmux.press(&["h"]);
    tmux.wait("surprise ·");
    tmux.press(&["n"]);
    tmux.wait("forced");
    shows(&tmux.settled(), &["18 of 84", "1 \"h\" 100%"]);

    tmux.press(&["B"]);
    tmux.wait("hey (here): 114 tokens from token 18");
    tmux.press(&["Up"]);
    tmux.wait("› replace hi with ho in src/main.rs");
    tmux.press(&["c"]);
    tmux.wait("── token 18: \"he\" <0.1% or \"h\" 100%");
    tmux.press(&["F3"]);
    tmux.wait_until("the comparison fills the screen", |screen| {
        let beside = |row: &str| row.starts_with("hey` in") && row.contains("│ho` in");
        screen.lines().any(beside)
    });
    pictures.add(
        "`B` lists the branches, `c` compares two, `F3` gives them the whole screen:",
        tmux.settled(),
    );
    tmux.leave();

    // Another process, the same branches.
    tmux.run("cairn --continue");
    tmux.wait_idle();
    shows(&tmux.settled(), &["I replaced hi with hey in src/main.rs."]);
    tmux.press(&["F6", "B"]);
    tmux.wait("hey (here): 114 tokens from token 18");
    pictures.add(
        "After a restart with `cairn --continue`; `k` would make the other branch the session's again:",
        tmux.settled(),
    );
    tmux.press(&["Up"]);
    tmux.wait("› replace hi with ho in src/main.rs");
    tmux.press(&["k"]);
    tmux.wait("I replaced hi with ho in src/main.rs.");
    tmux.wait_idle();
    assert_eq!(changed(), "say ho\n");
    tmux.leave();
    pictures.settle();
}

fn shows(screen: &str, parts: &[&str]) {
    for part in parts {
        assert!(screen.contains(part), "{part} is not in\n{screen}");
    }
}
