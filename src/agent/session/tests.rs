//! Logs and side files that are written, cut off, changed and read again.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::log::Open;
use super::*;
use crate::agent::entry::{Answer, Entry, Finish};
use crate::agent::exit::{Exit, Reason};
use crate::agent::machine::Limits;
use crate::agent::settings::Calls;
use crate::backend::Alternative;
use crate::bundle::{Bundle, Tokenizer};
use crate::chat::Thinking;
use crate::generate::{Nudge, Sampling, ThinkingKey, Token};

fn header(id: &str) -> Header {
    Header {
        v: VERSION,
        id: id.to_owned(),
        cairn: "0.1.0".to_owned(),
        bundle: BundleName {
            name: "demo".to_owned(),
            fingerprint: "f".repeat(32),
            path: None,
        },
        numerics: "cpu".to_owned(),
        workspace: PathBuf::from("/w"),
        system: "Be brief.".to_owned(),
        tools: Vec::new(),
        preamble: String::new(),
        settings: Chosen {
            sampling: Sampling {
                temperature: 0.7,
                ..Sampling::GREEDY
            },
            thinking: Thinking::On,
            limits: Limits::default(),
            calls: Calls::Constrained,
        },
        forked_from: None,
    }
}

fn said(text: &str) -> Kind {
    Kind::User {
        text: text.to_owned(),
        attached: Vec::new(),
    }
}

fn answered(text: &str, trace: Option<Span>) -> Kind {
    Kind::Assistant(Answer {
        text: text.to_owned(),
        ids: vec![1, 2, 3],
        finish: Finish::Stop,
        trace,
        ..Answer::default()
    })
}

fn ended() -> Kind {
    Kind::TurnEnded {
        exit: Exit::Done,
        reason: Reason::Done,
    }
}

fn demo() -> Arc<Tokenizer> {
    static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        Bundle::open(&dir).unwrap().tokenizer
    });
    Arc::clone(&TOKENIZER)
}

fn token(id: u32, position: usize) -> Token {
    Token {
        id,
        text: String::new(),
        position,
        logprob: -0.5,
        entropy: 1.5,
        exact_logprobs: true,
        top: vec![Alternative { id, logprob: -0.5 }],
        experts: vec![3, 16, 0],
        forced: false,
    }
}

/// A session of a few turns, closed.
fn kept(sessions: &Sessions) -> (String, Vec<Entry>) {
    let id = sessions.new_id();
    let mut journal = Journal::in_folder(header(&id), sessions.clone());
    let tokenizer = demo();
    for turn in 0..4u32 {
        journal.append(said(&format!("message {turn}"))).unwrap();
        let begin = Begin {
            after: journal.head().unwrap(),
            key: 7,
            prompt: 10,
            at: 0,
        };
        journal.trace().begin(begin).unwrap();
        for i in 0..5 {
            let token = token(turn * 5 + i, 10 + i as usize);
            journal.trace().push(&token, &tokenizer);
        }
        let span = journal.trace().finish().unwrap();
        journal.append(answered("fine", span)).unwrap();
        journal.append(ended()).unwrap();
    }
    (id, journal.entries().to_vec())
}

#[test]
fn a_session_is_there_again_and_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path().join("sessions"));
    assert!(sessions.ids().unwrap().is_empty());
    let (id, entries) = kept(&sessions);
    let opened = sessions.open(&id).unwrap();
    assert_eq!(opened.header, header(&id));
    assert_eq!(opened.journal.entries(), entries);
    assert!(opened.notices.is_empty());
    let busy = sessions.open(&id).unwrap_err().to_string();
    assert!(busy.contains("open in another cairn"), "{busy}");
    assert!(
        sessions
            .remove(&id)
            .unwrap_err()
            .to_string()
            .contains("open in")
    );
    drop(opened);
    sessions.open(&id).unwrap();
    let summary = sessions.summary(&id).unwrap();
    assert_eq!((summary.turns, summary.unfinished), (4, false));
    assert_eq!(summary.title, "message 0");
    assert_eq!(sessions.last_in(Path::new("/w")).unwrap(), Some(id.clone()));
    assert_eq!(sessions.last_in(Path::new("/x")).unwrap(), None);
    sessions.remove(&id).unwrap();
    assert!(sessions.ids().unwrap().is_empty());
}

#[test]
fn nothing_is_made_before_something_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path().join("sessions"));
    drop(Journal::in_folder(
        header(&sessions.new_id()),
        sessions.clone(),
    ));
    assert!(!sessions.folder().exists());
}

#[test]
fn sessions_are_found_by_what_they_begin_with() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path());
    for id in ["1ngqaaaaaaaa", "1ngqbbbbbbbb", "2000000000zz"] {
        fs::create_dir(dir.path().join(id)).unwrap();
    }
    for other in ["1ngq", "notes.txt", "1NGQAAAAAAAA", ".new-1ngqaaaaaaaa"] {
        fs::create_dir(dir.path().join(other)).unwrap();
    }
    assert_eq!(sessions.ids().unwrap().len(), 3);
    assert_eq!(sessions.find("2").unwrap(), "2000000000zz");
    assert_eq!(sessions.find("1ngqb").unwrap(), "1ngqbbbbbbbb");
    let why = |prefix| sessions.find(prefix).unwrap_err().to_string();
    assert!(
        why("1ngq").contains("1ngqbbbbbbbb, 1ngqaaaaaaaa"),
        "{}",
        why("1ngq")
    );
    assert!(why("3").contains("there is no session"));
    for odd in ["", "../x", "1ngqaaaaaaaa1", "é"] {
        assert!(why(odd).contains("is no id"), "{odd}");
    }
}

#[test]
fn branches_keep_what_they_leave() {
    let mut session = Session::new(Journal::in_memory(), Rules::default());
    for kind in [said("a"), answered("b", None), ended(), said("c"), ended()] {
        session.record(kind).unwrap();
    }
    session.branch(Some(3), None).unwrap();
    session.record(said("d")).unwrap();
    let texts: Vec<&str> = session
        .machine()
        .messages()
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(texts, ["a", "b", "d"]);
    let path: Vec<u64> = session.journal().path().iter().map(|e| e.id).collect();
    assert_eq!(path, [1, 2, 3, 6, 7]);
    assert_eq!(session.journal().entries().len(), 7);
    session.branch(None, None).unwrap();
    assert!(session.machine().messages().is_empty());
}

/// What a read of changed bytes may give: what was written, as far as it goes.
fn is_prefix(log: &Log, id: &str, entries: &[Entry]) -> bool {
    log.header == header(id) && entries.starts_with(&log.entries)
}

/// Ways to damage a file.
fn damaged(bytes: &[u8], how: u8, at: f64, to: f64, bit: u8) -> Vec<u8> {
    let place = |share: f64| (share * (bytes.len() - 1) as f64) as usize;
    let (a, b) = (place(at.min(to)), place(at.max(to)));
    let mut changed = bytes.to_vec();
    match how {
        0 => changed[a] ^= 1 << (bit % 8),
        1 => changed.truncate(a),
        2 => {
            // Two pieces change places.
            let len = (b - a).min(bytes.len() - b).min(1 + usize::from(bit));
            let (left, right) = changed.split_at_mut(b);
            left[a..a + len].swap_with_slice(&mut right[..len]);
        }
        3 => changed[a..b].fill(0),
        _ => {
            // Two lines change places.
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
            let line = |share: f64| (share * (lines.len() - 1) as f64) as usize;
            let (a, b) = (line(at), line(to));
            lines.swap(a, b);
            changed = lines.concat();
        }
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A thousand damaged logs and side files: what is read is what was written.
    #[test]
    fn damage_is_never_taken_for_what_was_written(
        how in 0u8..5, at in 0.0f64..1.0, to in 0.0f64..1.0, bit: u8, side: bool,
    ) {
        static MADE: LazyLock<(tempfile::TempDir, String, Vec<Entry>)> = LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            let (id, entries) = kept(&Sessions::at(dir.path()));
            (dir, id, entries)
        });
        let (made, id, entries) = &*MADE;
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::at(dir.path());
        fs::create_dir(dir.path().join(id)).unwrap();
        for name in ["log.jsonl", "tokens.bin"] {
            let place = Path::new(id).join(name);
            fs::copy(made.path().join(&place), dir.path().join(&place)).unwrap();
        }
        let spans: Vec<Span> = entries.iter().filter_map(|entry| match &entry.kind {
            Kind::Assistant(answer) => answer.trace,
            _ => None,
        }).collect();
        let before: Vec<Vec<Noted>> = spans.iter().map(|span| sessions.tokens(id, *span)).collect();
        prop_assert!(before.iter().all(|tokens| tokens.len() == 5));
        let file = match side {
            true => "tokens.bin",
            false => "log.jsonl",
        };
        let path = dir.path().join(id).join(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, damaged(&bytes, how, at, to, bit)).unwrap();

        for (span, before) in spans.iter().zip(&before) {
            prop_assert!(before.starts_with(&sessions.tokens(id, *span)));
        }
        match sessions.open(id) {
            Ok(mut opened) => {
                prop_assert!(entries.starts_with(opened.journal.entries()));
                // No answer was cut off, so none is gone on with, unless the log is
                // shorter than its side file: then it is the one that followed.
                if let Some(partial) = opened.journal.trace().take_partial() {
                    let head = opened.journal.head().unwrap();
                    prop_assert_eq!(partial.begin.after, head);
                    let after = entries.iter().find(|entry| entry.parent == Some(head)).unwrap();
                    let Kind::Assistant(Answer { trace: Some(span), .. }) = &after.kind else {
                        panic!("{after:?}");
                    };
                    let nth = spans.iter().position(|one| one == span).unwrap();
                    prop_assert!(before[nth].starts_with(&partial.tokens));
                }
                // What was repaired is whole, and can be gone on with.
                opened.journal.append(said("more")).unwrap();
                let count = opened.journal.entries().len();
                drop(opened);
                let again = sessions.read(id).unwrap();
                prop_assert_eq!(again.damage, None);
                prop_assert_eq!(again.entries.len(), count);
            }
            Err(error) => {
                let line = error.to_string();
                prop_assert!(!line.contains('\n') && line.contains(id.as_str()), "{line}");
                if let Ok(log) = sessions.read(id) {
                    prop_assert!(is_prefix(&log, id, entries) || log.header.id != *id);
                }
            }
        }
    }
}

#[test]
fn an_answer_that_was_cut_off_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path());
    let tokenizer = demo();
    let id = sessions.new_id();
    let mut journal = Journal::in_folder(header(&id), sessions.clone());
    journal.append(said("go")).unwrap();
    let begin = Begin {
        after: 1,
        key: 42,
        prompt: 10,
        at: 5,
    };
    journal.trace().begin(begin).unwrap();
    for i in 0..3 {
        journal.trace().push(&token(i, 10 + i as usize), &tokenizer);
    }
    // The third is held back.
    journal.trace().flush(11).unwrap();
    drop(journal);

    let mut journal = sessions.open(&id).unwrap().journal;
    let partial = journal.trace().take_partial().unwrap();
    assert_eq!(partial.begin, begin);
    let ids: Vec<u32> = partial.tokens.iter().map(|token| token.id).collect();
    assert_eq!(ids, [0, 1]);
    assert!(journal.trace().take_partial().is_none());
    journal.trace().go_on(&partial);
    journal.trace().push(&token(9, 12), &tokenizer);
    let span = journal.trace().finish().unwrap().unwrap();
    journal.append(answered("x", Some(span))).unwrap();
    drop(journal);

    let ids: Vec<u32> = sessions.tokens(&id, span).iter().map(|t| t.id).collect();
    assert_eq!(ids, [0, 1, 9]);
    let mut journal = sessions.open(&id).unwrap().journal;
    assert!(journal.trace().take_partial().is_none());
}

#[test]
fn what_the_user_did_to_the_reasoning_is_kept_with_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path());
    let tokenizer = demo();
    let id = sessions.new_id();
    let mut journal = Journal::in_folder(header(&id), sessions.clone());
    journal.append(said("go")).unwrap();
    let begin = |key| Begin {
        after: 1,
        key,
        prompt: 10,
        at: 5,
    };
    // An answer without a token leaves nothing, so the next is found.
    journal.trace().begin(begin(1)).unwrap();
    assert_eq!(journal.trace().finish().unwrap(), None);
    journal.trace().begin(begin(2)).unwrap();
    let [more, close] =
        [(0, ThinkingKey::More(5)), (2, ThinkingKey::Close)].map(|(at, what)| Nudge { at, what });
    journal.trace().push_nudge(more, 10);
    for i in 0..2 {
        journal.trace().push(&token(i, 10 + i as usize), &tokenizer);
    }
    journal.trace().push_nudge(close, 12);
    journal.trace().push(&token(2, 12), &tokenizer);
    // The third is held back, and what was done before it.
    journal.trace().flush(11).unwrap();
    drop(journal);

    let mut journal = sessions.open(&id).unwrap().journal;
    let partial = journal.trace().take_partial().unwrap();
    assert_eq!(partial.begin, begin(2));
    assert_eq!(
        (partial.tokens.len(), &partial.nudges[..]),
        (2, &[more][..])
    );
    journal.trace().go_on(&partial);
    journal.trace().push_nudge(close, 12);
    journal.trace().push(&token(2, 12), &tokenizer);
    let span = journal.trace().finish().unwrap().unwrap();
    assert_eq!(sessions.tokens(&id, span).len(), 3);
}

#[test]
fn a_log_that_can_not_be_written_is_said_once_and_loses_nothing() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let open = Open {
        file: full(),
        end: 0,
    };
    let mut journal = Journal::opened("x".into(), Vec::new(), open, Trace::nowhere());
    assert!(journal.append(said("a")).is_err());
    assert!(journal.append(ended()).is_ok());
    assert_eq!(journal.entries().len(), 2);

    // And where there is room again, all of it is written.
    let dir = tempfile::tempdir().unwrap();
    let file = File::create_new(dir.path().join("log")).unwrap();
    journal.set_file(Open { file, end: 0 });
    journal.append(said("b")).unwrap();
    let text = fs::read_to_string(dir.path().join("log")).unwrap();
    let ids: Vec<&str> = text.lines().map(|line| &line[..7]).collect();
    assert_eq!(ids, ["{\"id\":1", "{\"id\":2", "{\"id\":3"]);
}

#[test]
fn a_fork_is_a_copy_up_to_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::at(dir.path());
    let (id, entries) = kept(&sessions);
    let forked = sessions.fork(&id, Some(5)).unwrap();
    let own = Header {
        forked_from: Some(forked.from.clone()),
        ..header(&sessions.new_id())
    };
    let opened = sessions.create_fork(&own, &forked).unwrap();
    assert_eq!(opened.journal.entries(), &entries[..5]);
    let Kind::Assistant(answer) = &entries[4].kind else {
        panic!("{:?}", entries[4]);
    };
    let span = answer.trace.unwrap();
    assert_eq!(sessions.tokens(&own.id, span), sessions.tokens(&id, span));
    assert!(
        sessions
            .fork(&id, Some(99))
            .unwrap_err()
            .to_string()
            .contains("no entry 99")
    );
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_said() {
    let newer = Header {
        v: VERSION + 1,
        ..header("x")
    };
    let error = parse(&line::write(&newer).unwrap()).unwrap_err();
    assert!(error.to_string().contains("newer cairn"), "{error}");
}

/// What the README says of a line is what there is.
#[test]
fn every_kind_of_entry_is_documented() {
    let readme = include_str!("../../../README.md");
    let row = readme
        .lines()
        .find(|line| line.starts_with("| `type` |"))
        .unwrap();
    let named: Vec<&str> = row.split('`').skip(3).step_by(2).collect();
    // serde names all that it knows.
    let error = serde_json::from_str::<Entry>(r#"{"id":1,"type":"?"}"#)
        .unwrap_err()
        .to_string();
    let (_, known) = error.split_once("expected one of ").unwrap();
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert_eq!(named[0], "session");
    assert_eq!(named[1..], known);
    let fields = readme
        .lines()
        .find(|line| line.starts_with("| `v`, `id`"))
        .unwrap();
    let fork = Header {
        preamble: "x".into(),
        forked_from: Some(ForkedFrom {
            session: "x".into(),
            entry: 1,
        }),
        ..header("x")
    };
    let object = serde_json::to_value(fork).unwrap();
    for name in object
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "type")
    {
        assert!(fields.contains(&format!("`{name}`")), "{name}");
    }
}

/// A session of version 1, made by the program of that time: a listing, a change
/// that was undone, a branch, a pin and a change of settings.
#[test]
fn what_the_first_version_wrote_is_opened() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/session_v1");
    let dir = tempfile::tempdir().unwrap();
    let log = fs::read(golden.join("log.jsonl")).unwrap();
    let id = parse(&log).unwrap().header.id;
    fs::create_dir(dir.path().join(&id)).unwrap();
    for name in ["log.jsonl", "tokens.bin"] {
        fs::copy(golden.join(name), dir.path().join(&id).join(name)).unwrap();
    }
    let sessions = Sessions::at(dir.path());
    let opened = sessions.open(&id).unwrap();
    assert!(opened.notices.is_empty(), "{:?}", opened.notices);
    let entries = opened.journal.entries().to_vec();
    let kinds: std::collections::BTreeSet<String> = entries
        .iter()
        .map(|entry| serde_json::to_value(entry).unwrap()["type"].to_string())
        .collect();
    for kind in [
        "user",
        "assistant",
        "tool_result",
        "undo",
        "fork",
        "pin",
        "settings",
        "cache_mark",
    ] {
        assert!(kinds.contains(&format!("{kind:?}")), "{kind}: {kinds:?}");
    }
    let mut answers = 0;
    for entry in &entries {
        if let Kind::Assistant(answer) = &entry.kind {
            let tokens = sessions.tokens(&id, answer.trace.unwrap());
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            assert_eq!(ids, answer.ids[..answer.ids.len() - 1]);
            answers += 1;
        }
    }
    assert!(answers >= 4);
    let session = Session::new(opened.journal, Rules::default());
    assert!(!session.machine().messages().is_empty());
}
