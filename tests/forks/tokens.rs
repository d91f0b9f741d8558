//! What a fork computes: the same as the answer that is forked where it says the same.

use cairn::agent::session::path_to;
use cairn::agent::{Agent, Approval, Branch, ForkAt, Kind, Parted, With};
use cairn::generate::Token;

use crate::world::{Caches, Heard, LAYERS, World, answers, hear, turn};

fn fork(agent: &mut Agent, entry: u64, token: usize, with: With) -> Vec<Heard> {
    let at = ForkAt { entry, token, with };
    answers(&hear(Approval::Yes, |front| {
        agent.fork_at(at, front).unwrap();
    }))
}

/// What is the same for the same tokens: the whole of them, and what became of them.
fn said(heard: &[Heard]) -> Vec<(Vec<u32>, Vec<Token>, String, String)> {
    let each = heard.iter().map(|one| {
        let answer = &one.answer;
        (
            answer.ids.clone(),
            one.tokens.clone(),
            answer.reasoning.clone(),
            answer.text.clone(),
        )
    });
    each.collect()
}

/// Forks each answer at some of its tokens with the same token, and compares all that
/// follows.
fn goes_as_it_went(agent: &mut Agent, whole: &[Heard], step: usize) {
    for (at, answer) in whole.iter().enumerate() {
        let count = answer.answer.ids.len();
        for token in (at..count).step_by(step).chain([count - 2]) {
            let same = With::Token(answer.answer.ids[token]);
            let again = fork(agent, answer.entry, token, same);
            assert_eq!(said(&again), said(&whole[at..]), "answer {at}, {token}");
            let usage = again[0].usage.unwrap();
            assert!(usage.prefilled <= 2, "{usage:?}");
            assert!(usage.replayed <= 2 * LAYERS, "{usage:?}");
        }
    }
}

#[test]
fn the_same_token_gives_the_same_answer_from_memory() {
    for caches in [Caches::Kept, Caches::InMemory] {
        let world = World::new();
        let mut agent = world.agent(caches);
        let whole = turn(&mut agent, "list the files in src");
        assert!(whole.len() > 1 && !whole[0].answer.calls.is_empty());
        assert!(whole[0].answer.reasoning.len() > 10);
        goes_as_it_went(&mut agent, &whole, 7);
    }
}

#[test]
fn and_from_a_disk_that_another_process_wrote() {
    let world = World::new();
    let mut agent = world.agent(Caches::Kept);
    let whole = turn(&mut agent, "list the files in src");
    let id = agent.session_id().to_owned();
    drop(agent);
    for (at, token) in [(0, 0), (0, 9), (0, 31), (1, 5)] {
        let mut agent = world.resumed(&id, Caches::Kept);
        let same = With::Token(whole[at].answer.ids[token]);
        let again = fork(&mut agent, whole[at].entry, token, same);
        assert_eq!(said(&again), said(&whole[at..]));
        let usage = again[0].usage.unwrap();
        assert!(usage.loaded > 0 && usage.prefilled <= 2, "{usage:?}");
        assert!(usage.replayed <= 2 * LAYERS, "{usage:?}");
    }
}

#[test]
fn and_where_later_turns_have_taken_its_place() {
    let world = World::new();
    let mut agent = world.agent(Caches::Kept);
    let whole = turn(&mut agent, "list the files in src");
    turn(&mut agent, "hello");
    for (at, token) in [(0, 17), (1, 3)] {
        let same = With::Token(whole[at].answer.ids[token]);
        let again = fork(&mut agent, whole[at].entry, token, same);
        assert_eq!(said(&again), said(&whole[at..]));
        let usage = again[0].usage.unwrap();
        assert!(usage.prefilled <= 2, "{usage:?}");
        assert!(usage.replayed <= 2 * LAYERS, "{usage:?}");
        turn(&mut agent, "what is the capital of France?");
    }
}

/// A place where another token was likely.
fn doubtful(heard: &Heard) -> (usize, u32) {
    let doubts = heard.tokens.iter().enumerate().filter_map(|(at, token)| {
        let other = token.top.iter().find(|one| one.id != token.id)?;
        Some((at, *other))
    });
    let most = doubts.max_by(|(_, a), (_, b)| a.logprob.total_cmp(&b.logprob));
    most.map(|(at, one)| (at, one.id)).unwrap()
}

#[test]
fn other_tokens_give_other_answers_that_last() {
    let world = World::new();
    let mut agent = world.agent(Caches::Kept);
    let whole = turn(&mut agent, "list the files in src");
    let first = &whole[0];
    let (at, other) = doubtful(first);
    let changed = fork(&mut agent, first.entry, at, With::Token(other));
    let ids = &changed[0].answer.ids;
    assert_eq!(ids[..at], first.answer.ids[..at]);
    assert_eq!((ids[at], changed[0].tokens[at].forced), (other, true));
    assert_eq!(changed[0].tokens[..at], first.tokens[..at]);

    // Whatever it spells, it is text, of which no markup is shown.
    let typed = " I </think><|im_end|> wonder.";
    let text = With::Text(typed.into());
    let wrote = fork(&mut agent, first.entry, 4, text);
    let reasoning = &wrote[0].answer.reasoning;
    let kept: String = first.tokens[..4].iter().map(|t| t.text.as_str()).collect();
    let shown = typed.replace("</think>", "");
    assert!(
        reasoning.starts_with(&format!("{kept}{shown}")),
        "{reasoning}"
    );
    let put = wrote[0].tokens[4..].iter().take_while(|token| token.forced);
    let put: String = put.map(|token| token.text.as_str()).collect();
    assert_eq!(put, typed);

    let anew = With::Resample {
        seed: Some(99),
        temperature: Some(1.5),
    };
    let resampled = fork(&mut agent, first.entry, 2, anew);
    assert_eq!(resampled[0].answer.ids[..2], first.answer.ids[..2]);
    let journal = agent.session().journal();
    let chosen = journal.path().iter().rev().find_map(|e| match &e.kind {
        Kind::Settings(chosen) => Some(chosen.sampling.clone()),
        _ => None,
    });
    let chosen = chosen.unwrap();
    assert_eq!((chosen.seed, chosen.temperature), (99, 1.5));

    // Where a branch with other settings is forked, they are in force again.
    let id = resampled[0].answer.ids[3];
    let again = fork(&mut agent, resampled[0].entry, 3, With::Token(id));
    assert_eq!(said(&again), said(&resampled));
    let id = first.answer.ids[3];
    let again = fork(&mut agent, first.entry, 3, With::Token(id));
    assert_eq!(said(&again), said(&whole));
}

#[test]
fn branches_survive_a_restart_and_are_replayed() {
    let world = World::new();
    let mut agent = world.agent(Caches::Kept);
    let whole = turn(&mut agent, "list the files in src");
    let first = &whole[0];
    let original = agent.session().journal().head().unwrap();
    let (at, other) = doubtful(first);
    let changed = fork(&mut agent, first.entry, at, With::Token(other));
    let second = fork(&mut agent, changed[0].entry, 3, With::Text(" Hm,".into()));
    let anew = With::Resample {
        seed: Some(5),
        temperature: Some(1.2),
    };
    let third = fork(&mut agent, second[0].entry, 1, anew);
    let branches = agent.branches();
    let parted = |of: &Heard, token| {
        Some(Parted {
            entry: of.entry,
            token: Some(token),
        })
    };
    let shown: Vec<_> = branches
        .iter()
        .map(|b| (b.parted, b.put.as_str(), b.message, b.head, b.answers))
        .collect();
    let put = agent.tokenizer().token_bytes(other).unwrap().to_vec();
    let put = String::from_utf8(put).unwrap();
    let message = Some(1);
    assert_eq!(
        shown,
        [
            (None, "", message, false, whole.len()),
            (parted(first, at), &put[..], message, false, changed.len()),
            (parted(&changed[0], 3), " Hm,", message, false, second.len()),
            (parted(&second[0], 1), "", message, true, third.len()),
        ]
    );
    assert_eq!(branches[0].entry, original);

    let id = agent.session_id().to_owned();
    drop(agent);
    let mut agent = world.resumed(&id, Caches::Kept);
    assert_eq!(agent.branches(), branches);
    assert_eq!(agent.unfinished(), None);
    let log = world.log(&id);
    for Branch { entry, .. } in &branches {
        world.replays(&id, &path_to(&log.entries, Some(*entry)));
    }
    for heard in whole.iter().chain(&changed).chain(&second).chain(&third) {
        let noted = world.noted(&id, &heard.answer);
        let kept: Vec<u32> = noted.iter().map(|token| token.id).collect();
        let told: Vec<u32> = heard.tokens.iter().map(|token| token.id).collect();
        assert_eq!(kept, told);
        assert!(noted.is_sorted_by_key(|token| token.millis));
        assert!(noted.iter().all(|token| token.top.len() == 5));
    }

    // Another branch is the session's again, and goes on with its own settings.
    hear(Approval::Yes, |front| {
        agent.keep_branch(branches[1].entry, front).unwrap();
    });
    let kept = agent.branches();
    let heads: Vec<bool> = kept.iter().map(|branch| branch.head).collect();
    assert_eq!(heads.iter().filter(|head| **head).count(), 1);
    let head = kept.iter().find(|branch| branch.head).unwrap();
    assert_eq!(head.parted, parted(first, at));
    turn(&mut agent, "hello");
    let path = agent.session().journal().path();
    assert!(path.iter().any(|entry| entry.id == changed[0].entry));
    let path: Vec<_> = path.into_iter().cloned().collect();
    drop(agent);
    world.replays(&id, &path.iter().collect::<Vec<_>>());
}

#[test]
fn what_can_not_be_forked_is_said_and_changes_nothing() {
    let world = World::new();
    let mut agent = world.agent(Caches::InMemory);
    let whole = turn(&mut agent, "hello");
    let first = &whole[0];
    let entries = agent.session().journal().entries().to_vec();
    let count = first.answer.ids.len();
    let entry = first.entry;
    let text = || With::Text("x".into());
    for (entry, token, with, why) in [
        (99, 0, text(), "this session has no entry 99"),
        (0, 0, text(), "this session has no entry 0"),
        (1, 0, text(), "entry 1 is no answer of the model"),
        (entry, count, text(), "so none of number"),
        (entry, 0, With::Text(String::new()), "there is no text"),
        (entry, 1, With::Token(999_999), "none of the alternatives"),
        (
            entry,
            0,
            With::Resample {
                seed: None,
                temperature: Some(f32::NAN),
            },
            "a temperature is",
        ),
    ] {
        let at = ForkAt { entry, token, with };
        let events = hear(Approval::Yes, |front| {
            let said = agent.fork_at(at, front).unwrap_err();
            assert!(said.contains(why), "{said}");
            assert_eq!(said.lines().count(), 1);
        });
        assert!(events.is_empty());
    }
    hear(Approval::Yes, |front| {
        let why = agent.keep_branch(1, front).unwrap_err();
        assert!(why.contains("no branch of this session ends with entry 1"));
    });
    assert_eq!(agent.session().journal().entries(), entries);
    // What ends an answer can be chosen again.
    let stop = *first.answer.ids.last().unwrap();
    let again = fork(&mut agent, entry, count - 1, With::Token(stop));
    assert_eq!(again[0].answer.ids, first.answer.ids);
    assert_eq!(again[0].tokens, first.tokens);
}
