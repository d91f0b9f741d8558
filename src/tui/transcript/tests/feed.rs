use std::time::Duration;

use super::*;
use crate::agent::{Agent, Compaction, Exit, How, Restored, Shell};

#[test]
fn a_stored_turn_looks_as_it_did_when_it_was_live() {
    let mut log = Log::default();
    let events = turn(&mut log);
    let (mut live, at) = (empty(), Instant::now());
    for event in &events {
        live.event(event, at);
        // What is drawn in between changes nothing.
        screen_at(&mut live, 60, 20, at);
    }
    let seen = screen_at(&mut live, 60, 45, at);
    assert_eq!(format!("\n{}", seen.join("\n").trim_end()), TURN);

    let mut stored = empty();
    log.load(&mut stored);
    assert_eq!(screen_at(&mut stored, 60, 45, at), seen);
    for width in [1, 2, 8, 9, 20, 40, 200] {
        let [one, other] = [&mut live, &mut stored].map(|one| screen_at(one, width, 99, at));
        assert_eq!(one, other);
    }
    // Entries that are here already change nothing.
    let last = log.0.last().unwrap();
    stored.apply(last);
    assert_eq!(screen_at(&mut stored, 60, 45, at), seen);
}

#[test]
fn a_call_shows_how_it_does() {
    let (mut log, mut transcript, start) = (Log::default(), empty(), Instant::now());
    let at = |seconds| start + Duration::from_millis(seconds);
    let calls = vec![
        call(
            "1",
            "run_command",
            json!({"command": "make\nmake test", "background": true}),
        ),
        call("2", "odd\u{1b}", json!({"a": 1})),
    ];
    let answer = Answer {
        calls: calls.clone(),
        ..Answer::default()
    };
    transcript.event(&Event::Logged(log.add(Kind::Assistant(answer))), at(0));
    assert!(!transcript.ticks());
    let started = Kind::ToolStarted {
        call: calls[0].clone(),
        change: None,
    };
    transcript.event(&Event::Logged(log.add(started)), at(0));
    transcript.tool_output("1", "one\ntwo\x07");
    assert!(transcript.ticks());
    assert_eq!(
        screen_at(&mut transcript, 70, 6, at(2500)),
        [
            "  ◐ run_command make ⏎ make test (in the background) · running 2 s",
            "  │ one",
            "  │ two␇",
            "",
            "  ○ odd␛ a=1 · waiting",
            "",
        ]
    );
    transcript.tool_change("1", "--- a\n+++ a\n@@ -1 +1 @@\n-x\n+y\n");
    transcript.event(
        &Event::Logged(log.add(result("1", true, "done"))),
        at(75_000),
    );
    let refused = Kind::ToolResult(ToolResult {
        call_id: "2".into(),
        ok: false,
        output: "no".into(),
        truncated: false,
        refused: true,
        change: String::new(),
    });
    transcript.event(&Event::Logged(log.add(refused)), at(75_000));
    assert!(!transcript.ticks());
    assert_eq!(
        screen_at(&mut transcript, 70, 9, at(99_000)),
        [
            "  ✓ run_command make ⏎ make test (in the background) · 1 m 15 s",
            "  │   --- a",
            "  │   +++ a",
            "  │   @@ -1 +1 @@",
            "  │ 1 -x",
            "  │ 1 +y",
            "",
            "  ⊘ odd␛ a=1 · refused",
            "  │ no",
        ]
    );
    // Narrow: the end of the first row stays.
    let narrow = screen_at(&mut transcript, 30, 9, at(99_000));
    assert_eq!(narrow[0], "  ✓ run_command ma… · 1 m 15 s");
}

#[test]
fn what_changed_the_conversation_is_marked() {
    let (mut log, mut transcript) = (Log::default(), empty());
    log.user("a");
    log.add(Kind::Undo(Restored {
        turn: 1,
        named: vec!["x".into()],
        files: 3,
        calls: Vec::new(),
    }));
    log.add(Kind::Fork {
        from: 1,
        opening: None,
    });
    log.add(Kind::Compaction(Compaction {
        how: How::DroppedOldest,
        summary: String::new(),
        ids: Vec::new(),
        focus: String::new(),
        upto: 1,
        dropped: vec!["turn 1: 1 message".into()],
        shortened: Vec::new(),
    }));
    log.add(Kind::Failed {
        message: "no model".into(),
    });
    log.add(Kind::TurnEnded {
        exit: Exit::Internal,
        reason: Reason::Failed,
    });
    log.add(ended(Reason::Steps));
    log.load(&mut transcript);
    transcript.say("said\n  more");
    for text in ["one", "two"] {
        let text = text.into();
        transcript.event(&Event::Notice { text }, Instant::now());
    }
    assert_eq!(
        screen(&mut transcript, 76, 17),
        [
            "  ❯ a",
            "",
            "  ── undone: x and 2 more",
            "",
            "  ── from here on it is another branch",
            "",
            "  ── older turns are left out for the model (turn 1: 1 message)",
            "",
            "  ✗ no model",
            "",
            "  ── the turn ended: steps",
            "",
            "  said",
            "    more",
            "",
            "  · one",
            "  · two",
        ]
    );
}

#[test]
fn finished_rows_are_given_out_once() {
    let (mut transcript, mut log) = (empty(), Log::default());
    let events = turn(&mut log);
    let now = Instant::now();
    let mut rows: Vec<String> = Vec::new();
    for event in &events {
        transcript.event(event, now);
        let new = transcript.finished_rows(58, Theme::Plain);
        rows.extend(new.iter().map(ToString::to_string));
    }
    let expected = TURN
        .lines()
        .skip(1)
        .map(|row| row.strip_prefix("  ").unwrap_or(row));
    let expected: Vec<String> = expected.map(str::to_owned).collect();
    let trimmed: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    assert_eq!(trimmed, expected);
    assert_eq!(transcript.finished_rows(58, Theme::Plain), []);
}

#[test]
fn a_session_that_was_cut_off_is_not_running() {
    let (mut log, mut transcript) = (Log::default(), empty());
    log.user("go");
    let run = call("1", "run_command", json!({"command": "make"}));
    log.add(Kind::Assistant(Answer {
        calls: vec![run.clone()],
        ..Answer::default()
    }));
    log.add(Kind::ToolStarted {
        call: run,
        change: None,
    });
    log.load(&mut transcript);
    assert!(!transcript.ticks());
    let left = ["  ❯ go", "", "  ✗ run_command make · cut off", ""];
    assert_eq!(screen(&mut transcript, 60, 4), left);
    assert_eq!(transcript.finished_rows(60, Theme::Plain).len(), 1);
    transcript.apply(&log.add(result("1", false, "unknown")));
    assert_eq!(
        screen(&mut transcript, 60, 4)[2],
        "  ✗ run_command make · failed"
    );
    assert_eq!(transcript.finished_rows(60, Theme::Plain).len(), 3);
}

#[test]
fn a_command_of_the_users_own_is_one_card() {
    let (mut log, mut transcript) = (Log::default(), empty());
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    transcript.shell("make", at(0));
    transcript.tool_output(Agent::SHELL, "one\n");
    assert!(transcript.ticks());
    let shell = Kind::Shell(Shell {
        command: "make".into(),
        output: "one\n[exit 0]".into(),
        ok: true,
    });
    let entry = log.add(shell);
    transcript.event(&Event::Logged(entry.clone()), at(3_000));
    assert!(!transcript.ticks());
    let live = screen_at(&mut transcript, 40, 4, at(9_000));
    assert_eq!(
        live,
        [
            "  ✓ run_command make · 3.0 s",
            "  │ one",
            "  │ [exit 0]",
            ""
        ]
    );
    let mut stored = empty();
    stored.load(&[&entry]);
    let stored = screen_at(&mut stored, 40, 4, at(9_000));
    assert_eq!(stored[1..], live[1..]);
}
