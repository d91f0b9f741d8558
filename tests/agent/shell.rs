//! Commands that the user runs by hand: as confined as the model's, undone as a turn,
//! and told with the next message.

use std::fs;
use std::path::PathBuf;

use cairn::agent::{Agent, Event, Kind, Reason, Shell};
use cairn::chat::Role;
use cairn::sandbox::{Mode, Permission, Rules};
use cairn::undo::Answer;

use crate::stage::{Stage, Watch, course};

fn made(stage: &Stage) -> PathBuf {
    stage.workspace().join("made")
}

#[test]
fn the_model_is_told_with_the_next_message_and_undo_takes_it_back() {
    let stage = Stage::new();
    // Nobody is asked: it was typed.
    let mut agent = stage.agent_with(Rules::default());
    let mut heard = String::new();
    let mut front = Watch::new(|event| {
        if let Event::ToolOutput { id, text } = event {
            assert_eq!(id, Agent::SHELL);
            heard.push_str(text);
        }
    });
    let command = "cat notes.txt; echo x > made; echo y >&2; exit 3";
    let shell = agent.run_shell(command, &mut front).unwrap();
    drop(front);
    let expected = Shell {
        command: command.to_owned(),
        output: "call the bank\ny\n[exit 3]".to_owned(),
        ok: false,
    };
    assert_eq!(shell, expected);
    assert_eq!(heard, "call the bank\ny\n");
    let good = agent.run_shell(" true\n", &mut Watch::new(|_| {})).unwrap();
    assert!(good.ok && good.command == "true");
    assert_eq!(course(&agent), [Kind::Shell(shell), Kind::Shell(good)]);
    assert!(agent.session().machine().messages().is_empty());

    assert!(made(&stage).exists());
    let undone = agent.undo(cairn::undo::Force::No, &mut Watch::new(|_| {}));
    assert!(matches!(undone, Ok(Answer::Done(_))), "{undone:?}");
    assert!(!made(&stage).exists());

    // What it answers does not matter.
    let stop = stage.stop.clone();
    let mut front = Watch::new(|event| {
        if matches!(event, Event::Token(_)) {
            stop.stop_turn();
        }
    });
    let done = agent.turn("hello", &mut front);
    assert_eq!(done.reason, Reason::Interrupted);
    drop(front);
    let messages = agent.session().machine().messages();
    assert_eq!(messages[0].role, Role::User);
    assert_eq!(
        messages[0].content,
        format!(
            "[The user undid file changes of an earlier turn. Not changed any more: made]\n\n\
             [The user ran: {command}]\ncall the bank\ny\n[exit 3]\n\n\
             [The user ran: true]\n[exit 0]\n\nhello"
        )
    );
    drop(agent);
    assert_eq!(stage.replayed().difference, None);
}

#[test]
fn rules_and_modes_hold_for_the_user_as_well() {
    let stage = Stage::new();
    let refused = |mut agent: Agent, command: &str| {
        let why = agent.run_shell(command, &mut Watch::new(|_| {}));
        assert!(course(&agent).is_empty() && !made(&stage).exists());
        why.unwrap_err()
    };
    let deny = Rules {
        deny: vec!["run=touch made".parse().unwrap()],
        ..Rules::default()
    };
    let why = refused(stage.agent_with(deny), "touch made");
    assert_eq!(why, "not run: a rule denies it (run=touch made)");
    let mut plan = stage.agent();
    plan.set_permission(Permission::Plan);
    let why = refused(plan, "touch made");
    assert!(why.contains("plan mode"), "{why}");
    assert_eq!(refused(stage.agent(), " \n"), "there is no command to run");

    let read_only = Rules {
        mode: Mode::ReadOnly,
        ..Rules::default()
    };
    let mut agent = stage.agent_with(read_only);
    let shell = agent.run_shell("echo x > made", &mut Watch::new(|_| {}));
    assert!(!shell.unwrap().ok && !made(&stage).exists());
}

#[test]
fn it_can_be_stopped_and_is_bounded() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    let stop = stage.stop.clone();
    let mut front = Watch::new(|event| {
        if matches!(event, Event::ToolOutput { .. }) {
            stop.stop_turn();
        }
    });
    let shell = agent
        .run_shell("echo a; sleep 20; echo b", &mut front)
        .unwrap();
    drop(front);
    assert_eq!(
        (shell.output.as_str(), shell.ok),
        ("a\n[interrupted]", false)
    );
    fs::write(
        stage.workspace().join("long"),
        "many words\n".repeat(100_000),
    )
    .unwrap();
    let mut heard = 0;
    let mut front = Watch::new(|event| {
        if let Event::ToolOutput { text, .. } = event {
            heard += text.len();
        }
    });
    let shell = agent.run_shell("cat long", &mut front).unwrap();
    drop(front);
    assert!(
        shell.ok && shell.output.len() <= 16 * 1024 + 200,
        "{}",
        shell.output.len()
    );
    assert_eq!(heard, 64 * 1024);
}
