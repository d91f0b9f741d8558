//! `cairn replay`: recorded sessions give the same tokens again, however they are
//! computed; and where they do not, the first token that differs is named.

use std::fs;

use crate::world::World;
use serde_json::Value;

/// Prompts of a session, and how its tokens were sampled.
struct Recording {
    prompts: &'static [&'static str],
    flags: &'static [&'static str],
}

/// Twenty conversations: with tools and without, refused and allowed, greedy and
/// sampled in different ways, long and short, cut off by limits.
const RECORDINGS: [Recording; 20] = {
    const fn of(prompts: &'static [&'static str], flags: &'static [&'static str]) -> Recording {
        Recording { prompts, flags }
    }
    [
        of(&["hello"], &[]),
        of(&["what is the capital of France?"], &["--seed", "1"]),
        of(&["list the files in src"], &[]),
        of(
            &["read notes.txt", "how many lines does it have?"],
            &["--allow", "run"],
        ),
        of(&["read notes.txt", "how many lines does it have?"], &[]),
        of(&["search for main in src"], &["--seed", "5"]),
        of(
            &["create hello.txt with \"hello world\""],
            &["--allow", "write"],
        ),
        of(&["create hello.txt with \"hello world\""], &[]),
        of(&["what is 123 + 456?"], &["--allow", "run"]),
        of(&["explain monads"], &["--temperature", "1", "--seed", "2"]),
        of(
            &["what can you do?"],
            &["--temperature", "0.8", "--seed", "3"],
        ),
        of(
            &["hello", "hello", "hello"],
            &["--temperature", "0.5", "--seed", "4"],
        ),
        of(
            &["list the files in src", "open the first file"],
            &["--temperature", "0.3", "--seed", "9"],
        ),
        of(&["what is the capital of Japan?"], &["--thinking", "off"]),
        of(
            &["what is the capital of Peru?"],
            &["--top-k", "3", "--temperature", "1", "--seed", "8"],
        ),
        of(
            &["what is the capital of Chile?"],
            &["--top-p", "0.9", "--temperature", "1", "--seed", "8"],
        ),
        of(
            &["what is the capital of Egypt?"],
            &["--min-p", "0.05", "--temperature", "1.2", "--seed", "8"],
        ),
        of(&["what is the capital of Kenya?"], &["--max-tokens", "12"]),
        of(&["list the files in src"], &["--max-steps", "1"]),
        of(&["ls src", "read notes.txt", "hello"], &["--seed", "11"]),
    ]
};

/// Records all of them; ids in their order.
fn record(world: &World) -> Vec<String> {
    let recorded = RECORDINGS.iter().map(|recording| {
        let prompts = recording
            .prompts
            .iter()
            .flat_map(|prompt| ["--prompt", prompt]);
        let arguments: Vec<&str> = recording.flags.iter().copied().chain(prompts).collect();
        let output = world.run(&arguments);
        // Limits and refusals are part of it.
        assert!(
            matches!(output.status.code(), Some(0 | 4 | 5)),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // What one has written is not there for the next.
        let _ = fs::remove_file(world.workspace().join("hello.txt"));
        world.ids()[0].clone()
    });
    recorded.collect()
}

/// Every session in a few of the ways that it can be computed; all ways are met.
/// (`cargo xtask ci --long` tries each with each.)
#[test]
fn twenty_sessions_give_the_same_tokens_again() {
    let world = World::new();
    let ids = record(&world);
    let mut ways = Vec::new();
    for threads in ["1", "2", "4"] {
        for chunk in ["1", "7", "512"] {
            for cache in ["on", "off"] {
                ways.push(["--threads", threads, "--chunk", chunk, "--cache", cache]);
            }
        }
    }
    let all = std::env::var_os("CAIRN_REPLAY_ALL").is_some();
    let mut compared = 0;
    for (n, id) in ids.iter().enumerate() {
        for (m, way) in ways.iter().enumerate() {
            if !all && m != n % ways.len() {
                continue;
            }
            let object = world.json(&[&["replay", id, "--json"], &way[..]].concat());
            assert_eq!(object["same"], true, "{way:?}: {object}");
            assert_eq!(
                object["notices"].as_array().map(Vec::len),
                Some(0),
                "{object}"
            );
            assert!(object["tokens"].as_u64().unwrap() > 5, "{object}");
            compared += 1;
        }
    }
    assert!(compared >= ids.len());
}

/// A line of a log with its checksum made right again.
fn resealed(line: &str) -> String {
    let (text, _) = line.rsplit_once(",\"sum\":\"").unwrap();
    let sum = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    format!("{text},\"sum\":\"{sum:016x}\"}}\n")
}

#[test]
fn the_first_token_that_differs_is_named() {
    let world = World::new();
    world.good(&["--seed", "1", "--prompt", "what is the capital of France?"]);
    let id = world.ids()[0].clone();
    let log = fs::read_to_string(world.log(&id)).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let answer: Value = serde_json::from_str(lines[2]).unwrap();
    let ids: Vec<u64> = answer["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect();
    let mut other = ids.clone();
    other[5] += 1;
    let list = |ids: &[u64]| serde_json::to_string(ids).unwrap();
    let changed = lines[2].replace(&list(&ids), &list(&other));
    assert_ne!(changed, lines[2]);
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        text.push_str(&match n {
            // And a word on the numbers.
            0 => resealed(&line.replace("cpu-int15", "cpu-other")),
            2 => resealed(&changed),
            _ => format!("{line}\n"),
        });
    }
    fs::write(world.log(&id), text).unwrap();

    let output = world.run(&["replay", &id]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("entry 2, token 5, position "), "{said}");
    assert!(
        said.contains(&format!("({}) was logged, now it is ", other[5])),
        "{said}"
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("the same tokens are not promised"),
        "{errors}"
    );

    let output = world.run(&["replay", &id, "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["same"], false);
    let difference = &object["difference"];
    assert_eq!(
        (&difference["entry"], &difference["token"]),
        (&2.into(), &5.into())
    );
    assert_eq!(difference["now"]["id"], ids[5]);
    for side in ["logged", "now"] {
        assert_eq!(
            difference[side]["top"].as_array().unwrap().len(),
            5,
            "{difference}"
        );
    }
    // Both were kept from the same run, so they agree.
    assert_eq!(difference["logged"]["top"], difference["now"]["top"]);
}

#[test]
fn tools_run_again_only_when_asked_for() {
    let world = World::new();
    world.good(&["--prompt", "read notes.txt"]);
    let id = world.ids()[0].clone();
    let notes = world.workspace().join("notes.txt");
    fs::write(&notes, "buy bread and butter\n").unwrap();
    let same = world.json(&["replay", &id, "--json"]);
    assert_eq!(same["same"], true, "{same}");
    let output = world.run(&["replay", &id, "--json", "--live-tools"]);
    let live: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notice = live["notices"][0].as_str().unwrap();
    assert!(
        notice.contains("the result of call_1 is another one now"),
        "{live}"
    );

    // Without the workspace only the log is left.
    fs::remove_dir_all(world.workspace().join("src")).unwrap();
    let away = world.0.path().join("away");
    fs::rename(world.workspace(), &away).unwrap();
    let replay = |flags: &[&str]| {
        let mut command = world.command(&[&["replay", &id], flags].concat());
        command.current_dir(&away).output().unwrap()
    };
    assert!(replay(&[]).status.success());
    let refused = replay(&["--live-tools"]);
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("is not there"), "{why}");
}
