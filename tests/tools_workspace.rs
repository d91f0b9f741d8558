//! The file tools against hostile folders: links, races, pipes, devices, modes
//! and failures half-way.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Policy, Rules, Workspace};
use cairn::tools::{Call, Limits, Outcome, Toolbox};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A workspace beside a folder that must stay untouched and unread.
struct Yard {
    folder: tempfile::TempDir,
    toolbox: Toolbox,
}

impl Yard {
    fn new() -> Yard {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inside")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/secret"), "SECRET\n").unwrap();
        let workspace = Workspace::open(&folder.path().join("inside")).unwrap();
        Yard {
            toolbox: Toolbox::new(
                workspace,
                Policy::new(Rules::default()),
                Launcher::by(env!("CARGO_BIN_EXE_cairn")),
                Limits::default(),
            ),
            folder,
        }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join("inside").join(path)
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn run(&self, name: &str, arguments: Value) -> Outcome {
        let call = Call {
            name: name.into(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        self.toolbox.run(&call, &|| false)
    }

    /// Every way in which a file tool takes a path.
    fn all(&self, path: &str) -> Vec<Outcome> {
        vec![
            self.run("list_dir", json!({ "path": path })),
            self.run("read_file", json!({ "path": path })),
            self.run("search", json!({ "path": path, "pattern": "SECRET" })),
            self.run("write_file", json!({ "path": path, "content": "HACK" })),
            self.run(
                "edit_file",
                json!({ "path": path, "old": "SECRET", "new": "HACK" }),
            ),
        ]
    }

    fn assert_outside_untouched(&self) {
        assert_eq!(names(&self.outside()), ["secret"]);
        let secret = fs::read_to_string(self.outside().join("secret")).unwrap();
        assert_eq!(secret, "SECRET\n");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Stops the other thread even when an assertion fails in this one.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn no_path_leads_out() {
    let yard = Yard::new();
    let outside = yard.outside();
    fs::create_dir(yard.inside("sub")).unwrap();
    symlink(&outside, yard.inside("absolute")).unwrap();
    symlink("../outside", yard.inside("relative")).unwrap();
    symlink("../../outside", yard.inside("sub/deep")).unwrap();
    symlink("relative", yard.inside("chain")).unwrap();
    symlink("../outside/secret", yard.inside("file")).unwrap();
    symlink("../outside/new", yard.inside("dangling")).unwrap();
    symlink("/proc/self/root", yard.inside("magic")).unwrap();
    let absolute = outside.join("secret").to_str().unwrap().to_string();
    let magic = format!("magic{absolute}");
    // A sibling whose name begins with the root's name is not inside.
    let sibling = format!(
        "{}-evil/x",
        yard.inside("").to_str().unwrap().trim_end_matches('/')
    );
    for path in [
        "..",
        "../outside/secret",
        "sub/../../outside/secret",
        &absolute,
        &sibling,
        "absolute/secret",
        "relative/secret",
        "relative/new/folder/file",
        "sub/deep/secret",
        "chain/secret",
        "file",
        "dangling",
        &magic,
        "relative",
        "/proc/self/environ",
        "/",
    ] {
        for outcome in yard.all(path) {
            assert!(!outcome.ok, "{path}: {outcome:?}");
            assert!(outcome.output.starts_with("error: "), "{path}: {outcome:?}");
            assert!(!outcome.output.contains("SECRET"), "{path}: {outcome:?}");
        }
        yard.assert_outside_untouched();
    }
    let refused = yard.run("read_file", json!({"path": "relative/secret"}));
    assert_eq!(
        refused.output,
        "error: relative/secret: outside the workspace"
    );
    // A search of everything does not follow them either.
    let found = yard.run("search", json!({"path": ".", "pattern": "SECRET"}));
    assert_eq!(found.output, "no matches");
}

#[test]
fn links_that_stay_inside_work() {
    let yard = Yard::new();
    fs::create_dir(yard.inside("real")).unwrap();
    fs::write(yard.inside("real/a.txt"), "one\n").unwrap();
    symlink("real", yard.inside("folder")).unwrap();
    symlink("real/a.txt", yard.inside("file")).unwrap();
    symlink("nowhere", yard.inside("broken")).unwrap();
    assert_eq!(yard.run("read_file", json!({"path": "file"})).output, "one");
    assert!(
        yard.run(
            "edit_file",
            json!({"path": "folder/a.txt", "old": "one", "new": "two"})
        )
        .ok
    );
    assert!(
        yard.run(
            "write_file",
            json!({"path": "folder/b.txt", "content": "b"})
        )
        .ok
    );
    // A link is written through and stays a link.
    assert!(
        yard.run("write_file", json!({"path": "file", "content": "three"}))
            .ok
    );
    assert!(
        fs::symlink_metadata(yard.inside("file"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read_to_string(yard.inside("real/a.txt")).unwrap(),
        "three\n"
    );
    assert_eq!(names(&yard.inside("real")), ["a.txt", "b.txt"]);
    assert_eq!(
        yard.run("write_file", json!({"path": "broken", "content": "x"}))
            .output,
        "error: broken: a symbolic link that leads nowhere"
    );
}

#[test]
fn links_in_a_circle_are_an_error() {
    let yard = Yard::new();
    symlink("b", yard.inside("a")).unwrap();
    symlink("a", yard.inside("b")).unwrap();
    for outcome in yard.all("a") {
        assert!(!outcome.ok, "{outcome:?}");
        assert!(
            outcome.output.starts_with("error: a: Too many levels"),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_workspace_opened_through_a_link_accepts_both_names() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    fs::write(folder.path().join("real/a"), "x").unwrap();
    symlink("real", folder.path().join("alias")).unwrap();
    let workspace = Workspace::open(&folder.path().join("alias")).unwrap();
    for name in ["real", "alias"] {
        let path = folder.path().join(name).join("a");
        assert_eq!(workspace.read(path.to_str().unwrap(), 10).unwrap(), b"x");
    }
}

/// A folder that is a real one at one moment and a link out at the next.
#[test]
fn a_swapped_link_never_leads_out() {
    let yard = Yard::new();
    fs::create_dir(yard.inside("real")).unwrap();
    fs::write(yard.inside("real/secret"), "HARMLESS SECRE\n").unwrap();
    let link = yard.inside("flip");
    symlink("real", &link).unwrap();
    let stop = AtomicBool::new(false);
    let (mut inside, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let flipper = scope.spawn(|| {
            let next = yard.inside("next");
            let mut flips = 0u64;
            while !stop.load(Ordering::Relaxed) {
                for target in ["real", "../outside"] {
                    symlink(target, &next).unwrap();
                    fs::rename(&next, &link).unwrap();
                }
                flips += 1;
            }
            flips
        });
        let running = StopOnDrop(&stop);
        let started = Instant::now();
        let mut turn = 0u64;
        // Both states must be met, or this proves nothing.
        while started.elapsed() < Duration::from_millis(1500)
            || inside.min(refused) <= 10 && started.elapsed() < Duration::from_secs(60)
        {
            turn += 1;
            let outcomes = [
                yard.run("read_file", json!({"path": "flip/secret"})),
                yard.run("list_dir", json!({"path": "flip"})),
                yard.run("search", json!({"path": "flip", "pattern": "SECRET"})),
                yard.run(
                    "write_file",
                    json!({"path": format!("flip/w{}/x", turn % 3), "content": "x"}),
                ),
                yard.run(
                    "write_file",
                    json!({"path": "flip/secret", "content": "HARMLESS SECRE"}),
                ),
            ];
            for outcome in outcomes {
                assert!(!outcome.output.contains("SECRET\n") && outcome.output != "SECRET");
                if outcome.ok {
                    inside += 1
                } else {
                    refused += 1
                }
            }
        }
        drop(running);
        assert!(flipper.join().unwrap() > 100);
    });
    yard.assert_outside_untouched();
    assert!(
        inside > 10 && refused > 10,
        "{inside} inside, {refused} refused"
    );
}

#[test]
fn pipes_sockets_and_devices_do_not_block() {
    let yard = Yard::new();
    assert_cmd::Command::new("mkfifo")
        .arg(yard.inside("fifo"))
        .assert()
        .success();
    let _socket = std::os::unix::net::UnixListener::bind(yard.inside("socket")).unwrap();
    let started = Instant::now();
    for path in ["fifo", "socket"] {
        let expected = format!("error: {path}: not a regular file");
        for outcome in yard.all(path).into_iter().skip(1) {
            assert_eq!(outcome.output, expected);
        }
    }
    for path in ["fifo", "socket"] {
        let listed = yard.run("list_dir", json!({ "path": path }));
        assert_eq!(listed.output, format!("error: {path}: not a directory"));
    }
    assert_eq!(
        yard.run("search", json!({"path": ".", "pattern": "x"}))
            .output,
        "no matches"
    );
    // Not even where cairn itself looks for something.
    for name in [".gitignore", ".git/info/exclude"] {
        let place = yard.inside(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        assert_cmd::Command::new("mkfifo")
            .arg(place)
            .assert()
            .success();
    }
    assert!(yard.run("list_dir", json!({"path": "."})).ok);
    assert!(yard.run("search", json!({"path": ".", "pattern": "x"})).ok);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!fs::metadata(yard.inside("fifo")).unwrap().is_file());
}

#[test]
fn modes_are_kept_and_nothing_is_left_behind() {
    let yard = Yard::new();
    let script = yard.inside("run.sh");
    fs::write(&script, "echo one\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o751)).unwrap();
    let before = fs::metadata(&script).unwrap();
    fs::hard_link(&script, yard.outside().join("hard")).unwrap();
    assert!(
        yard.run(
            "edit_file",
            json!({"path": "run.sh", "old": "one", "new": "two"})
        )
        .ok
    );
    assert!(
        yard.run(
            "write_file",
            json!({"path": "run.sh", "content": "echo three"})
        )
        .ok
    );
    let after = fs::metadata(&script).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o751);
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    // Replaced by rename, so a hard link outside keeps the old text.
    let hard = fs::read_to_string(yard.outside().join("hard")).unwrap();
    assert_eq!(hard, "echo one\n");
    assert_eq!(names(&yard.inside("")), ["run.sh"]);
}

#[test]
fn the_owner_is_kept_by_root() {
    if !is_root() {
        eprintln!("skipped: only root can give a file to someone else");
        return;
    }
    let yard = Yard::new();
    let file = yard.inside("theirs");
    fs::write(&file, "x").unwrap();
    std::os::unix::fs::chown(&file, Some(12345), Some(12346)).unwrap();
    assert!(
        yard.run("write_file", json!({"path": "theirs", "content": "y"}))
            .ok
    );
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.uid(), after.gid()), (12345, 12346));
}

#[test]
fn what_may_not_be_written_is_not() {
    if is_root() {
        eprintln!("skipped: root may write everything");
        return;
    }
    let yard = Yard::new();
    fs::write(yard.inside("locked"), "old").unwrap();
    fs::set_permissions(yard.inside("locked"), fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(
        yard.run("write_file", json!({"path": "locked", "content": "new"}))
            .output,
        "error: locked: Permission denied"
    );
    fs::create_dir(yard.inside("closed")).unwrap();
    fs::write(yard.inside("closed/a"), "old").unwrap();
    fs::set_permissions(yard.inside("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(
        yard.run("write_file", json!({"path": "closed/a", "content": "new"}))
            .output,
        "error: closed/a: Permission denied"
    );
    assert_eq!(fs::read_to_string(yard.inside("closed/a")).unwrap(), "old");
    assert_eq!(names(&yard.inside("closed")), ["a"]);
    fs::set_permissions(yard.inside("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(yard.inside("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(
        yard.run("read_file", json!({"path": "locked"})).output,
        "error: locked: Permission denied"
    );
}

/// Readers meet the old text or the new, never a part and never nothing.
#[test]
fn a_write_is_whole_at_every_moment() {
    let yard = Yard::new();
    let texts = ["a".repeat(300_000), "b".repeat(500_000)];
    let file = yard.inside("file");
    assert!(
        yard.run("write_file", json!({"path": "file", "content": texts[0]}))
            .ok
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&file).unwrap();
                assert!(texts.iter().any(|t| text.trim_end() == t), "{}", text.len());
                reads += 1;
            }
            reads
        });
        let running = StopOnDrop(&stop);
        for turn in 0..60 {
            let content = &texts[turn % 2];
            assert!(
                yard.run("write_file", json!({"path": "file", "content": content}))
                    .ok
            );
        }
        drop(running);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(names(&yard.inside("")), ["file"]);
}

/// A write that fails half-way: the shell of the child process that runs this
/// test again limits the size of files.
#[test]
fn a_write_that_fails_leaves_the_old_text() {
    const CHILD: &str = "CAIRN_TEST_FSIZE";
    if std::env::var_os(CHILD).is_none() {
        let me = std::env::current_exe().unwrap();
        let output = assert_cmd::Command::new("sh")
            .arg("-c")
            .arg("ulimit -f 64; trap '' XFSZ; exec \"$0\" --exact a_write_that_fails_leaves_the_old_text --nocapture")
            .arg(me)
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("limit was met"),
            "{text}"
        );
        return;
    }
    let yard = Yard::new();
    fs::write(yard.inside("file"), "old").unwrap();
    let outcome = yard.run(
        "write_file",
        json!({"path": "file", "content": "x".repeat(200_000)}),
    );
    assert!(
        !outcome.ok && outcome.output.starts_with("error: file: "),
        "{outcome:?}"
    );
    eprintln!("limit was met: {}", outcome.output);
    assert_eq!(fs::read_to_string(yard.inside("file")).unwrap(), "old");
    assert_eq!(names(&yard.inside("")), ["file"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any path, made of pieces that lead up, through links out and back.
    #[test]
    fn random_paths_never_lead_out(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("..".to_string()), Just(".".to_string()), Just("sub".to_string()),
                Just("out".to_string()), Just("up".to_string()), Just("secret".to_string()),
                Just("outside".to_string()), Just("inside".to_string()), Just(String::new()),
                "[a-zé\\PC]{1,5}",
            ],
            0..7,
        ),
        rooted in any::<bool>(),
    ) {
        let yard = Yard::new();
        fs::create_dir(yard.inside("sub")).unwrap();
        symlink("../outside", yard.inside("out")).unwrap();
        symlink("..", yard.inside("sub/up")).unwrap();
        symlink("../..", yard.inside("up")).unwrap();
        let mut path = parts.join("/");
        if rooted {
            path = format!("{}/{path}", yard.inside("").display());
        }
        for outcome in yard.all(&path) {
            prop_assert!(!outcome.output.contains("SECRET\n"), "{path}: {outcome:?}");
            prop_assert!(!outcome.output.contains(": SECRET"), "{path}: {outcome:?}");
            prop_assert!(outcome.output != "SECRET" && outcome.output != "secret", "{path}: {outcome:?}");
        }
        yard.assert_outside_untouched();
        prop_assert_eq!(names(yard.folder.path()), ["inside", "outside"]);
    }
}
