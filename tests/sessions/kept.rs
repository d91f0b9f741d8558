//! What is kept, gone on with after a kill, forked, edited,
//! damaged, and removed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::world::World;
use serde_json::{Value, json};

/// Of the demo model.
const LAYERS: u64 = 4;

const TASK: [&str; 9] = [
    "--output",
    "jsonl",
    "--seed",
    "7",
    "--temperature",
    "0.3",
    "--prompt",
    "list the files in src",
    "--allow=run",
];

/// How the task goes without a kill.
fn whole_course() -> Vec<Value> {
    let reference = World::new();
    reference.good(&TASK);
    let whole = reference.course(&reference.ids()[0]);
    let ids = whole.iter().filter_map(|entry| entry["ids"].as_array());
    assert!(ids.map(Vec::len).sum::<usize>() > 40, "{whole:?}");
    whole
}

/// Goes on with a session that was killed, and compares how it went with `whole`.
/// Whether it is known what that cost.
fn goes_on(world: &World, id: &str, whole: &[Value]) -> bool {
    let resume = ["repl", "--output", "jsonl", "--resume", id];
    let kept = fs::metadata(world.log(id).with_file_name("tokens.bin"));
    let text = world.good(&resume);
    // A record of a token is that long at least; the first one is the answer's.
    let known = kept.is_ok_and(|kept| kept.len() > 100) && !text.is_empty();
    if known {
        let usage = { text.lines() }
            .map(|line| serde_json::from_str(line).unwrap())
            .find(|object: &Value| object["type"] == "usage");
        let usage = usage.unwrap();
        let cost = |name| usage[name].as_u64().unwrap();
        assert!(cost("prefilled") <= 64, "{usage}");
        assert!(cost("replayed") <= 2 * LAYERS, "{usage}");
    }
    if let Some(done) = text.lines().last() {
        let done: Value = serde_json::from_str(done).unwrap();
        assert_eq!(done["type"], "done", "{text}");
        assert_eq!((&done["exit"], &done["session"]), (&json!(0), &json!(id)));
    }
    assert_eq!(world.course(id), whole);
    // Nothing is left to go on with.
    assert_eq!(world.good(&resume), "");
    world.good(&["sessions", "rm", id]);
    known
}

#[test]
fn a_turn_that_is_killed_when_it_speaks_goes_on_with_the_same_tokens() {
    let world = World::new();
    let whole = whole_course();
    let known = [1, 2, 9, 16, 23].into_iter().filter(|&n| {
        world.killed_at(&TASK, n);
        goes_on(&world, &world.ids()[0], &whole)
    });
    assert!(known.count() > 0);
}

/// In the middle of reasoning, of a call, of the answer, and where one ends.
#[test]
fn a_turn_that_is_killed_at_any_token_goes_on_with_the_same_tokens() {
    let world = World::new();
    let whole = whole_course();
    let mut killed = 0;
    for bytes in (60..7_500).step_by(620) {
        if let Some(id) = world.killed_after(&TASK, bytes) {
            killed += usize::from(goes_on(&world, &id, &whole));
        }
        for id in world.ids() {
            world.good(&["sessions", "rm", &id]);
        }
    }
    assert!(killed >= 4, "{killed}");
}

/// A session with so many long messages in its context, and the turn that follows.
fn filled(world: &World, notes: usize, words: usize) -> [&'static str; 6] {
    let long: Vec<String> = (1..=notes)
        .map(|n| format!("note {n}:{}", " word".repeat(words)))
        .collect();
    let mut fill = vec!["--seed", "7", "--max-tokens", "2", "--prompt", "hello"];
    fill.extend(long.iter().flat_map(|text| ["--prompt", text]));
    let output = world.run(&fill);
    assert_eq!(output.status.code(), Some(4), "the answers are cut");
    [
        "--output",
        "jsonl",
        "--continue",
        "--max-tokens=200",
        "--prompt",
        "list the files in src",
    ]
}

/// With a context that is nearly full, and with one that room is made in.
#[test]
fn a_full_session_that_is_killed_goes_on_with_the_same_tokens() {
    for (notes, words, least) in [(4, 445, 75), (2, 485, 35)] {
        let reference = World::new();
        let task = filled(&reference, notes, words);
        let told = reference.good(&task);
        let context = { told.lines() }
            .map(|line| serde_json::from_str(line).unwrap())
            .find(|object: &Value| object["type"] == "context")
            .unwrap();
        let number = |name| context[name].as_u64().unwrap();
        let share = number("total") * 100 / number("window");
        assert!((least..80).contains(&share), "{context}");
        let id = reference.ids()[0].clone();
        let whole = reference.course(&id);
        let last = |kind| whole.iter().rposition(|entry| entry["type"] == kind);
        let [left, asked] = ["compaction", "user"].map(last);
        assert!(left.is_some(), "{whole:?}");
        assert_eq!(left > asked, notes == 2, "{whole:?}");
        let same = reference.json(&["replay", &id, "--json"]);
        assert_eq!(same["same"], true, "{same}");

        let mut killed = 0;
        for more in [700, 5_500] {
            let world = World::new();
            filled(&world, notes, words);
            let id = world.ids()[0].clone();
            let kept = fs::metadata(world.log(&id).with_file_name("tokens.bin")).unwrap();
            if world.killed_after(&task, kept.len() + more).is_some() {
                killed += usize::from(goes_on(&world, &id, &whole));
            }
        }
        assert!(killed > 0);
    }
}

#[test]
fn a_session_goes_on_as_if_it_had_never_stopped() {
    let world = World::new();
    let first = "read notes.txt";
    let second = "how many lines does it have?";
    let flags = ["--seed", "3", "--temperature", "0.2", "--allow", "run"];
    let with = |more: &[&str]| [&flags[..], more].concat().join("\u{1}");
    let run = |line: String| {
        let arguments: Vec<&str> = line.split('\u{1}').collect();
        world.good(&arguments)
    };
    run(with(&["--prompt", first, "--prompt", second]));
    let whole = world.course(&world.ids()[0]);
    run(with(&["--prompt", first]));
    let id = world.ids()[0].clone();
    // Without the flags: the session has them.
    world.good(&["--allow", "run", "--continue", "--prompt", second]);
    assert_eq!(world.ids()[0], id);
    assert_eq!(world.course(&id), whole);
    // And a prefix is enough.
    let text = world.good(&["--resume", &id[..11], "--prompt", "hello"]);
    assert!(!text.is_empty());
    let log = fs::read_to_string(world.log(&id)).unwrap();
    assert_eq!(log.matches("\"type\":\"user\"").count(), 3, "{log}");
}

fn repl(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(&[&["repl"], arguments].concat());
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// What a REPL says to lines.
fn said(world: &World, arguments: &[&str], lines: &str) -> String {
    let mut child = repl(world, arguments);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_session_that_is_open_can_be_copied_but_not_shared() {
    let world = World::new();
    world.good(&["--prompt", "hello"]);
    let id = world.ids()[0].clone();
    let mut child = repl(&world, &["--resume", &id]);
    // It says that the session goes on once it has it.
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("goes on") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
    }
    for flags in [&["--resume", &id[..]][..], &["--continue"]] {
        let why = world.refused(&[flags, &["--prompt", "hello"]].concat());
        assert!(
            why.contains("open in another cairn") && why.contains("--fork"),
            "{why}"
        );
    }
    let why = world.refused(&["sessions", "rm", &id]);
    assert!(why.contains("open in another cairn"), "{why}");
    world.good(&["--fork", &id, "--prompt", "hello"]);
    drop(child.stdin.take());
    stdout.read_to_string(&mut line).unwrap();
    child.wait().unwrap();
    let list = world.json(&["sessions", "--json"]);
    let fork = &list["sessions"].as_array().unwrap()[0];
    assert_eq!(fork["forked_from"]["session"], json!(id));
    assert_eq!(fork["turns"], 2);
}

#[test]
fn forks_and_edits_are_branches_of_what_was_said() {
    let world = World::new();
    world.good(&[
        "--prompt",
        "what is the capital of France?",
        "--prompt",
        "hello",
    ]);
    let id = world.ids()[0].clone();
    let shown = world.good(&["sessions", "show", &id]);
    let end = shown
        .lines()
        .find(|line| line.contains("turn_ended"))
        .unwrap();
    let end = end.trim().split_once(' ').unwrap().0;

    let fork = format!("{id}@{end}");
    world.good(&["--fork", &fork, "--prompt", "what is the capital of Italy?"]);
    let forked = world.ids()[0].clone();
    let course = world.course(&forked);
    let messages = |course: &[Value]| -> Vec<String> {
        let users = course.iter().filter(|entry| entry["type"] == "user");
        users
            .map(|entry| entry["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let italy = "what is the capital of Italy?".to_owned();
    assert_eq!(
        messages(&course),
        ["what is the capital of France?".to_owned(), italy.clone()]
    );

    let text = said(
        &world,
        &["--resume", &id],
        &format!("/edit 2 {italy}\n/edit\n"),
    );
    assert!(
        text.contains("Rome") && text.contains("2: what is the capital of Italy?"),
        "{text}"
    );
    assert_eq!(messages(&world.course(&id)), messages(&course));
    // What was left is still there, and shown as such.
    let shown = world.good(&["sessions", "show", &id]);
    assert!(shown.contains("| user: hello"), "{shown}");

    for (flags, why) in [
        (["--fork", &format!("{id}@999")], "has no entry 999"),
        (["--fork", &format!("{id}@x")], "no number of an entry"),
        (["--resume", "zzzz"], "there is no session"),
        (["--resume", "../../etc"], "is no id"),
    ] {
        let line = world.refused(&[&flags[..], &["--prompt", "hello"]].concat());
        assert!(line.contains(why), "{line}");
    }
    let clash = world.refused(&["--continue", "--resume", &id, "--prompt", "x"]);
    assert!(clash.contains("cannot be used with"), "{clash}");
}

#[test]
fn slash_commands_reach_other_sessions() {
    let world = World::new();
    world.good(&["--prompt", "hello"]);
    let id = world.ids()[0].clone();
    let lines = format!(
        "/sessions\n/resume {id}\nwhat is the capital of Italy?\n/resume {id}\n/fork @1\n/fork nothing\n/resume\n"
    );
    let text = said(&world, &[], &lines);
    for part in [
        "1 turns  hello",
        &format!("session {id} goes on"),
        "1: hello",
        "Rome",
        "that is this session",
        "\"nothing\" is no id",
        "\"\" is no id",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = world.json(&["sessions", "--json"]);
    let turns: Vec<u64> = { list["sessions"].as_array().unwrap().iter() }
        .map(|row| row["turns"].as_u64().unwrap())
        .collect();
    // The fork finishes the turn that its entry is in the middle of.
    assert_eq!(turns, [1, 2]);
}

#[test]
fn a_damaged_log_is_repaired_or_refused() {
    let world = World::new();
    world.good(&["--prompt", "hello", "--prompt", "hello"]);
    let id = world.ids()[0].clone();
    let log = world.log(&id);
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 9]).unwrap();
    let output = world.run(&["--resume", &id, "--prompt", "hello"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && errors.contains("cut off and is left out"),
        "{errors}"
    );
    // The turn whose end was lost was over all but for that.
    let shown = world.good(&["sessions", "show", &id]);
    assert_eq!(shown.matches("user: hello").count(), 3, "{shown}");

    let at = whole.iter().rposition(|&byte| byte == b'y').unwrap();
    let mut other = whole.clone();
    let middle = whole.windows(5).position(|part| part == b"hello").unwrap();
    other[middle] = b'j';
    assert!(middle < at);
    fs::write(&log, &other).unwrap();
    for (flag, name) in [("--resume", id.clone()), ("--fork", id.clone())] {
        let why = world.refused(&[flag, &name, "--prompt", "hello"]);
        assert!(why.contains("line 2 of its log is damaged"), "{why}");
    }
    let shown = world.good(&["sessions", "show", &id]);
    assert!(
        shown.contains("line 2 is damaged: its checksum is wrong"),
        "{shown}"
    );
    let why = world.refused(&["replay", &id]);
    assert!(why.contains("line 2"), "{why}");

    fs::write(&log, "nonsense\n").unwrap();
    let why = world.refused(&["--resume", &id, "--prompt", "hello"]);
    assert!(why.contains("its first line can't be used"), "{why}");
    let text = world.good(&["sessions"]);
    assert!(text.contains("its first line can't be used"), "{text}");
}

#[test]
fn sessions_are_listed_exported_and_removed() {
    let world = World::new();
    let text = world.good(&["sessions"]);
    assert!(text.starts_with("no sessions in "), "{text}");
    let why = world.refused(&["--continue", "--prompt", "hello"]);
    assert!(why.contains("there is no session in"), "{why}");

    world.good(&["--prompt", "read notes.txt"]);
    let id = world.ids()[0].clone();
    let row = &world.json(&["sessions", "list", "--json"])["sessions"][0];
    assert_eq!(row["title"], "read notes.txt");
    assert_eq!(row["unfinished"], false);
    assert_eq!(
        row["workspace"],
        json!(world.workspace().canonicalize().unwrap())
    );

    let text = world.good(&["sessions", "export", &id]);
    for part in [
        "## User\n\nread notes.txt",
        "### Call",
        "call the bank",
        "```reasoning",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let whole = world.json(&["sessions", "export", &id, "--format", "json"]);
    let entries = whole["entries"].as_array().unwrap();
    let answer = entries
        .iter()
        .find(|entry| entry["type"] == "assistant")
        .unwrap();
    let tokens = answer["tokens"].as_array().unwrap();
    let ids: Vec<&Value> = tokens.iter().map(|token| &token["id"]).collect();
    let generated: Vec<&Value> = answer["ids"].as_array().unwrap().iter().collect();
    // The stop id is no token of the answer.
    assert_eq!(ids, generated[..generated.len() - 1]);
    assert_eq!(tokens[0]["top"].as_array().unwrap().len(), 5);
    assert_eq!(tokens[0]["experts"].as_array().unwrap().len(), 4);
    let text: String = tokens.iter().map(|t| t["text"].as_str().unwrap()).collect();
    assert!(text.contains("notes.txt"), "{text}");

    assert!(
        world
            .refused(&["sessions", "rm", &id, "zzz"])
            .contains("no session")
    );
    assert_eq!(world.ids(), std::slice::from_ref(&id));
    let left = world.log(&id).parent().unwrap().with_file_name(".new-0");
    fs::create_dir(&left).unwrap();
    assert_eq!(world.good(&["sessions", "gc"]), "nothing to remove\n");
    assert_eq!(
        world.good(&["sessions", "gc", "--days", "1"]),
        "nothing to remove\n"
    );
    assert!(left.exists(), "it may be at work");
    assert_eq!(
        world.good(&["sessions", "rm", &id[..8]]),
        format!("removed: {id}\n")
    );
    assert!(world.ids().is_empty());
}

#[test]
fn a_session_of_another_bundle_is_only_forked() {
    let world = World::new();
    world.good(&["--prompt", "hello"]);
    let id = world.ids()[0].clone();
    let bundle = world.0.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    for entry in fs::read_dir(demo).unwrap().flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), bundle.join(entry.file_name())).unwrap();
        }
    }
    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "\n").unwrap();
    let model = bundle.to_str().unwrap();
    let why = world.refused(&["--model", model, "--resume", &id, "--prompt", "hello"]);
    assert!(
        why.contains("was made with") && why.contains("--fork"),
        "{why}"
    );
    world.good(&["--model", model, "--fork", &id, "--prompt", "hello"]);
    let fork = world.ids()[0].clone();
    assert_eq!(
        world.json(&["sessions", "--json"])["sessions"][0]["turns"],
        2
    );
    // Its bundle is found again.
    world.good(&["--resume", &fork, "--prompt", "hello"]);
}
