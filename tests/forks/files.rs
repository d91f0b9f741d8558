//! What becomes of files that a branch has changed when it is left, and when it comes
//! back.

use std::fs;

use cairn::agent::{Agent, Approval, Event, ForkAt, With};
use cairn::undo::{Answer, Force};

use crate::world::{Caches, Ears, Heard, World, answers, hear, notices, turn};

fn fork(agent: &mut Agent, heard: &Heard, says: Approval) -> Vec<Event> {
    let at = ForkAt {
        entry: heard.entry,
        token: 1,
        with: With::Token(heard.answer.ids[1]),
    };
    hear(says, |front| {
        agent.fork_at(at, front).unwrap();
    })
}

/// A session in whose first turn a file is made, and another in the second.
fn two_files(world: &World) -> (Agent, Vec<Heard>) {
    let mut agent = world.agent(Caches::InMemory);
    let first = turn(&mut agent, "create hello.txt with \"hello world\"");
    assert!(first.len() > 1, "a call and an answer");
    turn(&mut agent, "create other.txt with \"good day\"");
    assert_eq!(has(world), [true, true]);
    (agent, first)
}

fn has(world: &World) -> [bool; 2] {
    ["hello.txt", "other.txt"].map(|path| world.text(path).is_some())
}

#[test]
fn files_follow_to_a_branch_and_back() {
    let world = World::new();
    let (mut agent, first) = two_files(&world);
    let texts = ["hello.txt", "other.txt"].map(|path| world.text(path));
    let whole = agent.session().journal().head().unwrap();

    // After the first call.
    let events = fork(&mut agent, &first[1], Approval::Yes);
    assert_eq!(has(&world), [true, false]);
    assert_eq!(
        notices(&events),
        ["files are as this branch has them: other.txt"]
    );
    // Nothing of it is told to the model.
    let asked = turn(&mut agent, "hello");
    let messages = agent.session().machine().messages();
    assert!(messages.iter().all(|m| !m.content.contains("undid")));
    assert!(!asked.is_empty());

    // Before it, and it is refused this time.
    fork(&mut agent, &first[0], Approval::No);
    assert_eq!(has(&world), [false, false]);
    let none = agent.session().journal().head().unwrap();

    hear(Approval::Yes, |front| {
        agent.keep_branch(whole, front).unwrap()
    });
    assert_eq!(
        ["hello.txt", "other.txt"].map(|path| world.text(path)),
        texts
    );
    // Undo has the turns of this branch again.
    let undo = |agent: &mut Agent| {
        let mut done = 0;
        hear(Approval::Yes, |front| {
            let answer = agent.undo(Force::No, front).unwrap();
            done += usize::from(matches!(answer, Answer::Done(_)));
        });
        done
    };
    assert_eq!(undo(&mut agent), 1);
    assert_eq!(has(&world), [true, false]);

    // Another process leaves it, too.
    let id = agent.session_id().to_owned();
    drop(agent);
    let mut agent = world.resumed(&id, Caches::InMemory);
    hear(Approval::Yes, |front| {
        agent.keep_branch(none, front).unwrap()
    });
    assert_eq!(has(&world), [false, false]);
    assert_eq!(undo(&mut agent), 0);
}

#[test]
fn what_others_have_changed_since_is_left_alone_and_named() {
    let world = World::new();
    let (mut agent, first) = two_files(&world);
    fs::write(world.at("other.txt"), "mine").unwrap();
    fs::write(world.at("third.txt"), "mine").unwrap();
    let events = fork(&mut agent, &first[0], Approval::No);
    assert_eq!(
        notices(&events),
        [
            "files are as this branch has them: hello.txt",
            "changed since by others, and left alone: other.txt",
        ]
    );
    assert_eq!(has(&world), [false, true]);
    assert_eq!(world.text("other.txt").unwrap(), "mine");
    assert_eq!(world.text("third.txt").unwrap(), "mine");
}

/// Between the entry and the files, a kill: the next start does the rest.
#[test]
fn files_follow_after_a_kill_as_well() {
    let world = World::new();
    let (mut agent, first) = two_files(&world);
    let id = agent.session_id().to_owned();
    let at = ForkAt {
        entry: first[1].entry,
        token: 2,
        with: With::Text(" Well,".into()),
    };
    let mut taken = false;
    let mut ears = Ears {
        events: Vec::new(),
        says: Approval::Yes,
        when: &mut |event| {
            if !taken && matches!(event, Event::Logged(_)) {
                taken = true;
                world.put_aside("killed");
            }
        },
    };
    agent.fork_at(at, &mut ears).unwrap();
    let want = answers(&ears.events);
    drop(agent);
    world.take_back("killed");
    assert_eq!(has(&world), [true, true]);
    let mut agent = world.resumed(&id, Caches::InMemory);
    let events = hear(Approval::Yes, |front| {
        agent.go_on(front).unwrap();
    });
    assert_eq!(has(&world), [true, false]);
    let ids = |heard: &[Heard]| -> Vec<Vec<u32>> {
        heard.iter().map(|one| one.answer.ids.clone()).collect()
    };
    assert_eq!(ids(&answers(&events)), ids(&want));
}
