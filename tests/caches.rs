//! Caches on disk from outside: what sessions share, many cairns at a time, a disk that
//! is full, and `cairn cache`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn cairn(cache: &Path, work: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .env_remove("CAIRN_MODEL")
        .env("XDG_CACHE_HOME", cache)
        .env("XDG_STATE_HOME", work.join("state"))
        .env("XDG_CONFIG_HOME", work.join("config"))
        .current_dir(work)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn prompt(cache: &Path, work: &Path, text: &str) -> Output {
    let arguments = [
        "--prompt",
        text,
        "--output",
        "jsonl",
        "--seed",
        "1",
        "--threads",
        "1",
    ];
    cairn(cache, work, &arguments).output().unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_type(objects: &[Value], kind: &str) -> Vec<Value> {
    objects
        .iter()
        .filter(|o| o["type"] == kind)
        .cloned()
        .collect()
}

/// Answers, without what differs from run to run.
fn said(output: &Output) -> Vec<Value> {
    let mut objects = objects(output);
    objects.retain(|o| o["type"] != "usage");
    for object in &mut objects {
        if let Some(object) = object.as_object_mut() {
            object.remove("session");
        }
    }
    objects
}

fn json(cache: &Path, work: &Path, what: &str) -> (Value, Option<i32>) {
    let output = cairn(cache, work, &["cache", what, "--json"])
        .output()
        .unwrap();
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        output.status.code(),
    )
}

#[test]
fn a_second_session_prefills_nothing_of_what_is_told_first() {
    let [cache, one, two] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = prompt(cache.path(), one.path(), "what is the capital of France?");
    let usage = of_type(&objects(&first), "usage").remove(0);
    assert_eq!(usage["reused"], 0, "{usage}");
    let context = of_type(&objects(&first), "context").remove(0);
    let fixed = context["system"].as_u64().unwrap() + context["tools"].as_u64().unwrap();
    assert!(fixed > 400, "{context}");
    for work in [&one, &two] {
        let next = prompt(cache.path(), work.path(), "name a colour");
        let usage = of_type(&objects(&next), "usage").remove(0);
        let n = |name: &str| usage[name].as_u64().unwrap();
        assert!(n("reused") >= fixed, "{usage}");
        assert!(n("replayed") <= 8, "{usage}");
        assert_eq!(n("prompt"), n("reused") + n("prefilled"));
    }
    let without = tempfile::tempdir().unwrap();
    let arguments = [
        "--prompt",
        "name a colour",
        "--output",
        "jsonl",
        "--seed",
        "1",
    ];
    let off = cairn(without.path(), two.path(), &arguments)
        .args(["--cache", "off"])
        .output()
        .unwrap();
    let on = prompt(cache.path(), two.path(), "name a colour");
    assert_eq!(said(&off), said(&on));
    assert!(!without.path().join("cairn/kv").exists());
}

/// 200 turns of 8 processes at a time, in one folder.
#[test]
fn many_cairns_share_a_folder() {
    let [cache, work] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let text = |turn: usize| format!("say {}", ["one", "two", "three", "four", "five"][turn % 5]);
    let alone: Vec<Vec<Value>> = (0..5)
        .map(|turn| {
            let own = tempfile::tempdir().unwrap();
            said(&prompt(own.path(), work.path(), &text(turn)))
        })
        .collect();
    let run = |process: usize| {
        let (cache, work, alone) = (cache.path(), work.path(), &alone);
        move || {
            for turn in (0..25).map(|turn| process + turn) {
                let output = prompt(cache, work, &text(turn));
                let errors = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{errors}");
                assert!(!errors.contains("cache"), "{errors}");
                assert_eq!(said(&output), alone[turn % 5]);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..8).for_each(|process| drop(scope.spawn(run(process))));
    });
    let (checked, status) = json(cache.path(), work.path(), "verify");
    assert_eq!(
        (&checked["broken"], status),
        (&serde_json::json!([]), Some(0))
    );
    assert!(checked["blocks"].as_u64().unwrap() > 5);
    let (collected, _) = json(cache.path(), work.path(), "gc");
    assert_eq!(
        (&collected["temporary"], &collected["blocks"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn damage_is_found_by_verify_and_said_in_a_turn() {
    let [cache, work] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let good = prompt(cache.path(), work.path(), "say one");
    let (listed, _) = json(cache.path(), work.path(), "list");
    let shelf = &listed["caches"][0];
    assert_eq!(shelf["bundle"], "demo (embedded)", "{listed}");
    let folder = cache
        .path()
        .join("cairn/kv")
        .join(shelf["fingerprint"].as_str().unwrap());
    let damage = |place: usize| {
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.starts_with(b"cairn-kv") {
                let middle = bytes.len() / 2;
                bytes[middle + place] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
    };
    damage(0);
    let next = prompt(cache.path(), work.path(), "say one");
    let errors = String::from_utf8_lossy(&next.stderr);
    assert_eq!(errors.matches("was refused").count(), 1, "{errors}");
    assert_eq!(said(&next), said(&good));
    let again = prompt(cache.path(), work.path(), "say one");
    let errors = String::from_utf8_lossy(&again.stderr);
    assert!(!errors.contains("was refused"), "{errors}");
    assert_eq!(said(&again), said(&good));
    damage(1);
    let (checked, status) = json(cache.path(), work.path(), "verify");
    assert_eq!(
        (&checked["blocks"], status),
        (&0.into(), Some(1)),
        "{checked}"
    );
    assert_eq!(json(cache.path(), work.path(), "verify").1, Some(0));
}

/// Files may not grow beyond what a first block needs: as on a full disk, every write
/// of the cache fails.
#[test]
fn a_turn_goes_on_when_the_disk_is_full() {
    let [cache, work] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let good = prompt(cache.path(), work.path(), "say one");
    let full = tempfile::tempdir().unwrap();
    let script = format!(
        "ulimit -f 4; trap '' XFSZ; exec {} --prompt 'say one' --output jsonl --seed 1 --threads 1",
        env!("CARGO_BIN_EXE_cairn")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .env_remove("CAIRN_MODEL")
        .env("XDG_CACHE_HOME", full.path())
        .env("XDG_STATE_HOME", work.path().join("state"))
        .env("XDG_CONFIG_HOME", work.path().join("config"))
        .current_dir(work.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(
        errors.matches("the cache on disk can't be written").count(),
        1,
        "{errors}"
    );
    assert_eq!(said(&output), said(&good));
    let (checked, status) = json(full.path(), work.path(), "verify");
    assert_eq!((&checked["blocks"], status), (&0.into(), Some(0)));
    let (collected, _) = json(full.path(), work.path(), "gc");
    assert_eq!(collected["temporary"], 0);
}
