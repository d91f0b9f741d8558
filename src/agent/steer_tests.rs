//! What the user says within a turn, on scripted entries: it belongs to the turn, and
//! the conversation stays well formed.

use proptest::prelude::*;

use super::effect::Effect;
use super::entry::{Answer, Compaction, Finish, How, Kind};
use super::exit::Reason;
use super::machine::Machine;
use super::machine_tests::{answer, call, ended, reread, result, rules, session, settle, user};
use crate::chat::{Role, ToolCall};
use crate::generate::{Nudge, ThinkingKey};

fn steer(text: &str) -> Kind {
    Kind::Steer {
        text: text.into(),
        attached: Vec::new(),
    }
}

fn cut_short(text: &str, calls: Vec<ToolCall>) -> Kind {
    Kind::Assistant(Answer {
        text: text.into(),
        calls,
        ids: vec![7; 10],
        finish: Finish::Steered,
        ..Answer::default()
    })
}

fn told(machine: &Machine) -> Vec<(Role, &str)> {
    let messages = machine.messages().iter();
    messages.map(|m| (m.role, m.content.as_str())).collect()
}

#[test]
fn a_call_in_an_answer_that_was_cut_short_is_not_run() {
    let mut s = session([
        user("go"),
        cut_short("I'll write", vec![call("a", "write_file", "x")]),
    ]);
    // The model goes on whether or not the message came to be logged.
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
    s.record(steer("not that file")).unwrap();
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
    let not_run = "error: not run: the user said something before this call";
    let expected = [
        (Role::User, "go"),
        (Role::Assistant, "I'll write"),
        (Role::Tool, not_run),
        (Role::User, "not that file"),
    ];
    assert_eq!(told(s.machine()), expected);
    s.record(answer("fine", vec![])).unwrap();
    assert_eq!(settle(&mut s), (vec![ended(Reason::Done)], Effect::Wait));
    assert_eq!(s.machine().answer(), "fine");
}

#[test]
fn what_is_said_does_not_make_a_turn_longer() {
    let mut s = session([user("go")]);
    for _ in 0..5 {
        s.record(cut_short("", vec![])).unwrap();
        s.record(steer("on")).unwrap();
    }
    assert_eq!(s.machine().generated(), 50);
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
    s.record(cut_short("", vec![])).unwrap();
    assert_eq!(settle(&mut s).0, [ended(Reason::Steps)]);

    // Identical calls stay identical.
    let mut s = session([user("go")]);
    for n in 0..3 {
        let id = format!("call_{n}");
        s.record(answer("", vec![call(&id, "read_file", "x")]))
            .unwrap();
        let (recorded, effect) = settle(&mut s);
        if n == 2 {
            assert_eq!(recorded.len(), 1, "{recorded:?}");
            continue;
        }
        assert!(matches!(effect, Effect::RunTool { .. }), "{effect:?}");
        s.record(result(&id, "text")).unwrap();
        s.record(steer("again")).unwrap();
    }
}

#[test]
fn what_was_said_within_a_turn_leaves_the_context_with_it() {
    let mut s = session([
        user("task"),
        answer("", vec![]),
        ended(Reason::Done),
        user("second"),
        cut_short("no", vec![]),
        steer("more"),
        answer("", vec![]),
        ended(Reason::Done),
        user("third"),
        cut_short("", vec![]),
        steer("and"),
    ]);
    let turns = s.machine().conversation().old_turns();
    let each: Vec<_> = { turns.iter() }
        .map(|turn| (turn.number, turn.upto, turn.loose.clone()))
        .collect();
    assert_eq!(each, [(1, 2, vec![1]), (2, 7, vec![2, 3, 4, 5])]);
    let pins = s.machine().conversation().pinnable();
    let texts: Vec<&str> = pins.iter().map(|pin| pin.text.as_str()).collect();
    assert_eq!(texts, ["task", "second", "third"]);
    s.record(Kind::Compaction(Compaction {
        how: How::DroppedOldest,
        summary: String::new(),
        ids: Vec::new(),
        focus: String::new(),
        upto: 7,
        dropped: vec!["one".into(), "two".into()],
        shortened: Vec::new(),
    }))
    .unwrap();
    let expected = [
        (Role::User, "task"),
        (Role::User, "[To make room, 2 turns are left out here.]"),
        (Role::User, "third"),
        (Role::Assistant, ""),
        (Role::User, "and"),
    ];
    assert_eq!(told(s.machine()), expected);
}

#[test]
fn a_log_says_what_was_said_and_done() {
    let mut s = session([user("go"), steer("on")]);
    s.record(Kind::Assistant(Answer {
        nudges: vec![Nudge {
            at: 3,
            what: ThinkingKey::More(9),
        }],
        finish: Finish::Steered,
        ..Answer::default()
    }))
    .unwrap();
    let entries = s.journal().entries();
    assert_eq!(reread(entries), entries);
    let line = serde_json::to_value(&entries[2]).unwrap();
    assert_eq!(line["finish"], "steered");
    assert_eq!(serde_json::to_value(&entries[1]).unwrap()["type"], "steer");
}

/// One step of a turn: calls of an answer, whether it was cut short, how many of its
/// calls are run before the user says something, and whether that happens.
fn steps() -> impl Strategy<Value = Vec<(usize, bool, usize, bool)>> {
    proptest::collection::vec((0usize..3, any::<bool>(), 0usize..3, any::<bool>()), 1..6)
}

proptest! {
    #[test]
    fn every_call_has_one_result_right_after_it(steps in steps()) {
        let mut s = session([user("go")]);
        let mut n = 0;
        for (calls, short, run, says) in steps {
            let calls: Vec<ToolCall> = (0..calls)
                .map(|_| {
                    n += 1;
                    call(&format!("call_{n}"), "read_file", &n.to_string())
                })
                .collect();
            let made = match short {
                true => cut_short("t", calls.clone()),
                false => answer("t", calls.clone()),
            };
            s.record(made).unwrap();
            for call in calls.iter().take(run).filter(|_| !short) {
                s.record(result(&call.id, "ok")).unwrap();
            }
            if says {
                s.record(steer("and")).unwrap();
                let next = s.machine().next();
                let goes_on = matches!(next, Effect::Generate { .. } | Effect::Record(_));
                prop_assert!(goes_on, "{:?}", next);
            }
        }
        s.record(ended(Reason::Done)).unwrap();
        let messages = s.machine().messages();
        for (at, message) in messages.iter().enumerate() {
            if message.role == Role::Assistant {
                let results: Vec<_> = messages[at + 1..].iter()
                    .take_while(|m| m.role == Role::Tool)
                    .filter_map(|m| m.tool_call_id.clone())
                    .collect();
                let calls: Vec<_> = message.tool_calls.iter().map(|c| c.id.clone()).collect();
                prop_assert_eq!(results, calls);
            }
        }
        let folded = Machine::fold(rules(), &reread(s.journal().entries()));
        prop_assert_eq!(folded.messages(), messages);
        prop_assert_eq!(folded.next(), Effect::Wait);
    }
}
