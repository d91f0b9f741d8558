//! Batch runs at their edges: hostile files, impatient users, odd flags.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

fn workspace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "say hi\n").unwrap();
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
        .args(arguments)
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(workspace: &Path, arguments: &[&str]) -> Output {
    cairn(workspace, arguments).output().unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn no_file_can_break_a_json_line_or_drive_a_terminal() {
    let dir = workspace();
    let text = "one\u{2028}two\u{85}three\x1b[2J\u{9b}2J\u{202e}four";
    std::fs::write(dir.path().join("sep.txt"), text).unwrap();
    let output = run(
        dir.path(),
        &["--output", "jsonl", "--prompt", "read sep.txt"],
    );
    let raw = std::str::from_utf8(&output.stdout).unwrap();
    assert!(
        !raw.chars()
            .any(|c| c != '\n' && cairn::sandbox::sanitize::is_hidden(c)),
        "{raw:?}"
    );
    let objects = objects(&output);
    let result = objects.iter().find(|o| o["type"] == "tool_result").unwrap();
    assert_eq!(result["output"], text);
}

#[test]
fn a_large_file_does_not_fill_the_context() {
    let dir = workspace();
    let text = "pub fn main() { println!(\"words and more words\"); }\n".repeat(20_000);
    std::fs::write(dir.path().join("big.rs"), text).unwrap();
    let prompt = ["--output", "jsonl", "--prompt", "read big.rs"];
    let output = run(dir.path(), &[&prompt[..], &["--prompt", "hello"]].concat());
    let objects = objects(&output);
    let result = objects.iter().find(|o| o["type"] == "tool_result").unwrap();
    assert_eq!(result["truncated"], true);
    let said = result["output"].as_str().unwrap();
    assert!(said.contains(" lines omitted ...]\n"), "{said}");
    // Room is left for the answer, and for the next turn.
    let reasons = objects.iter().filter(|o| o["type"] == "done");
    assert!(
        reasons.clone().all(|o| o["reason"] != "context"),
        "{objects:?}"
    );
    assert_eq!(reasons.count(), 2);
}

#[test]
fn thread_counts_without_sense_are_refused() {
    let dir = workspace();
    for (threads, status) in [("0", 2), ("8", 0), ("257", 2), ("99999999999", 2)] {
        let output = run(dir.path(), &["--threads", threads, "--prompt", "hello"]);
        assert_eq!(output.status.code(), Some(status), "{threads}");
    }
}

#[test]
fn the_limit_that_was_reached_is_named() {
    let dir = workspace();
    let prompt = ["--prompt", "list the files in src"];
    let output = run(dir.path(), &[&prompt[..], &["--max-tokens", "5"]].concat());
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("the limit of 5 tokens was reached (--max-tokens)"));
    // Noise, which never ends by itself: the demo's own limit comes first.
    let noise = [
        "--temperature",
        "3e38",
        "--seed",
        "2",
        "--max-tokens",
        "900",
    ];
    let output = run(dir.path(), &[&prompt[..], &noise].concat());
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("the limit of 300 tokens in one answer was reached"),
        "{}",
        stderr(&output)
    );
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run that executes a script which starts a process that writes to `beat`, and
/// waits.
fn started(dir: &Path, format: &str) -> Child {
    let script = "(while sleep 0.02; do echo x >> beat; done) &\nwait\n";
    std::fs::write(dir.join("slow.sh"), script).unwrap();
    let prompt = "run the command sh slow.sh";
    let arguments = ["--output", format, "--allow", "run", "--prompt", prompt];
    let child = cairn(dir, &arguments).spawn().unwrap();
    wait_for("the command", || dir.join("beat").exists());
    child
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
fn a_second_interrupt_leaves_no_process_behind() {
    let dir = workspace();
    let child = started(dir.path(), "jsonl");
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(1));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(objects(&output).last().unwrap()["reason"], "interrupted");
    wait_for("the end of what the command started", || {
        is_still(&dir.path().join("beat"))
    });
}

#[test]
fn an_interrupted_run_says_so() {
    let dir = workspace();
    let child = started(dir.path(), "text");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = stderr(&output);
    assert!(said.ends_with("\ncairn: interrupted\n"), "{said}");
}

/// A sandbox that can't be set up stops the command, the model is told, and the run
/// says so.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_can_not_be_confined_is_refused() {
    let dir = workspace();
    let prompt = "run the command touch made";
    let arguments = ["--output", "jsonl", "--allow", "run", "--prompt", prompt];
    let mut command = cairn(dir.path(), &arguments);
    command.env("CAIRN_TEST_BREAK_LAYER", "landlock");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let objects = objects(&output);
    let results: Vec<_> = objects
        .iter()
        .filter(|o| o["type"] == "tool_result")
        .collect();
    let told = results[0]["output"].as_str().unwrap();
    let why = "error: the sandbox refused to start: Landlock: not set up: broken by a test";
    assert_eq!(told, why);
    assert_eq!(objects.last().unwrap()["reason"], "refused");
    assert!(!dir.path().join("made").exists());
}
