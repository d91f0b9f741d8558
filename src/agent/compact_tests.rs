//! Compaction on scripted entries: what is pinned is kept byte for byte, whatever
//! leaves the prompt, and the state is the log's fold.

use proptest::prelude::*;

use super::entry::{Answer, Compaction, FileText, How, Kind, Shell, Shortened, ToolResult};
use super::exit::Reason;
use super::machine::{Machine, Rules};
use super::session::{Journal, Session};
use crate::chat::{Owner, Role, ToolCall};

fn session(kinds: impl IntoIterator<Item = Kind>) -> Session {
    let mut session = Session::new(Journal::in_memory(), Rules::default());
    for kind in kinds {
        session.record(kind).unwrap();
    }
    session
}

fn user(text: &str) -> Kind {
    Kind::User {
        text: text.into(),
        attached: Vec::new(),
    }
}

fn file(path: &str, text: &str) -> FileText {
    FileText {
        path: path.into(),
        text: text.into(),
        ..FileText::default()
    }
}

/// An answer with a call, its result, and an answer; four entries with the end.
fn work(id: usize, output: &str) -> [Kind; 4] {
    let call = ToolCall {
        id: format!("call_{id}"),
        name: "read_file".into(),
        arguments: serde_json::Map::new(),
    };
    [
        Kind::Assistant(Answer {
            calls: vec![call.clone()],
            ..Answer::default()
        }),
        Kind::ToolResult(ToolResult {
            call_id: call.id,
            ok: true,
            output: output.into(),
            ..ToolResult::default()
        }),
        Kind::Assistant(Answer {
            text: format!("answer {id}"),
            ..Answer::default()
        }),
        Kind::TurnEnded {
            exit: Reason::Done.exit(),
            reason: Reason::Done,
        },
    ]
}

fn compaction(how: How, upto: u64, summary: &str) -> Kind {
    Kind::Compaction(Compaction {
        how,
        summary: summary.into(),
        ids: Vec::new(),
        focus: String::new(),
        upto,
        dropped: vec!["turn".into()],
        shortened: Vec::new(),
    })
}

fn told(machine: &Machine) -> Vec<(Role, String)> {
    let messages = machine.messages().iter();
    messages.map(|m| (m.role, m.content.clone())).collect()
}

/// Contents cut by owner add up to the contents.
fn check_parts(machine: &Machine) {
    let conversation = machine.conversation();
    for (message, parts) in conversation.messages().iter().zip(conversation.parts()) {
        let length: usize = parts.iter().map(|(_, length)| length).sum();
        assert!(parts.is_empty() || length == message.content.len());
    }
}

#[test]
fn a_summary_stands_for_old_turns_and_pinned_text_stays() {
    let mut s = session([Kind::Memory {
        files: vec![file("AGENTS.md", "Use tabs.\n")],
    }]);
    s.record(Kind::User {
        text: "the task ✓\n".into(),
        attached: vec![file("big.txt", "x y z")],
    })
    .unwrap();
    let all = work(1, "one")
        .into_iter()
        .chain([user("  pinned\t\u{200b}text ")])
        .chain(work(2, "two"))
        .chain([Kind::Pin { entry: 7 }, user("third")])
        .chain(work(3, "three"))
        .chain([user("newest")]);
    all.for_each(|kind| s.record(kind).unwrap());
    let upto = 17; // the end of the third turn
    s.record(compaction(How::Summarised, upto, "They read files."))
        .unwrap();
    let memory = "[Notes on this project, from AGENTS.md]\nUse tabs.\n\n[End of AGENTS.md]\n\n";
    let said = told(s.machine());
    assert_eq!(
        said,
        [
            (
                Role::User,
                format!(
                    "{memory}the task ✓\n\n\n\
                     [The files that were attached here are left out to make room.]"
                )
            ),
            (Role::User, "  pinned\t\u{200b}text ".into()),
            (
                Role::User,
                "[Summary of the conversation up to here, which is left out to make room]\n\
                 They read files.\n[End of the summary]"
                    .into()
            ),
            (Role::User, "newest".into()),
        ]
    );
    check_parts(s.machine());
    let memory_parts = s.machine().conversation().parts().next().unwrap();
    assert_eq!(memory_parts[0], (Owner::Memory, memory.len()));
    let again = Machine::fold(Rules::default(), s.journal().entries());
    assert_eq!(told(&again), said);

    // The next one covers the summary; turns without one are counted.
    work(4, "four")
        .into_iter()
        .for_each(|k| s.record(k).unwrap());
    s.record(user("last")).unwrap();
    s.record(compaction(How::DroppedOldest, 23, "")).unwrap();
    let said = told(s.machine());
    assert_eq!(said.len(), 4);
    assert!(said[2].1.contains("They read files."));
    assert!(
        said[2]
            .1
            .ends_with("[To make room, 1 turn is left out here.]")
    );
    s.record(compaction(How::DroppedOldest, 23, "")).unwrap();
    assert!(told(s.machine())[2].1.contains("2 turns are left out"));
    s.record(compaction(How::Summarised, 23, "All.")).unwrap();
    let said = told(s.machine());
    assert_eq!(said.len(), 4);
    assert!(!said[2].1.contains("They read") && !said[2].1.contains("left out here"));
}

#[test]
fn what_the_user_ran_leaves_the_task_and_its_words_stay() {
    let shell = Shell {
        command: "make".into(),
        output: "all is well\n[exit 0]".into(),
        ok: true,
    };
    let mut s = session([Kind::Shell(shell)]);
    assert!(s.machine().messages().is_empty());
    s.record(Kind::User {
        text: "the task".into(),
        attached: vec![file("a", "b")],
    })
    .unwrap();
    let ran = "[The user ran: make]\nall is well\n[exit 0]\n\n";
    let attached = "\n\n[Attached by the user: a]\nb\n[End of a]";
    let whole = format!("{ran}the task{attached}");
    assert_eq!(told(s.machine()), [(Role::User, whole)]);
    check_parts(s.machine());
    let parts = s.machine().conversation().parts().next().unwrap();
    assert_eq!(parts[0], (Owner::ToolOutput, ran.len()));

    let more = work(1, "one").into_iter().chain([user("newest")]);
    more.for_each(|kind| s.record(kind).unwrap());
    s.record(compaction(How::DroppedOldest, 6, "")).unwrap();
    let said = told(s.machine());
    assert_eq!(
        said[0].1,
        "the task\n\n[The files that were attached here are left out to make room.]\
         \n\n[What the user ran before this is left out to make room.]"
    );
    assert_eq!(said.last().unwrap().1, "newest");
    check_parts(s.machine());
}

#[test]
fn old_turns_are_those_before_the_newest_without_what_is_pinned() {
    let mut s = session([user("task")]);
    work(1, "one")
        .into_iter()
        .for_each(|k| s.record(k).unwrap());
    s.record(user("second")).unwrap();
    work(2, "two")
        .into_iter()
        .for_each(|k| s.record(k).unwrap());
    s.record(user("third")).unwrap();
    let turns = s.machine().conversation().old_turns();
    let each: Vec<_> = turns
        .iter()
        .map(|turn| (turn.number, turn.upto, turn.end, turn.loose.clone()))
        .collect();
    assert_eq!(
        each,
        [(1, 4, 4, vec![1, 2, 3]), (2, 9, 8, vec![4, 5, 6, 7])]
    );
    s.record(compaction(How::DroppedOldest, 4, "")).unwrap();
    let turns = s.machine().conversation().old_turns();
    assert_eq!(turns.len(), 1);
    assert_eq!((turns[0].number, turns[0].upto), (2, 9));
    s.record(compaction(How::DroppedOldest, 9, "")).unwrap();
    assert!(s.machine().conversation().old_turns().is_empty());
    let pins = s.machine().conversation().pinnable();
    let state: Vec<_> = pins
        .iter()
        .map(|p| (p.entry, p.pinned, p.present))
        .collect();
    assert_eq!(
        state,
        [(1, true, true), (6, false, false), (11, false, true)]
    );
}

#[test]
fn a_call_that_was_cut_off_goes_with_its_turn() {
    let [call, ..] = work(1, "");
    let mut s = session([user("task"), call, user("next")]);
    let turns = s.machine().conversation().old_turns();
    assert_eq!(turns.len(), 1);
    s.record(compaction(How::DroppedOldest, turns[0].upto, ""))
        .unwrap();
    let said = told(s.machine());
    assert_eq!(said.first().unwrap().1, "task");
    assert_eq!(said.last().unwrap().1, "next");
    assert_eq!(said.len(), 3);
}

#[test]
fn outputs_of_the_running_turn_are_shortened_and_memory_stays() {
    let mut s = session([user("task")]);
    let [call, result, ..] = work(1, "a long output");
    s.record(call).unwrap();
    s.record(result).unwrap();
    let files = vec![file("src/AGENTS.md", "Be brief.")];
    s.record(Kind::Memory { files }).unwrap();
    assert!(
        s.machine().conversation().used_outputs().is_empty(),
        "not answered"
    );
    let [call, result, ..] = work(2, "new");
    s.record(call).unwrap();
    s.record(result).unwrap();
    let used = s.machine().conversation().used_outputs();
    assert_eq!(used, [(3, "a long output")]);
    s.record(Kind::Compaction(Compaction {
        how: How::Shortened,
        summary: String::new(),
        ids: Vec::new(),
        focus: String::new(),
        upto: 0,
        dropped: Vec::new(),
        shortened: vec![Shortened {
            entry: 3,
            text: "a [...]".into(),
        }],
    }))
    .unwrap();
    let said = told(s.machine());
    assert_eq!(
        said[2].1,
        "a [...]\n\n[Notes on this project, from src/AGENTS.md]\nBe brief.\n[End of src/AGENTS.md]"
    );
    assert_eq!(said[4].1, "new");
    check_parts(s.machine());
    assert_eq!(s.machine().remembered(), ["src/AGENTS.md"]);
}

#[derive(Clone, Debug)]
enum Step {
    Turn {
        text: String,
        output: String,
        memory: Option<String>,
    },
    Pin(usize),
    Compact {
        turns: usize,
        how: How,
        summary: String,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = "(\\PC|\n|\\[End of){0,12}";
    let turn =
        (text, text, proptest::option::of(text)).prop_map(|(text, output, memory)| Step::Turn {
            text,
            output,
            memory,
        });
    let how = prop_oneof![Just(How::Summarised), Just(How::DroppedOldest)];
    let compact = (1usize..4, how, text).prop_map(|(turns, how, summary)| Step::Compact {
        turns,
        how,
        summary,
    });
    let pin = (0usize..8).prop_map(Step::Pin);
    proptest::collection::vec(prop_oneof![3 => turn, 1 => pin, 2 => compact], 1..20)
}

proptest! {
    #[test]
    fn whatever_is_pinned_is_kept_byte_for_byte(steps in steps()) {
        let mut s = session([user("the task")]);
        work(0, "first").into_iter().for_each(|kind| s.record(kind).unwrap());
        let mut pinned = vec!["the task".to_owned()];
        let mut memories: Vec<String> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Turn { text, output, memory } => {
                    s.record(user(&text)).unwrap();
                    let [call, result, answer, end] = work(n + 1, &output);
                    s.record(call).unwrap();
                    s.record(result).unwrap();
                    if let Some(memory) = memory {
                        let files = vec![file(&format!("{n}/AGENTS.md"), &memory)];
                        s.record(Kind::Memory { files }).unwrap();
                        memories.push(format!("[Notes on this project, from {n}/AGENTS.md]\n{memory}\n[End of"));
                    }
                    s.record(answer).unwrap();
                    s.record(end).unwrap();
                }
                Step::Pin(which) => {
                    let all = s.machine().conversation().pinnable();
                    if let Some(message) = all.get(which).filter(|m| m.present) {
                        s.record(Kind::Pin { entry: message.entry }).unwrap();
                        pinned.push(message.text.clone());
                    }
                }
                Step::Compact { turns, how, summary } => {
                    let old = s.machine().conversation().old_turns();
                    let last = old.get(turns.min(old.len()).wrapping_sub(1));
                    if let Some(turn) = last {
                        let newest = told(s.machine()).pop();
                        s.record(compaction(how, turn.upto, &summary)).unwrap();
                        prop_assert_eq!(told(s.machine()).pop(), newest, "the newest turn stays");
                    }
                }
            }
            let said = told(s.machine());
            for text in &pinned {
                let kept = said.iter().any(|(role, said)| *role == Role::User && said == text);
                prop_assert!(kept, "{:?} in {:?}", text, said);
            }
            for memory in &memories {
                prop_assert!(said.iter().any(|(_, said)| said.contains(memory)), "{:?}", memory);
            }
            check_parts(s.machine());
            // Every output of a tool follows its call.
            for (at, message) in s.machine().messages().iter().enumerate() {
                let Some(id) = &message.tool_call_id else { continue };
                let before = s.machine().messages()[..at].iter().rev();
                let calls = before.clone().find(|m| m.role == Role::Assistant);
                prop_assert!(calls.is_some_and(|m| m.tool_calls.iter().any(|c| c.id == *id)));
            }
            let again = Machine::fold(Rules::default(), s.journal().entries());
            prop_assert_eq!(told(&again), said);
        }
    }
}
