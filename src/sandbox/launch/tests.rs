//! What a command sees, how it ends, and that nothing of it stays behind.

use super::*;
use crate::sandbox::policy::Rules;
use rustix::process::Pid;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn limits() -> CommandLimits {
    CommandLimits {
        time: Duration::from_secs(20),
        output: Limit {
            bytes: 4096,
            lines: 100,
        },
        flood: 64 << 20,
        memory: None,
    }
}

fn workspace() -> (tempfile::TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    (folder, workspace)
}

/// Without a confinement: what it does is tested from outside the library.
fn run_in(
    workspace: &Workspace,
    command: &str,
    limits: &CommandLimits,
    cancelled: &dyn Fn() -> bool,
) -> Finished {
    let argv = ["sh", "-c", command].map(str::to_owned);
    let policy = Policy::new(Rules::default());
    let job = Job::new(&Launcher::Unconfined, &policy, workspace, &argv);
    run(job, limits, cancelled, &mut |_| {}).unwrap()
}

fn run_with(command: &str, limits: &CommandLimits) -> Finished {
    let (_folder, workspace) = workspace();
    run_in(&workspace, command, limits, &|| false)
}

fn output(command: &str) -> (String, End) {
    let finished = run_with(command, &limits());
    (finished.output.text, finished.end)
}

fn alive(pid: i32) -> bool {
    // A killed process may stay a zombie for a while: that is dead enough.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(')').unwrap().1.trim().starts_with('Z'),
        Err(_) => {
            !Path::new("/proc").exists()
                && rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
        }
    }
}

fn wait_until_dead(pids: &[i32]) {
    for _ in 0..100 {
        if !pids.iter().any(|pid| alive(*pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let left: Vec<_> = pids.iter().filter(|pid| alive(**pid)).collect();
    for pid in &left {
        let _ = rustix::process::kill_process(
            Pid::from_raw(**pid).unwrap(),
            rustix::process::Signal::KILL,
        );
    }
    panic!("still running: {left:?}");
}

fn pids(text: &str) -> Vec<i32> {
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn both_outputs_come_in_order_with_the_exit_code() {
    assert_eq!(
        output("echo a; echo b >&2; echo c; exit 3"),
        ("a\nb\nc".into(), End::Exit(3))
    );
    assert_eq!(output("true"), (String::new(), End::Exit(0)));
    assert_eq!(output("kill -9 $$").1, End::Signal(9));
    assert_eq!(output("printf 'a\\377b'").0, "a\u{fffd}b");
}

#[test]
fn it_runs_in_the_workspace_without_input() {
    let (folder, workspace) = workspace();
    let got = run_in(&workspace, "pwd; cat; echo x > made", &limits(), &|| false);
    assert_eq!(
        got.output.text,
        folder.path().canonicalize().unwrap().to_str().unwrap()
    );
    assert!(folder.path().join("made").exists());
}

#[test]
fn the_environment_is_clean() {
    // The test runner's own environment stands for the user's: cargo sets these.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let (text, _) = output("env");
    for line in text.lines() {
        let name = line.split('=').next().unwrap();
        assert!(
            !name.starts_with("CARGO_") || name == "CARGO_HOME",
            "{line}"
        );
    }
    assert!(text.contains("TERM=dumb") && text.contains("PATH="));
}

#[test]
fn no_descriptor_of_ours_is_inherited() {
    let (folder, workspace) = workspace();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    let _open = std::fs::File::open(&secret).unwrap();
    let got = run_in(
        &workspace,
        "ls -l /proc/self/fd 2>/dev/null",
        &limits(),
        &|| false,
    );
    assert!(!got.output.text.contains("secret"), "{}", got.output.text);
}

#[test]
fn background_children_end_with_the_command() {
    let started = Instant::now();
    let (text, end) = output("sleep 1000 & echo $!; sleep 1000 >/dev/null 2>&1 & echo $!; exit 0");
    assert_eq!(end, End::Exit(0));
    assert!(started.elapsed() < Duration::from_secs(5));
    let pids = pids(&text);
    assert_eq!(pids.len(), 2);
    wait_until_dead(&pids);
}

#[cfg(target_os = "linux")]
#[test]
fn daemons_with_their_own_session_end_too() {
    let script = "touch pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' & \
        (setsid sh -c 'echo $$ >> pids; exec sleep 1000 >/dev/null 2>&1 </dev/null' &) ; \
        while [ $(wc -l < pids) -lt 2 ]; do sleep 0.01; done; cat pids; exit 0";
    let (text, end) = output(script);
    assert_eq!(end, End::Exit(0));
    let pids = pids(&text);
    assert_eq!(pids.len(), 2, "{text}");
    wait_until_dead(&pids);
}

#[test]
fn time_is_limited_even_for_those_who_ignore_signals() {
    let short = CommandLimits {
        time: Duration::from_secs(1),
        ..limits()
    };
    let started = Instant::now();
    let got = run_with(
        "trap '' TERM INT HUP; echo $$; sleep 1000 & echo $!; while :; do sleep 1000; done",
        &short,
    );
    assert_eq!(got.end, End::TimedOut(Duration::from_secs(1)));
    assert_eq!(got.end.to_string(), "[timed out after 1 s, killed]");
    assert!(started.elapsed() < Duration::from_secs(10));
    let pids = pids(&got.output.text);
    assert_eq!(pids.len(), 2);
    wait_until_dead(&pids);
}

#[test]
fn cancelling_does_not_wait_for_the_command() {
    let (_folder, workspace) = workspace();
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            cancel.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let got = run_in(&workspace, "echo $$; sleep 1000", &limits(), &|| {
            cancel.load(Ordering::Relaxed)
        });
        let took = asked.join().unwrap().elapsed();
        assert_eq!(got.end, End::Cancelled);
        assert!(took < Duration::from_secs(5), "{took:?}");
        wait_until_dead(&pids(&got.output.text));
    });
}

#[test]
fn endless_output_is_bounded_in_memory_and_time() {
    let flood = CommandLimits {
        flood: 8 << 20,
        ..limits()
    };
    let started = Instant::now();
    let got = run_with("yes", &flood);
    assert_eq!(got.end, End::Flooded(8 << 20));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(got.output.truncated && got.output.text.len() < 5000);
    assert!(
        got.output.text.starts_with("y\ny\n") && got.output.text.contains(" lines omitted ...]")
    );
}

#[test]
fn a_reader_that_is_still_writing_at_the_end_is_heard() {
    // The pipeline's last process outlives the shell by a moment.
    let (text, _) = output("(sleep 0.03; echo late) & echo early");
    assert_eq!(text, "early\nlate");
}
