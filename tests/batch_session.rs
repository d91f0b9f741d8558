//! Several turns of one conversation by JSON: what is done, and that what is
//! counted equals a count made another way.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Policy, Rules, Workspace};
use cairn::tools::{Detail, Limits, Toolbox};
use serde_json::{Value, json};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
const TURNS: [&str; 3] = [
    "list the files in src",
    "read src/main.rs",
    "replace hi with ho in src/main.rs",
];

fn workspace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "say hi\n").unwrap();
    std::fs::write(dir.path().join("src/lib.rs"), "nothing\n").unwrap();
    dir
}

fn cairn(arguments: &[&str], input: &str) -> String {
    let cache = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .env_remove("CAIRN_MODEL")
        .env(
            "XDG_STATE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
        )
        // Its own: what is reused is counted.
        .env("XDG_CACHE_HOME", cache.path())
        .env(
            "XDG_CONFIG_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/config"),
        )
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let aside = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{aside}");
    String::from_utf8(output.stdout).unwrap()
}

/// The objects of each turn.
fn turns(output: &str) -> Vec<Vec<Value>> {
    let mut turns = vec![Vec::new()];
    for line in output.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let ends = object["type"] == "done";
        turns.last_mut().unwrap().push(object);
        if ends {
            turns.push(Vec::new());
        }
    }
    assert_eq!(turns.pop(), Some(Vec::new()), "every turn ends with done");
    turns
}

fn of_type<'a>(turn: &'a [Value], kind: &str) -> Vec<&'a Value> {
    turn.iter().filter(|o| o["type"] == kind).collect()
}

fn check_work(turns: &[Vec<Value>], dir: &Path) {
    let calls: Vec<String> = turns
        .iter()
        .map(|turn| {
            let call = of_type(turn, "tool_call")[0];
            format!("{} {}", call["name"], call["arguments"]["path"])
        })
        .collect();
    assert_eq!(
        calls,
        [
            r#""list_dir" "src""#,
            r#""read_file" "src/main.rs""#,
            r#""edit_file" "src/main.rs""#
        ]
    );
    let session = &turns[0].last().unwrap()["session"];
    for turn in turns {
        let done = turn.last().unwrap();
        assert_eq!((&done["exit"], &done["session"]), (&json!(0), session));
    }
    let edited = std::fs::read_to_string(dir.join("src/main.rs")).unwrap();
    assert_eq!(edited, "say ho\n");
}

/// Token ids of a conversation, by the program's own renderer.
fn ids(messages: &[Value], tools: &Value) -> Vec<u64> {
    let input = json!({ "messages": messages, "tools": tools, "enable_thinking": true });
    let output = cairn(
        &["debug", "render", "--model", DEMO, "--ids"],
        &input.to_string(),
    );
    serde_json::from_str(&output).unwrap()
}

#[test]
fn three_turns_do_the_work_and_count_right() {
    let dir = workspace();
    let folder = dir.path().to_str().unwrap();
    let mut arguments = vec!["--workspace", folder, "--allow", "write"];
    arguments.extend(["--output", "jsonl"]);
    for turn in TURNS {
        arguments.extend(["--prompt", turn]);
    }
    let turns = turns(&cairn(&arguments, ""));
    assert_eq!(turns.len(), 3);
    check_work(&turns, dir.path());

    let toolbox = Toolbox::new(
        Workspace::open(dir.path()).unwrap(),
        Policy::new(Rules::default()),
        Launcher::Unconfined,
        Limits::default(),
    );
    let config = std::fs::read_to_string(format!("{DEMO}/jang_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let known = config["cairn"]["tools"].as_array().unwrap();
    let specs = toolbox.specs(Detail::Trained).into_iter();
    let offered: Vec<_> = specs
        .filter(|spec| known.contains(&json!(spec.name)))
        .collect();
    let tools = serde_json::to_value(offered).unwrap();
    let system = &config["cairn"]["system_prompt"];
    let mut messages = vec![json!({ "role": "system", "content": system })];
    let mut first_prompt_before = 0;
    for (said, turn) in TURNS.iter().zip(&turns) {
        messages.push(json!({ "role": "user", "content": said }));
        let usage = of_type(turn, "usage");
        let n = |call: usize, name: &str| usage[call][name].as_u64().unwrap();
        // The meter counts the same prompts, which are encoded anew below.
        let context = of_type(turn, "context");
        assert_eq!(context.len(), usage.len());
        for (context, usage) in context.iter().zip(&usage) {
            assert_eq!(context["total"], usage["prompt"]);
        }

        // The turn's first call: everything rendered. Old reasoning is dropped,
        // so of the turn before just its prompt remains.
        assert_eq!(n(0, "prompt"), ids(&messages, &tools).len() as u64);
        assert_eq!(n(0, "reused"), first_prompt_before);
        first_prompt_before = n(0, "prompt");

        // The second goes on from the generated ids: nothing is run again but
        // the last sampled id, which no step has run yet.
        assert_eq!(n(1, "reused"), n(0, "prompt") + n(0, "generated") - 1);
        assert!(usage.iter().all(|u| u["replayed"].as_u64().unwrap() <= 8));

        let reasoning = |pieces: &[Value]| -> String {
            let pieces = of_type(pieces, "reasoning");
            pieces.iter().map(|o| o["text"].as_str().unwrap()).collect()
        };
        let at = turn
            .iter()
            .position(|o| o["type"] == "tool_result")
            .unwrap();
        let call = of_type(turn, "tool_call")[0];
        messages.push(json!({
            "role": "assistant", "content": "", "reasoning_content": reasoning(&turn[..at]),
            "tool_calls": [{ "name": call["name"], "arguments": call["arguments"] }],
        }));
        messages.push(json!({ "role": "tool", "content": turn[at]["output"] }));
        assert_eq!(n(1, "prompt"), ids(&messages, &tools).len() as u64);
        messages.push(json!({
            "role": "assistant", "content": turn.last().unwrap()["text"],
            "reasoning_content": reasoning(&turn[at..]),
        }));
    }
}

#[test]
fn a_script_of_lines_is_a_conversation() {
    let dir = workspace();
    let folder = dir.path().to_str().unwrap();
    let script = format!(
        "{}\n\n{}\n{}\n",
        TURNS[0],
        json!({ "type": "user", "text": TURNS[1] }),
        TURNS[2]
    );
    let turns = turns(&cairn(
        &[
            "repl",
            "--workspace",
            folder,
            "--allow",
            "write",
            "--output",
            "jsonl",
        ],
        &script,
    ));
    assert_eq!(turns.len(), 3);
    check_work(&turns, dir.path());
}
