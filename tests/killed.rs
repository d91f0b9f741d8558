//! What is left when cairn is killed while a command runs: nothing, from the next
//! start on.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const CAIRN: &str = env!("CARGO_BIN_EXE_cairn");

/// One at a time: each looks at all processes of this program.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Scene {
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn cairn(&self, script: &str) -> Command {
        let mut command = Command::new(CAIRN);
        command
            .args(["sandbox", "--workspace"])
            .arg(self.folder.path())
            .args(["--", "sh", "-c", script])
            .env("XDG_STATE_HOME", self.state.path())
            .stdout(Stdio::null());
        command
    }

    fn start(&self, script: &str) -> Child {
        self.cairn(script).stderr(Stdio::null()).spawn().unwrap()
    }

    fn next_start(&self) -> Output {
        let output = self.cairn("true").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        output
    }

    fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    fn records(&self) -> usize {
        let records = std::fs::read_dir(self.state.path().join("cairn/commands"));
        records.map_or(0, Iterator::count)
    }
}

fn wait(what: &dyn Fn() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not in ten seconds");
}

/// Processes whose arguments contain a text, and those of this program.
fn processes(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let wanted = all.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_cairn =
            std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == Path::new(CAIRN));
        is_cairn || String::from_utf8_lossy(&line).contains(text)
    });
    wanted.count()
}

/// Groups of processes that a cairn has made and that are still there.
fn groups_of(cairn: u32) -> usize {
    let mine = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let folders = mine.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        std::fs::read_dir(format!("/sys/fs/cgroup/{names}{path}")).ok()
    });
    let prefix = format!("cairn-{cairn}-");
    folders
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .count()
}

/// With the connection to cairn everything ends, whatever it does about signals.
#[test]
fn nothing_outlives_cairn() {
    let _alone = alone();
    let scene = Scene::new();
    let mut cairn =
        scene.start("trap '' TERM INT HUP; (setsid sleep 987654 &); touch up; sleep 987654");
    wait(&|| scene.has("up") && processes("987654") > 3);
    cairn.kill().unwrap();
    cairn.wait().unwrap();
    wait(&|| processes("987654") == 0);
    // What only the system knows of goes with the next start.
    scene.next_start();
    assert_eq!(groups_of(cairn.id()), 0);
}

/// Nobody looked when it ended: the next start does, before anything new runs.
#[test]
fn what_a_killed_cairns_command_made_is_renamed() {
    let _alone = alone();
    let scene = Scene::new();
    std::fs::create_dir(scene.folder.path().join(".vscode")).unwrap();
    let mut cairn =
        scene.start("mkdir -p .git/hooks a; echo bad > a/.envrc; touch up; sleep 987653");
    wait(&|| scene.has("up"));
    assert_eq!(scene.records(), 1);
    cairn.kill().unwrap();
    cairn.wait().unwrap();
    assert!(scene.has(".git") && scene.has("a/.envrc"));
    let output = scene.next_start();
    let errors = String::from_utf8(output.stderr).unwrap();
    for (from, to) in [
        (".git", "quarantined-1-git"),
        ("a/.envrc", "a/quarantined-1-envrc"),
    ] {
        let line = format!("may have made {from}: it is now {to}\n");
        assert!(errors.contains(&line), "{errors}");
        assert!(scene.has(to) && !scene.has(from));
    }
    assert!(scene.has(".vscode") && scene.records() == 0);
    assert_eq!(scene.next_start().stderr, b"");
}

/// At any moment: while it starts, while the command works, when it ends.
#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let _alone = alone();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let names = || std::fs::read_dir(temporary.path()).unwrap().count();
    let before = mounts();
    for round in 0..15 {
        let scene = Scene::new();
        let mark = format!("98{round:02}01");
        let script = format!(
            "setsid sleep {mark} & mkdir -p .git/hooks; for i in 1 2 3 4 5 6 7 8; do \
             echo $i > f$i; mkdir -p $i/.vscode; done; sleep 0.0$((RANDOM % 5))"
        );
        let mut cairn = scene
            .cairn(&script)
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Microseconds that spread over all of it, the same in each run.
        std::thread::sleep(Duration::from_micros(round * round * 400));
        cairn.kill().unwrap();
        cairn.wait().unwrap();
        scene.next_start();
        wait(&|| processes(&mark) == 0);
        let left = find(scene.folder.path(), &[".git", ".vscode"]);
        assert_eq!(left, Vec::<String>::new(), "round {round}");
        assert_eq!(scene.records(), 0, "round {round}");
        // What was still ending when that start looked is left to the next one.
        wait(&|| {
            scene.next_start();
            groups_of(cairn.id()) == 0
        });
        assert_eq!((mounts() == before, names()), (true, 0), "round {round}");
    }
}

/// Paths below a folder that end in one of these names.
fn find(folder: &Path, wanted: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if wanted.iter().any(|name| entry.file_name() == *name) {
            found.push(entry.path().display().to_string());
        } else if entry.path().is_dir() {
            found.extend(find(&entry.path(), wanted));
        }
    }
    found
}
