//! Commands in the background: what the model reads of them, what bounds them, and
//! that nothing of them stays.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Decision, Policy, Rules, Workspace};
use cairn::tools::{Call, Limits, Outcome, Toolbox};
use serde_json::{Value, json};

struct Bench {
    folder: tempfile::TempDir,
    toolbox: Toolbox,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let launcher = Launcher::by(env!("CARGO_BIN_EXE_cairn"));
        let policy = Policy::new(Rules::default());
        Bench {
            folder,
            toolbox: Toolbox::new(workspace, policy, launcher, Limits::default()),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, name: &str, arguments: Value) -> Outcome {
        self.toolbox.run(&call(name, arguments), &|| false)
    }

    fn start(&self, script: &str) -> String {
        let arguments = json!({"command": script, "background": true});
        self.run("run_command", arguments).output
    }

    /// Starts one that is still there a moment later.
    fn running(&self, id: u64, script: &str) {
        assert_eq!(
            self.start(script),
            format!(
                "command {id} runs in the background; command_output reads what it prints, stop_command ends it"
            )
        );
    }

    fn output(&self, id: u64) -> String {
        self.run("command_output", json!({ "id": id })).output
    }

    fn wait_for(&self, what: &str, is: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is() {
            assert!(Instant::now() < until, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn there(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }
}

fn call(name: &str, arguments: Value) -> Call {
    Call {
        name: name.into(),
        arguments: arguments.as_object().unwrap().clone(),
    }
}

/// Processes that sleep for so long.
fn sleepers(seconds: &str) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line == wanted.as_bytes())
        .count()
}

#[test]
fn output_is_read_piece_by_piece() {
    let bench = Bench::new();
    bench.running(
        1,
        "echo one; touch up; while [ ! -e go ]; do sleep 0.01; done; echo two; sleep 1000",
    );
    bench.wait_for("its start", || bench.there("up"));
    assert_eq!(bench.output(1), "one\n[running]");
    assert_eq!(bench.output(1), "[running]");
    fs::write(bench.path().join("go"), "").unwrap();
    let mut text = String::new();
    while !text.contains("two") {
        text.push_str(&bench.output(1));
    }
    assert!(bench.toolbox.ended().is_empty());
    let stopped = bench.run("stop_command", json!({"id": 1}));
    assert_eq!((stopped.ok, stopped.output.as_str()), (true, "[stopped]"));
    assert_eq!(bench.output(1), "[stopped]");
    // Whoever made the call knows.
    assert!(bench.toolbox.ended().is_empty());
}

#[test]
fn what_ends_says_how() {
    let bench = Bench::new();
    // At once: the call's own result.
    assert_eq!(bench.start("echo early; exit 3"), "early\n[exit 3]");
    assert_eq!(bench.toolbox.background(), []);
    bench.running(
        2,
        "while [ ! -e go ]; do sleep 0.01; done; echo late; exit 4",
    );
    fs::write(bench.path().join("go"), "").unwrap();
    let arguments = json!({"id": 2, "wait": 30});
    let outcome = bench.run("command_output", arguments);
    assert_eq!(
        (outcome.ok, outcome.output.as_str()),
        (false, "late\n[exit 4]")
    );
    bench.running(3, "while [ ! -e again ]; do sleep 0.01; done");
    fs::write(bench.path().join("again"), "").unwrap();
    bench.wait_for("its end", || bench.toolbox.background()[1].end.is_some());
    let ended = bench.toolbox.ended();
    assert_eq!((ended.len(), ended[0].id), (1, 3));
    assert_eq!(ended[0].end.as_deref(), Some("[exit 0]"));
    assert!(bench.toolbox.ended().is_empty());
}

#[test]
fn mistakes_are_told() {
    let bench = Bench::new();
    assert_eq!(
        bench.output(1),
        "error: there is no command 1 in the background, nor any other"
    );
    for id in 1..=4 {
        bench.running(id, "sleep 345671");
    }
    let error = bench.start("sleep 345671");
    assert!(
        error.starts_with("error: 4 commands run in the background"),
        "{error}"
    );
    assert_eq!(
        bench.run("stop_command", json!({"id": 9})).output,
        "error: there is no command 9 in the background; there are 1, 2, 3, 4"
    );
    assert!(bench.toolbox.end(2) && !bench.toolbox.end(2) && !bench.toolbox.end(9));
    bench.running(5, "sleep 345671");
    assert_eq!(sleepers("345671"), 4);
    let commands: Vec<u64> = bench.toolbox.end_all().iter().map(|one| one.id).collect();
    assert_eq!(commands, [1, 3, 4, 5]);
    assert_eq!(sleepers("345671"), 0);
}

/// Daemons and those who ignore signals, too.
#[test]
fn nothing_outlives_the_tools() {
    let bench = Bench::new();
    let script = "trap '' TERM INT HUP; (setsid sleep 345672 &); touch up; sleep 345672";
    bench.running(1, script);
    bench.wait_for("two sleepers", || {
        bench.there("up") && sleepers("345672") == 2
    });
    drop(bench.toolbox);
    assert_eq!(sleepers("345672"), 0);
}

/// A turn that is stopped ends its own call, not what runs in the background.
#[test]
fn a_cancelled_call_ends_nothing_else() {
    let bench = Bench::new();
    bench.running(1, "sleep 345673");
    let wait = call("command_output", json!({"id": 1, "wait": 60}));
    let started = Instant::now();
    let outcome = bench.toolbox.run(&wait, &|| true);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(outcome.output, "[running]");
    let run = call("run_command", json!({"command": "sleep 345674"}));
    assert_eq!(bench.toolbox.run(&run, &|| true).output, "[interrupted]");
    assert_eq!((sleepers("345673"), sleepers("345674")), (1, 0));
}

#[test]
fn a_flood_is_kept_in_a_cup() {
    let bench = Bench::new();
    bench.running(
        1,
        "yes 0123456789 | head -c 300000000; touch done; sleep 1000",
    );
    let before = resident();
    bench.wait_for("the flood", || bench.there("done"));
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    let output = bench.output(1);
    assert!(
        output.len() < 20_000 && output.contains(" lines omitted ...]"),
        "{}",
        output.len()
    );
    assert!(output.ends_with("[running]"));
}

/// Bytes of this process.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn it_is_confined_and_asked_about_as_any_other() {
    let bench = Bench::new();
    let start = call(
        "run_command",
        json!({"command": "sleep 1", "background": true}),
    );
    assert_eq!(bench.toolbox.decide(&start), Decision::Ask);
    assert_eq!(
        bench.toolbox.preview(&start),
        "sleep 1\n(in the background: it goes on after this call)"
    );
    for name in ["command_output", "stop_command"] {
        assert_eq!(
            bench.toolbox.decide(&call(name, json!({"id": 1}))),
            Decision::Allow
        );
    }
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = format!(
        "echo bad > {}/x; echo bad > .envrc; touch up; while [ ! -e go ]; do sleep 0.01; done",
        outside.path().display()
    );
    bench.running(1, &script);
    bench.wait_for("its start", || bench.there("up"));
    fs::write(bench.path().join("go"), "").unwrap();
    let outcome = bench.run("command_output", json!({"id": 1, "wait": 30}));
    assert!(outcome.refused, "{outcome:?}");
    let said = "[a command may not make .envrc: it is now quarantined-1-envrc]\n[exit 0]";
    assert!(outcome.output.ends_with(said), "{outcome:?}");
    assert!(!bench.there(".envrc") && !outside.path().join("x").exists());
}
