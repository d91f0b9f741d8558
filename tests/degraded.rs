//! Commands without namespaces: what still holds, and that nothing of them is left.
//! As an ordinary user, since root can't have it.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NOBODY: u32 = 65534;

/// A cairn, a home, a workspace and a folder for temporary files that a user reaches.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let place = Self { folder };
        let open = |path: &Path| {
            fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        };
        open(place.folder.path());
        for name in ["home", "home/.ssh", "ws", "tmp"] {
            fs::create_dir(place.at(name)).unwrap();
            open(&place.at(name));
        }
        fs::write(place.at("home/.ssh/id"), "secret").unwrap();
        // Not by this process: what another test starts meanwhile would have it open,
        // and what is open for writing can't be run.
        let mut copy = Command::new("cp");
        let copied = copy.args([
            env!("CARGO_BIN_EXE_cairn").as_ref(),
            place.at("cairn").as_os_str(),
        ]);
        assert!(copied.status().unwrap().success());
        open(&place.at("cairn"));
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn command(&self, flags: &[&str], script: &str) -> Command {
        let mut command = Command::new(self.at("cairn"));
        command
            .args(["sandbox", "--workspace"])
            .arg(self.at("ws"))
            .args(flags)
            .args(["--", "sh", "-c", script])
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("tmp"))
            .current_dir("/");
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Both outputs and the status.
    fn run(&self, mut command: Command) -> (String, i32) {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let left = fs::read_dir(self.at("tmp")).unwrap().count();
        assert_eq!(left, 0, "temporary files are left");
        (text + &errors, output.status.code().unwrap())
    }

    fn degraded(&self, script: &str) -> (String, i32) {
        self.run(self.command(&["--sandbox-degraded", "--timeout", "20"], script))
    }
}

#[test]
fn it_is_chosen_by_the_user_and_nobody_else() {
    let place = Place::new();
    let broken = |flags: &[&str]| {
        let mut command = place.command(flags, "echo ran");
        command.env("CAIRN_TEST_BREAK_LAYER", "namespaces");
        place.run(command)
    };
    let (text, status) = broken(&[]);
    assert_eq!(status, 126);
    assert!(
        text.contains("--sandbox-degraded") && text.lines().count() == 1,
        "{text}"
    );
    assert_eq!(broken(&["--sandbox-degraded"]), ("ran\n".into(), 0));

    for net in ["loopback", "a.example:443"] {
        let flags = ["--sandbox-degraded", "--net", net];
        let (text, status) = place.run(place.command(&flags, "echo ran"));
        assert_eq!(status, 126, "{text}");
        assert!(text.contains("leave out --net"), "{text}");
    }
    for layer in ["view", "limits", "capabilities", "landlock", "seccomp"] {
        let mut command = place.command(&["--sandbox-degraded"], "echo ran");
        command.env("CAIRN_TEST_BREAK_LAYER", layer);
        let (text, status) = place.run(command);
        assert_eq!(status, 126, "{layer}: {text}");
        assert!(!text.contains("ran"), "{text}");
    }
    if rustix::process::geteuid().is_root() {
        let mut command = place.command(&["--sandbox-degraded"], "echo ran");
        command.uid(0).gid(0);
        let (text, status) = place.run(command);
        assert!(status == 126 && text.contains("not for root"), "{text}");
    }
}

#[test]
fn what_is_protected_or_hidden_is_not_granted() {
    let place = Place::new();
    let script = "mkdir -p ws/src ws/.git/hooks ws/vendor/x/.git ws/vendor/y home/.cargo/bin && \
        chmod -R 777 ws home && echo safe > ws/.git/config && echo tool > home/.cargo/bin/tool && \
        echo secret > home/.cargo/credentials.toml && echo secret > home/notes && chmod -R 777 ws home";
    let mut set_up = Command::new("sh");
    let made = set_up.args(["-c", script]).current_dir(place.folder.path());
    assert!(made.status().unwrap().success());

    let (text, status) = place.degraded(
        "cat .git/config && echo x > src/new && mkdir -p src/a/b && mv src/new src/a/ && \
         rm src/a/new && echo y > vendor/y/z && echo t > $TMPDIR/t && cat $TMPDIR/t ~/.cargo/bin/tool",
    );
    assert_eq!((text.as_str(), status), ("safe\nt\ntool\n", 0));
    for script in [
        "echo bad > .git/config",
        "echo bad > .git/hooks/pre-commit",
        "mv .git other",
        "rm -r .git",
        "echo bad > vendor/x/.git/config",
        "mv vendor other",
        "echo bad > .envrc",
        "ln -s .git/config src/link && echo bad > src/link",
        "ln .git/config src/hard",
        "cat ~/.ssh/id",
        "cat ~/.cargo/credentials.toml",
        "cat ~/notes",
        "ls ~",
        "echo bad > ../canary",
        "echo bad > /tmp/cairn-degraded-test",
        "echo bad > /dev/shm/cairn-degraded-test",
        "cat /proc/$PPID/environ",
        "kill -9 $PPID",
        "kill -CONT 1",
    ] {
        let (text, status) = place.degraded(script);
        assert!(status != 0 && !text.contains("secret"), "{script}: {text}");
    }
    assert_eq!(
        fs::read_to_string(place.at("ws/.git/config")).unwrap(),
        "safe\n"
    );
    // A new one where there can be one.
    let (text, _) = place.degraded("mkdir src/.git");
    assert!(text.contains("src/.git may not be made"), "{text}");
    assert!(!place.at("ws/src/.git").exists());
}

const DAEMONS: &str = "trap '' TERM INT HUP; sleep 765432 & setsid sleep 765432 & \
    (setsid sh -c 'trap \"\" TERM; sleep 765432 & sleep 765432' >/dev/null 2>&1 </dev/null &) ; \
    env -i setsid sleep 765432 & ";

#[test]
fn nothing_of_it_is_left() {
    let place = Place::new();
    let up = "while [ $(grep -lsxz 765432 /proc/[0-9]*/cmdline | wc -l) -lt 5 ]; do :; done; ";
    let (text, status) = place.degraded(&format!("{DAEMONS} {up} echo up; exit 3"));
    assert_eq!((text.as_str(), status), ("up\n", 3));
    assert_eq!(sleepers(), 0);

    let mut cairn = place
        .command(
            &["--sandbox-degraded"],
            &format!("{DAEMONS} {up} sleep 765432"),
        )
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait(|| sleepers() == 6);
    cairn.kill().unwrap();
    cairn.wait().unwrap();
    wait(|| sleepers() == 0);
    wait(|| fs::read_dir(place.at("tmp")).unwrap().count() == 0);

    let started = Instant::now();
    let bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 765432";
    let flags = ["--sandbox-degraded", "--timeout", "3"];
    let (_, status) = place.run(place.command(&flags, bomb));
    assert_eq!(status, 124);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sleepers(), 0);
}

fn wait(until: impl Fn() -> bool) {
    for _ in 0..1000 {
        if until() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not in ten seconds");
}

fn sleepers() -> usize {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line == b"sleep\x00765432\x00")
        .count()
}
