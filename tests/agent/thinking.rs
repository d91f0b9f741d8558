//! The keys that close an answer's reasoning or let it go on: what they did is in the
//! log, so that the answer is the same again.

use cairn::agent::{Agent, Event, Nudge, Reason, Sessions, ThinkingKey};

use crate::stage::{Stage, Watch, answers, course};

const PROMPT: &str = "what is the capital of France?";

/// A turn in which `press` is called with the number of each token.
fn turn(agent: &mut Agent, mut press: impl FnMut(usize)) -> Vec<(String, bool)> {
    let mut tokens = Vec::new();
    let mut front = Watch::new(|event| {
        if let Event::Token(token) = event {
            tokens.push((token.text.clone(), token.forced));
            press(tokens.len());
        }
    });
    assert_eq!(agent.turn(PROMPT, &mut front).reason, Reason::Done);
    drop(front);
    tokens
}

#[test]
fn reasoning_is_closed_at_once_and_again_when_replayed() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    assert_eq!(agent.thinking_budget(), Some(1024));
    let keys = agent.thinking_keys();
    // Not meant for this answer.
    keys.close_thinking();
    let tokens = turn(&mut agent, |n| {
        if n == 2 {
            keys.close_thinking();
        }
    });
    let answer = answers(&agent).remove(0);
    let [Nudge { at, what }] = answer.nudges[..] else {
        panic!("{:?}", answer.nudges);
    };
    assert_eq!(what, ThinkingKey::Close);
    assert!(at >= 2, "{at}");
    assert_eq!(tokens[at], ("</think>".to_owned(), true));
    assert_eq!(tokens[at + 1], ("\n\n".to_owned(), true));
    assert!(tokens[..at].iter().all(|(_, forced)| !forced));
    assert!(!answer.reasoning.contains("think>") && !answer.text.is_empty());
    drop(agent);
    let again = stage.replayed();
    assert_eq!((again.difference, again.answers), (None, 1));
    assert_eq!(again.tokens, answer.ids.len());
}

#[test]
fn an_answer_that_was_cut_off_knows_what_was_pressed() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    let keys = agent.thinking_keys();
    let mut kept: Vec<Sessions> = Vec::new();
    turn(&mut agent, |n| {
        match n {
            1 => keys.more_thinking(7),
            2 => keys.close_thinking(),
            _ => {}
        }
        if [2, 5, 8].contains(&n) {
            kept.push(stage.snapshot(&format!("after {n}")));
        }
    });
    let whole = course(&agent);
    let nudges = &answers(&agent)[0].nudges;
    let whats: Vec<_> = nudges.iter().map(|nudge| nudge.what).collect();
    assert_eq!(whats, [ThinkingKey::More(7), ThinkingKey::Close]);
    drop(agent);
    let mut same = 0;
    for sessions in &kept {
        let mut again = stage.resumed(sessions);
        let done = again.go_on(&mut Watch::new(|_| {})).unwrap();
        assert_eq!(done.reason, Reason::Done);
        // A press is written with its token: before, it is not known.
        if answers(&again)[0].nudges == *nudges {
            assert_eq!(course(&again), whole);
            same += 1;
        }
    }
    assert!(same > 0);
}
