//! `cairn --prompt` from outside: the real program with the demo model that
//! comes with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A small project to work on.
fn workspace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    write("src/main.rs", "fn main() {\n    println!(\"hi\");\n}\n");
    write("src/lib.rs", "pub fn zero() -> u32 {\n    0\n}\n");
    write("notes.txt", "call the bank\n");
    dir
}

fn cairn(workspace: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .env_remove("CAIRN_MODEL")
        .env(
            "XDG_STATE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
        )
        .env(
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
        )
        .env(
            "XDG_CONFIG_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/config"),
        )
        .env_remove("NO_COLOR")
        .arg("--workspace")
        .arg(workspace)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(workspace: &Path, arguments: &[&str]) -> Output {
    cairn(workspace, arguments).output().unwrap()
}

/// The objects on stdout, each checked against what is documented.
fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    objects.iter().for_each(check);
    objects
}

type Is = fn(&Value) -> bool;

fn check(object: &Value) {
    assert_eq!(object["v"], 1, "{object}");
    // These and no others.
    let has = |fields: &[(&str, Is)]| {
        for (name, is) in fields {
            assert!(is(&object[name]), "{name} in {object}");
        }
        let count = object.as_object().unwrap().len();
        assert_eq!(count, fields.len() + 2, "{object}");
    };
    match object["type"].as_str().unwrap() {
        "text" | "reasoning" => has(&[("text", Value::is_string)]),
        "tool_call" => has(&[
            ("id", Value::is_string),
            ("name", Value::is_string),
            ("arguments", Value::is_object),
            ("sandbox", Value::is_string),
        ]),
        "tool_result" => has(&[
            ("id", Value::is_string),
            ("ok", Value::is_boolean),
            ("output", Value::is_string),
            ("truncated", Value::is_boolean),
            ("sandbox", Value::is_string),
        ]),
        "usage" => {
            has(&[
                ("prompt", Value::is_u64),
                ("reused", Value::is_u64),
                ("prefilled", Value::is_u64),
                ("replayed", Value::is_u64),
                ("generated", Value::is_u64),
            ]);
            let n = |name: &str| object[name].as_u64().unwrap();
            assert_eq!(n("prompt"), n("reused") + n("prefilled"), "{object}");
        }
        "context" => {
            let owners = [
                "system",
                "tools",
                "memory",
                "files",
                "history",
                "reasoning",
                "tool_output",
            ];
            let mut fields: Vec<(&str, Is)> = vec![("window", Value::is_u64)];
            fields.extend(
                ["total"]
                    .iter()
                    .chain(&owners)
                    .map(|&name| (name, Value::is_u64 as Is)),
            );
            has(&fields);
            let n = |name: &str| object[name].as_u64().unwrap();
            assert_eq!(n("total"), owners.map(n).iter().sum::<u64>(), "{object}");
        }
        "error" => has(&[("message", Value::is_string)]),
        "done" => has(&[
            ("exit", Value::is_u64),
            ("reason", Value::is_string),
            ("text", Value::is_string),
            ("session", Value::is_string),
        ]),
        other => panic!("unknown type {other}"),
    }
}

fn of_type<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["type"] == kind).collect()
}

/// The one `done`, which is the last object.
fn done(objects: &[Value]) -> &Value {
    let dones = of_type(objects, "done");
    assert_eq!(dones.len(), 1);
    assert_eq!(objects.last().unwrap()["type"], "done");
    dones[0]
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_listing_names_real_files() {
    let dir = workspace();
    let output = run(dir.path(), &["--prompt", "list the files in src"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(answer.contains("main.rs") && answer.contains("lib.rs"));
    assert!(answer.ends_with('\n'));
    let aside = stderr(&output);
    assert!(aside.contains("> list_dir(path=src)"), "{aside}");
    assert!(
        aside.contains("--model"),
        "the demo says what it is: {aside}"
    );
    assert!(!aside.contains('\x1b'), "no colours on a pipe");
}

#[test]
fn json_lines_tell_the_whole_turn() {
    let dir = workspace();
    let output = run(
        dir.path(),
        &["--output", "jsonl", "--prompt", "list the files in src"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let objects = objects(&output);
    let call = of_type(&objects, "tool_call")[0];
    let result = of_type(&objects, "tool_result")[0];
    assert_eq!(call["name"], "list_dir");
    assert_eq!(call["arguments"], serde_json::json!({ "path": "src" }));
    assert_eq!(call["id"], result["id"]);
    assert_eq!(result["output"], "lib.rs\nmain.rs");
    let usage = of_type(&objects, "usage");
    assert_eq!(usage.len(), 2, "one per model call");
    let prompts = |of: &[&Value], name| of.iter().map(|o| o[name].clone()).collect::<Vec<_>>();
    let context = of_type(&objects, "context");
    assert_eq!(prompts(&context, "total"), prompts(&usage, "prompt"));
    assert_eq!(context[0]["tool_output"], 0);
    assert!(context[1]["tool_output"].as_u64() > Some(3), "{context:?}");
    assert_eq!(context[0]["tools"], context[1]["tools"]);
    let last_result = objects
        .iter()
        .rposition(|o| o["type"] == "tool_result")
        .unwrap();
    let pieces: String = of_type(&objects[last_result..], "text")
        .iter()
        .map(|o| o["text"].as_str().unwrap())
        .collect();
    let done = done(&objects);
    assert_eq!(done["exit"], 0);
    assert_eq!(done["reason"], "done");
    assert_eq!(done["text"], pieces.as_str());
    assert!(!done["session"].as_str().unwrap().is_empty());
}

#[test]
fn a_refused_write_is_seen_by_the_model_and_ends_with_5() {
    let dir = workspace();
    let prompt = "create hello.txt with \"hello world\"";
    let output = run(dir.path(), &["--output", "jsonl", "--prompt", prompt]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let objects = objects(&output);
    let result = of_type(&objects, "tool_result")[0];
    assert_eq!(result["ok"], false);
    assert_eq!(result["output"], "error: denied by the user");
    assert_eq!(done(&objects)["exit"], 5);
    assert!(stderr(&output).contains("--allow write"));
    assert!(!dir.path().join("hello.txt").exists());

    let output = run(dir.path(), &["--allow", "write", "--prompt", prompt]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let written = std::fs::read_to_string(dir.path().join("hello.txt")).unwrap();
    assert_eq!(written.trim_end(), "hello world");
}

#[test]
fn a_path_out_of_the_workspace_ends_with_5() {
    let dir = workspace();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    for prompt in ["read /etc/passwd", "read link"] {
        let output = run(dir.path(), &["--output", "jsonl", "--prompt", prompt]);
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        let objects = objects(&output);
        let result = of_type(&objects, "tool_result")[0];
        let said = result["output"].as_str().unwrap();
        assert!(said.ends_with(": outside the workspace"), "{said}");
        assert_eq!(done(&objects)["reason"], "refused");
    }
}

#[test]
fn limits_end_with_4() {
    let dir = workspace();
    for (flag, value, reason) in [
        ("--max-tokens", "5", "max_tokens"),
        ("--max-steps", "1", "steps"),
    ] {
        let output = run(
            dir.path(),
            &[
                "--output",
                "jsonl",
                flag,
                value,
                "--prompt",
                "list the files in src",
            ],
        );
        assert_eq!(output.status.code(), Some(4));
        let objects = objects(&output);
        assert_eq!(done(&objects)["reason"], reason);
        assert_eq!(of_type(&objects, "error").len(), 1, "and says which limit");
    }
}

#[test]
fn a_full_context_says_what_filled_it() {
    let dir = workspace();
    let long = "word ".repeat(4000);
    let output = run(dir.path(), &["--output", "jsonl", "--prompt", &long]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let objects = objects(&output);
    assert_eq!(done(&objects)["reason"], "context");
    let message = of_type(&objects, "error")[0]["message"].as_str().unwrap();
    assert!(message.contains("is full") && message.contains("messages"));
    assert!(of_type(&objects, "usage").is_empty());
}

#[test]
fn a_bundle_that_cannot_be_used_ends_with_3() {
    let dir = workspace();
    let empty = tempfile::tempdir().unwrap();
    let model = empty.path().to_str().unwrap();
    let arguments = ["--model", model, "--output", "jsonl", "--prompt", "hi"];
    let output = run(dir.path(), &arguments);
    assert_eq!(output.status.code(), Some(3));
    let found = objects(&output);
    assert_eq!(of_type(&found, "error").len(), 1);
    assert_eq!(done(&found)["exit"], 3);
    assert_eq!(stderr(&output).lines().count(), 1);

    let mut command = cairn(dir.path(), &["--prompt", "hi"]);
    let output = command.env("CAIRN_MODEL", model).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "CAIRN_MODEL is heeded");
}

#[test]
fn misuse_ends_with_2_and_one_line() {
    let dir = workspace();
    let cases: [&[&str]; 11] = [
        &["--bogus"],
        &["--prompt"],
        &["--prompt", " "],
        &["--prompt", "a", "--temperature", "-1"],
        &["--prompt", "a", "--top-p", "1.5"],
        &["--prompt", "a", "--min-p", "nan"],
        &["--prompt", "a", "--allow", "everything"],
        &["--prompt", "a", "--backend", "abacus"],
        &["--prompt", "a", "--threads", "0"],
        &["--prompt", "a", "--thinking", "maybe"],
        &["--prompt", "a", "repl"],
    ];
    for arguments in cases {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    }
    let output = run(
        dir.path(),
        &["--output", "jsonl", "--prompt", "a", "--nope"],
    );
    assert_eq!(done(&objects(&output))["exit"], 2);
}

#[test]
fn help_ends_with_the_exit_codes() {
    let dir = workspace();
    let output = run(dir.path(), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    let codes: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "130"]);
}

#[test]
fn a_closed_pipe_is_success() {
    let dir = workspace();
    for format in ["jsonl", "text"] {
        let prompts = ["--prompt", "hello", "--prompt", "list the files in src"];
        let mut child = cairn(dir.path(), &["--output", format])
            .args(prompts)
            .spawn()
            .unwrap();
        let mut first = [0u8; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

fn with_stdin(workspace: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = cairn(workspace, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn the_prompt_can_come_from_stdin_whole_or_in_part() {
    let dir = workspace();
    let calls = |output: &Output| -> Vec<String> {
        let objects = objects(output);
        of_type(&objects, "tool_call")
            .iter()
            .map(|call| call["arguments"]["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let whole = with_stdin(
        dir.path(),
        &["--output", "jsonl", "--prompt", "-"],
        "list the files in src\n",
    );
    assert_eq!(calls(&whole), ["src"], "{}", stderr(&whole));

    let file = dir.path().join("task");
    std::fs::write(&file, "list the files in src\n").unwrap();
    let mut command = cairn(dir.path(), &["--output", "jsonl", "--prompt", "-"]);
    let from_file = command
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert_eq!(calls(&from_file), ["src"]);

    // What the model was given is longer than the argument alone.
    let prompt_tokens = |output: &Output| {
        objects(output)
            .iter()
            .find(|o| o["type"] == "usage")
            .unwrap()["prompt"]
            .as_u64()
            .unwrap()
    };
    let arguments = ["--output", "jsonl", "--prompt", "hello"];
    let alone = prompt_tokens(&run(dir.path(), &arguments));
    let joined = prompt_tokens(&with_stdin(dir.path(), &arguments, "and more text\n"));
    assert!(joined > alone, "{joined} {alone}");
    let empty = prompt_tokens(&with_stdin(dir.path(), &arguments, ""));
    assert_eq!(empty, alone);

    let nothing = with_stdin(dir.path(), &["--prompt", "-"], "");
    assert_eq!(nothing.status.code(), Some(2));
    let twice = with_stdin(dir.path(), &["--prompt", "-", "--prompt", "-"], "hi");
    assert_eq!(twice.status.code(), Some(2));
}

#[test]
fn too_much_input_is_cut_and_said() {
    let dir = workspace();
    let output = with_stdin(
        dir.path(),
        &["--output", "jsonl", "--prompt", "hello"],
        &"x ".repeat(600_000),
    );
    assert!(stderr(&output).contains("the rest was left out"));
    assert_eq!(output.status.code(), Some(4), "and it fills the context");
}

#[test]
fn a_socket_on_stdin_is_not_waited_for() {
    let dir = workspace();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = cairn(dir.path(), &["--prompt", "hello"]);
    let output = command
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .output()
        .unwrap();
    drop(ours);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_silent_pipe_is_spoken_of_and_then_heeded() {
    let dir = workspace();
    let mut child = cairn(dir.path(), &["--output", "jsonl", "--prompt", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_notice(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"hello").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

/// Reads stderr up to the word about a silent pipe; handlers are installed then.
fn wait_for_notice(child: &mut Child) {
    let stderr = child.stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines();
    let found = lines.any(|line| line.unwrap().contains("waiting for the pipe"));
    assert!(found, "stderr ended without a word about the pipe");
    // Nobody may be left to write to.
    std::thread::spawn(move || lines.count());
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupt_kills_the_tool_and_ends_with_130() {
    let dir = workspace();
    std::fs::write(
        dir.path().join("slow.sh"),
        "while sleep 0.02; do echo x >> beat; done; echo late > late\n",
    )
    .unwrap();
    let prompt = "run the command sh slow.sh";
    let child = cairn(
        dir.path(),
        &["--output", "jsonl", "--allow", "run", "--prompt", prompt],
    )
    .spawn()
    .unwrap();
    let beat = dir.path().join("beat");
    wait_for("the command", || beat.exists());
    let started = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let objects = objects(&output);
    assert_eq!(done(&objects)["exit"], 130);
    assert_eq!(done(&objects)["reason"], "interrupted");
    let calls = of_type(&objects, "tool_call").len();
    assert_eq!(calls, of_type(&objects, "tool_result").len());
    wait_for("the command's end", || is_still(&beat));
}

/// Whether nothing has been written to a file for a while: the process that does so
/// all the time is gone, whatever its number was where it ran.
fn is_still(file: &Path) -> bool {
    let length = || std::fs::metadata(file).map_or(0, |found| found.len());
    let before = length();
    std::thread::sleep(Duration::from_millis(200));
    length() == before
}

#[test]
fn an_interrupt_while_stdin_is_silent_still_ends_with_done() {
    let dir = workspace();
    let mut child = cairn(dir.path(), &["--output", "jsonl", "--prompt", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let held = child.stdin.take();
    wait_for_notice(&mut child);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    drop(held);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(done(&objects(&output))["exit"], 130);
}

#[test]
fn the_same_seed_says_the_same_whatever_the_threads() {
    let dir = workspace();
    let say = |seed: &str, threads: &str| {
        let output = run(
            dir.path(),
            &[
                "--output",
                "jsonl",
                "--temperature",
                "1.2",
                "--seed",
                seed,
                "--threads",
                threads,
                "--max-tokens",
                "60",
                "--prompt",
                "what can you do?",
            ],
        );
        let mut objects = objects(&output);
        let last = objects.last_mut().unwrap();
        last["session"] = Value::Null;
        objects
    };
    assert_eq!(say("7", "1"), say("7", "2"));
}
