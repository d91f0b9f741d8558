//! The machine on scripted model output, and the rule that a call is run at
//! most once, whatever entry the program crashed at.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::effect::Effect;
use super::entry::{Answer, Entry, Finish, Kind, Restored, ToolResult, Verdict};
use super::exit::{Exit, Reason};
use super::machine::{Limits, Machine, Rules, UNKNOWN_OUTCOME};
use super::session::{Journal, Session};
use crate::chat::{Role, ToolCall};
use crate::tools;

/// As a reader of the log has them.
pub(super) fn reread(entries: &[Entry]) -> Vec<Entry> {
    let lines = entries.iter().map(|e| serde_json::to_string(e).unwrap());
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

pub(super) fn rules() -> Rules {
    Rules {
        limits: Limits {
            steps: 6,
            reply_tokens: 100,
            turn_tokens: 250,
            ..Limits::default()
        },
        tools: BTreeMap::from([
            ("read_file".into(), tools::Effect::Read),
            ("write_file".into(), tools::Effect::Write),
            ("run_command".into(), tools::Effect::Run),
        ]),
        denied: "error: denied by the user".into(),
        preamble: String::new(),
    }
}

pub(super) fn call(id: &str, name: &str, path: &str) -> ToolCall {
    let serde_json::Value::Object(arguments) = json!({ "path": path }) else {
        unreachable!("an object literal");
    };
    ToolCall {
        id: id.into(),
        name: name.into(),
        arguments,
    }
}

pub(super) fn answer(text: &str, calls: Vec<ToolCall>) -> Kind {
    Kind::Assistant(Answer {
        text: text.into(),
        calls,
        ids: vec![7; 10],
        ..Answer::default()
    })
}

pub(super) fn user(text: &str) -> Kind {
    Kind::User {
        text: text.into(),
        attached: Vec::new(),
    }
}

pub(super) fn result(call_id: &str, output: &str) -> Kind {
    Kind::ToolResult(ToolResult {
        call_id: call_id.into(),
        ok: true,
        output: output.into(),
        ..ToolResult::default()
    })
}

pub(super) fn session(kinds: impl IntoIterator<Item = Kind>) -> Session {
    let mut session = Session::new(Journal::in_memory(), rules());
    for kind in kinds {
        session.record(kind).unwrap();
    }
    session
}

/// Records the machine's own conclusions until it wants something of the world.
pub(super) fn settle(session: &mut Session) -> (Vec<Kind>, Effect) {
    let mut recorded = Vec::new();
    loop {
        match session.machine().next() {
            Effect::Record(kind) => {
                session.record(kind.clone()).unwrap();
                recorded.push(kind);
            }
            effect => return (recorded, effect),
        }
    }
}

pub(super) fn ended(reason: Reason) -> Kind {
    Kind::TurnEnded {
        exit: reason.exit(),
        reason,
    }
}

#[test]
fn an_answer_without_calls_ends_the_turn() {
    let mut s = session([user("hi")]);
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
    s.record(answer("hello", vec![])).unwrap();
    assert_eq!(settle(&mut s), (vec![ended(Reason::Done)], Effect::Wait));
    assert_eq!(s.machine().answer(), "hello");
}

#[test]
fn the_model_learns_with_the_next_message_what_was_undone() {
    let what = |turn, named: &[&str], files| Restored {
        turn,
        named: named.iter().map(|name| (*name).to_owned()).collect(),
        files,
        calls: Vec::new(),
    };
    let mut s = session([
        user("change a"),
        answer("done", vec![]),
        ended(Reason::Done),
        Kind::Undo(what(7, &["a", "b"], 5)),
        Kind::Undo(what(6, &["c"], 1)),
        Kind::Redo(what(6, &["c"], 1)),
        Kind::Redo(what(5, &["d"], 1)),
        Kind::Undo(what(4, &[], 0)),
    ]);
    assert_eq!(s.machine().next(), Effect::Wait);
    s.record(user("go on")).unwrap();
    let told = |s: &Session| s.machine().messages().last().unwrap().content.clone();
    assert_eq!(
        told(&s),
        "[The user undid file changes of an earlier turn. Not changed any more: a, b and 3 more]\n\
         [The user redid file changes of an earlier turn: d]\n\ngo on"
    );
    s.record(user("once more")).unwrap();
    assert_eq!(told(&s), "once more");
}

#[test]
fn reads_run_unasked_and_results_come_back_in_order() {
    let calls = vec![call("a", "read_file", "1"), call("b", "read_file", "2")];
    let mut s = session([user("read both"), answer("", calls.clone())]);
    for (call, output) in calls.iter().zip(["one", "two"]) {
        assert_eq!(s.machine().next(), Effect::RunTool { call: call.clone() });
        s.record(Kind::ToolStarted {
            call: call.clone(),
            change: None,
        })
        .unwrap();
        s.record(result(&call.id, output)).unwrap();
    }
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
    let told: Vec<_> = s.machine().messages()[2..]
        .iter()
        .map(|m| (m.role, m.content.as_str(), m.tool_call_id.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (Role::Tool, "one", Some("a")),
            (Role::Tool, "two", Some("b"))
        ]
    );
}

#[test]
fn a_refusal_is_a_result_and_the_run_goes_on_to_exit_5() {
    let write = call("a", "write_file", "x");
    let mut s = session([user("write"), answer("", vec![write.clone()])]);
    assert_eq!(
        s.machine().next(),
        Effect::Ask {
            call: write,
            effect: tools::Effect::Write
        }
    );
    s.record(Kind::Permission {
        call_id: "a".into(),
        verdict: Verdict::Denied,
        word: String::new(),
    })
    .unwrap();
    let (recorded, effect) = settle(&mut s);
    assert_eq!(
        recorded,
        [Kind::ToolResult(ToolResult {
            call_id: "a".into(),
            ok: false,
            output: "error: denied by the user".into(),
            refused: true,
            ..ToolResult::default()
        })]
    );
    assert_eq!(effect, Effect::Generate { max_tokens: 100 });
    s.record(answer("I was not allowed.", vec![])).unwrap();
    assert_eq!(settle(&mut s).0, [ended(Reason::Refused)]);
    assert_eq!(Reason::Refused.exit(), Exit::Refused);
}

#[test]
fn the_model_reads_why_it_was_refused() {
    let run = call("a", "run_command", "x");
    let mut s = session([user("run"), answer("", vec![run])]);
    s.record(Kind::Permission {
        call_id: "a".into(),
        verdict: Verdict::Denied,
        word: "use make".into(),
    })
    .unwrap();
    settle(&mut s);
    let result = s.machine().messages().last().unwrap();
    assert_eq!(result.content, "error: denied by the user: use make");
}

#[test]
fn an_allowed_command_runs() {
    let run = call("a", "run_command", "x");
    let s = session([
        user("run"),
        answer("", vec![run.clone()]),
        Kind::Permission {
            call_id: "a".into(),
            verdict: Verdict::Allowed,
            word: String::new(),
        },
    ]);
    assert_eq!(s.machine().next(), Effect::RunTool { call: run });
}

#[test]
fn a_started_call_without_result_is_reported_and_never_run_again() {
    let calls = vec![call("a", "run_command", "rm"), call("b", "read_file", "x")];
    let mut s = session([
        user("go"),
        answer("", calls.clone()),
        Kind::Permission {
            call_id: "a".into(),
            verdict: Verdict::Allowed,
            word: String::new(),
        },
        Kind::ToolStarted {
            call: calls[0].clone(),
            change: None,
        },
    ]);
    let (recorded, effect) = settle(&mut s);
    assert!(matches!(&recorded[..], [Kind::ToolResult(r)] if r.output == UNKNOWN_OUTCOME && !r.ok));
    assert_eq!(
        effect,
        Effect::RunTool {
            call: calls[1].clone()
        }
    );
}

#[test]
fn the_third_identical_call_is_an_error_and_the_fourth_ends_the_turn() {
    let mut s = session([user("loop")]);
    let mut outputs = Vec::new();
    let mut last = Effect::Wait;
    for n in 0..4 {
        let id = format!("call_{n}");
        s.record(answer("", vec![call(&id, "read_file", "same")]))
            .unwrap();
        if let Effect::RunTool { call } = s.machine().next() {
            s.record(Kind::ToolStarted { call, change: None }).unwrap();
            s.record(result(&id, "text")).unwrap();
            outputs.push("ran".to_owned());
        } else {
            let (recorded, effect) = settle(&mut s);
            outputs.extend(recorded.iter().map(|kind| match kind {
                Kind::ToolResult(r) => r.output.clone(),
                Kind::TurnEnded { reason, .. } => reason.word().into(),
                other => panic!("{other:?}"),
            }));
            last = effect;
        }
    }
    assert_eq!(
        outputs,
        [
            "ran",
            "ran",
            "error: the same call 3 times in a row; do something else or answer",
            "error: the same call 4 times in a row; do something else or answer",
            "repeated_call"
        ]
    );
    assert_eq!(last, Effect::Wait);
}

#[test]
fn malformed_calls_are_errors_to_read_and_bounded() {
    let malformed = || {
        Kind::Assistant(Answer {
            malformed: vec!["no function name".into()],
            ids: vec![7; 10],
            ..Answer::default()
        })
    };
    let mut s = session([user("go"), malformed()]);
    assert_eq!(settle(&mut s).1, Effect::Generate { max_tokens: 100 });
    let told = s.machine().messages().last().unwrap();
    assert_eq!(told.role, Role::Tool);
    assert_eq!(
        told.content,
        "error: the tool call could not be read: no function name; \
         call one tool in the given format"
    );
    s.record(malformed()).unwrap();
    assert_eq!(settle(&mut s).1, Effect::Generate { max_tokens: 100 });
    s.record(malformed()).unwrap();
    assert_eq!(
        settle(&mut s),
        (vec![ended(Reason::MalformedCalls)], Effect::Wait)
    );
}

#[test]
fn steps_and_tokens_are_bounded() {
    let mut s = session([user("go")]);
    for n in 0..6 {
        let id = format!("call_{n}");
        s.record(answer("", vec![call(&id, "read_file", &id)]))
            .unwrap();
        s.record(result(&id, "x")).unwrap();
    }
    assert_eq!(settle(&mut s).0, [ended(Reason::Steps)]);

    let mut s = session([
        user("go"),
        Kind::Assistant(Answer {
            ids: vec![1; 200],
            calls: vec![call("a", "read_file", "x")],
            ..Answer::default()
        }),
        result("a", "x"),
    ]);
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 50 });
    s.record(Kind::Assistant(Answer {
        text: "and so o".into(),
        ids: vec![1; 50],
        finish: Finish::MaxTokens,
        ..Answer::default()
    }))
    .unwrap();
    assert_eq!(settle(&mut s).0, [ended(Reason::MaxTokens)]);
    assert_eq!(Reason::MaxTokens.exit().code(), 4);
}

#[test]
fn an_interrupted_turn_leaves_a_conversation_that_can_go_on() {
    let calls = vec![call("a", "read_file", "1"), call("b", "read_file", "2")];
    let mut s = session([
        user("go"),
        answer("", calls.clone()),
        Kind::ToolStarted {
            call: calls[0].clone(),
            change: None,
        },
        Kind::Interrupted,
    ]);
    assert_eq!(settle(&mut s).0, [ended(Reason::Interrupted)]);
    s.record(user("again")).unwrap();
    let roles: Vec<_> = s.machine().messages().iter().map(|m| m.role).collect();
    assert_eq!(
        roles,
        [
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::User
        ]
    );
    assert_eq!(s.machine().next(), Effect::Generate { max_tokens: 100 });
}

#[test]
fn the_log_round_trips() {
    let s = session([
        user("grüße\n\"x\""),
        answer("", vec![call("a", "write_file", "p")]),
        Kind::Usage {
            prompt: crate::generate::PromptUsage {
                prompt: 5,
                reused: 3,
                prefilled: 2,
                replayed: 1,
                ..crate::generate::PromptUsage::default()
            },
            generated: 4,
        },
        Kind::Permission {
            call_id: "a".into(),
            verdict: Verdict::Denied,
            word: String::new(),
        },
        Kind::ToolStarted {
            call: call("a", "write_file", "p"),
            change: None,
        },
        result("a", "x"),
        Kind::Interrupted,
        Kind::Failed {
            message: "m".into(),
        },
        ended(Reason::Interrupted),
    ]);
    let entries = s.journal().entries();
    assert_eq!(reread(entries), entries);
    assert_eq!(entries[0].parent, None);
    assert!(entries.windows(2).all(|w| w[1].parent == Some(w[0].id)));
}

/// A world that a script drives: what the model will say, which permissions are
/// given, and how often each call really ran.
struct World {
    answers: Vec<Kind>,
    allow: Vec<bool>,
    runs: BTreeMap<String, usize>,
}

impl World {
    /// Drives `session` until it waits. With `crash_at`, stops as if killed
    /// when the log has that many entries.
    fn drive(&mut self, session: &mut Session, crash_at: Option<usize>) {
        let full = |s: &Session| crash_at.is_some_and(|n| s.journal().entries().len() >= n);
        for _ in 0..200 {
            if full(session) {
                return;
            }
            match session.machine().next() {
                Effect::Wait => return,
                Effect::Record(kind) => session.record(kind).unwrap(),
                Effect::Generate { .. } => {
                    let answered = session
                        .journal()
                        .entries()
                        .iter()
                        .filter(|e| matches!(e.kind, Kind::Assistant(_)))
                        .count();
                    let next = self.answers.get(answered).cloned();
                    session
                        .record(next.unwrap_or_else(|| answer("done", vec![])))
                        .unwrap();
                }
                Effect::Ask { call, .. } => {
                    let n: usize = call.id.trim_start_matches("call_").parse().unwrap();
                    let verdict = match self.allow[n % self.allow.len()] {
                        true => Verdict::Allowed,
                        false => Verdict::Denied,
                    };
                    session
                        .record(Kind::Permission {
                            call_id: call.id,
                            verdict,
                            word: String::new(),
                        })
                        .unwrap();
                }
                Effect::RunTool { call } => {
                    session
                        .record(Kind::ToolStarted {
                            call: call.clone(),
                            change: None,
                        })
                        .unwrap();
                    *self.runs.entry(call.id.clone()).or_default() += 1;
                    if full(session) {
                        return;
                    }
                    session.record(result(&call.id, "ok")).unwrap();
                }
            }
        }
        panic!("the turn does not end");
    }
}

fn script() -> impl Strategy<Value = Vec<Kind>> {
    let one = (0usize..3, 0usize..2);
    let shape = (
        proptest::collection::vec(one, 0..4),
        0usize..2,
        prop_oneof![
            8 => Just(Finish::Stop),
            1 => Just(Finish::MaxTokens),
            1 => Just(Finish::Loop),
            1 => Just(Finish::Context),
            2 => Just(Finish::Steered)
        ],
    );
    proptest::collection::vec(shape, 1..8).prop_map(|answers| {
        let names = ["read_file", "write_file", "run_command"];
        let mut n = 0;
        answers
            .into_iter()
            .map(|(calls, malformed, finish)| {
                let calls = calls
                    .into_iter()
                    .map(|(name, path)| {
                        n += 1;
                        call(&format!("call_{n}"), names[name], ["x", "y"][path])
                    })
                    .collect();
                Kind::Assistant(Answer {
                    text: "t".into(),
                    calls,
                    malformed: vec!["bad".into(); malformed],
                    ids: vec![1; 10],
                    finish,
                    ..Answer::default()
                })
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_crash_at_any_entry_resumes_consistently(
        answers in script(),
        allow in proptest::collection::vec(any::<bool>(), 1..4),
        crash in 1usize..60,
    ) {
        let mut world = World { answers, allow, runs: BTreeMap::new() };
        let mut first = session([user("go")]);
        world.drive(&mut first, Some(crash));

        // What a reader of the file would have: the same state, by folding.
        let entries = reread(first.journal().entries());
        let folded = Machine::fold(rules(), &entries);
        prop_assert_eq!(folded.next(), first.machine().next());
        prop_assert_eq!(folded.messages(), first.machine().messages());

        let mut resumed = session(entries.iter().map(|e| e.kind.clone()));
        world.drive(&mut resumed, None);
        prop_assert_eq!(resumed.machine().next(), Effect::Wait);
        prop_assert!(world.runs.values().all(|&n| n == 1), "run twice: {:?}", world.runs);

        // Every call has exactly one answer, in order, right after its message.
        let messages = resumed.machine().messages();
        for (at, message) in messages.iter().enumerate() {
            let results: Vec<_> = messages[at + 1..].iter()
                .take_while(|m| m.role == Role::Tool)
                .filter_map(|m| m.tool_call_id.clone())
                .filter(|id| id.starts_with("call_"))
                .collect();
            if message.role == Role::Assistant {
                let calls: Vec<_> = message.tool_calls.iter().map(|c| c.id.clone()).collect();
                prop_assert_eq!(results, calls);
            }
        }
        let ends = resumed.journal().entries().iter()
            .filter(|e| matches!(e.kind, Kind::TurnEnded { .. })).count();
        prop_assert_eq!(ends, 1);
    }
}

#[test]
fn the_first_message_alone_says_where_the_model_is() {
    let mut session = Session::new(
        Journal::in_memory(),
        Rules {
            preamble: "[here]".into(),
            ..rules()
        },
    );
    for kind in [user("a"), answer("", Vec::new()), user("b")] {
        session.record(kind).unwrap();
    }
    let said: Vec<&str> = session
        .machine()
        .messages()
        .iter()
        .filter(|message| message.role == Role::User)
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(said, ["[here]\n\na", "b"]);
}
