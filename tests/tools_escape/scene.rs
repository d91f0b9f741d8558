//! A workspace beside what it must not lead to, made anew for each row, and the look
//! at all of it afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Decision, Policy, Rules, Workspace};
use cairn::tools::{Call, Limits, Outcome, Toolbox};
use serde_json::{Value, json};

/// What is in every file that no tool may show.
const SECRET: &str = "a-secret-of-the-host";

pub struct Scene {
    folder: tempfile::TempDir,
    pub toolbox: Toolbox,
    /// Open outside, as a descriptor that a path may name.
    outside: fs::File,
    _socket: UnixListener,
}

pub type Picture = BTreeMap<PathBuf, (u32, u64, Option<Vec<u8>>)>;

impl Scene {
    pub fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let file = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        for path in [
            "canary",
            "outside/weights",
            "home/.ssh/id",
            "home/.aws/credentials",
            "home/.netrc",
            "home/.cache/huggingface/token",
            "home/.local/state/cairn/session",
            "home/.cache/cairn/kv",
            "home/.config/cairn/config.toml",
            "home/.bashrc",
            "home/.profile",
            "ws-evil/x",
            "gitdir/config",
        ] {
            file(path, SECRET);
        }
        // Where a file has two names, one of them inside, it is the workspace's, too.
        file("outside/shared", "a-secretary");
        file("ws/own", "own\n");
        file("ws/sub/own", "own\n");
        fs::create_dir_all(at("ws/deep/er")).unwrap();
        git(&at("ws"), &["init", "-q"]);
        git(&at("ws"), &["add", "."]);
        git(&at("ws"), &["commit", "-qm", "first"]);
        file("ws/vendor/x/.git/config", "safe");
        fs::create_dir_all(at("ws/vendor/x/.git/hooks")).unwrap();
        file("ws/linked/.git", "gitdir: ../../gitdir");
        for (target, link) in [
            ("../canary", "soft"),
            ("..", "folder"),
            ("../../..", "deep/er/link"),
            ("../not-there", "dangling"),
            ("/proc/self/root", "magic"),
            ("/proc/self/cwd", "cwd"),
            ("/proc/self/fd", "fds"),
            ("../home", "home"),
            (env!("CARGO_BIN_EXE_cairn"), "exe"),
            (".git", "gitlink"),
            (".git/config", "configlink"),
            ("/dev/zero", "zero"),
            ("/dev/null", "null"),
        ] {
            symlink(target, at("ws").join(link)).unwrap();
        }
        fs::hard_link(at("outside/shared"), at("ws/hard")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(at("ws/fifo"))
                .status()
                .unwrap()
                .success()
        );
        let socket = UnixListener::bind(at("ws/socket")).unwrap();
        Scene {
            toolbox: toolbox(&at("ws")),
            outside: fs::File::open(folder.path()).unwrap(),
            folder,
            _socket: socket,
        }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn fill(&self, path: &str) -> String {
        let number = std::os::fd::AsRawFd::as_raw_fd(&self.outside);
        path.replace("{W}", self.at("ws").to_str().unwrap())
            .replace("{B}", self.folder.path().to_str().unwrap())
            .replace("{H}", self.at("home").to_str().unwrap())
            .replace("{EXE}", env!("CARGO_BIN_EXE_cairn"))
            .replace("{FD}", &number.to_string())
    }

    pub fn run(&self, name: &str, arguments: Value) -> Outcome {
        let call = call(name, arguments);
        let outcome = self.toolbox.run(&call, &|| false);
        assert!(!outcome.output.contains(SECRET), "{call:?}: {outcome:?}");
        // Nor by the question.
        if self.toolbox.decide(&call) == Decision::Ask {
            assert!(!self.toolbox.preview(&call).contains(SECRET), "{call:?}");
        }
        outcome
    }

    pub fn reads(&self, path: &str) -> Vec<Outcome> {
        vec![
            self.run("list_dir", json!({ "path": path })),
            self.run("read_file", json!({ "path": path })),
            self.run("read_file", json!({ "path": path, "start": 1, "end": 1 })),
            self.run("search", json!({ "path": path, "pattern": "a-" })),
        ]
    }

    pub fn writes(&self, path: &str) -> Vec<Outcome> {
        vec![
            self.run("write_file", json!({ "path": path, "content": "HACK" })),
            self.run("write_file", json!({ "path": path, "content": "" })),
            self.run(
                "write_file",
                json!({ "path": format!("{path}/new/file"), "content": "HACK" }),
            ),
            self.run(
                "edit_file",
                json!({ "path": path, "old": "a-secret", "new": "HACK" }),
            ),
            self.run(
                "edit_file",
                json!({ "path": path, "old": "safe", "new": "HACK" }),
            ),
        ]
    }

    /// git says what it likes: what counts is what it does and shows.
    pub fn git(&self, path: &str) {
        for words in [
            &["status", "--", path][..],
            &["diff", "--", path],
            &["diff", "/dev/null", path],
            &["log", "-p", "--", path],
            &["show", &format!("HEAD:{path}")],
            &["add", "-f", "--", path],
            &["diff", "--cached", "--", path],
            &["restore", "--", path],
            &["restore", "-SW", "-s", "HEAD", "--", path],
            &["commit", "-m", "x", "--", path],
        ] {
            self.run("git", json!({ "args": words }));
        }
    }

    /// Of what is outside, and of what is protected in the workspace. A commit may move
    /// git's own files.
    pub fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        for path in [
            "canary",
            "outside",
            "home",
            "ws-evil",
            "gitdir",
            "not-there",
            "made",
            "ws/.git/config",
            "ws/.git/hooks",
            "ws/.git/info",
            "ws/vendor",
            "ws/linked",
            "ws/fresh",
            "ws/.GIT",
            "ws/.gitattributes",
            "ws/sub/.gitattributes",
            "ws/.envrc",
            "ws/.vscode",
            "ws/.mcp.json",
            "ws/.cairn",
            "ws/.agents",
            "ws/.cargo",
            "ws/sub/.idea",
        ] {
            look_at(&self.at(path), &mut picture);
        }
        for path in ["/etc/cairn-test", "/usr/local/bin/x"] {
            look_at(Path::new(path), &mut picture);
        }
        picture
    }
}

fn look_at(path: &Path, picture: &mut Picture) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return;
    };
    let bytes = found.is_file().then(|| fs::read(path).unwrap());
    picture.insert(path.to_owned(), (found.mode(), found.ino(), bytes));
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look_at(&entry.unwrap().path(), picture);
        }
    }
}

fn toolbox(at: &Path) -> Toolbox {
    let workspace = Workspace::open(at).unwrap();
    // What is denied is denied whatever the user says.
    let policy = Policy::new(Rules {
        write: Decision::Allow,
        run: Decision::Allow,
        ..Rules::default()
    });
    let launcher = Launcher::by(env!("CARGO_BIN_EXE_cairn"));
    Toolbox::new(workspace, policy, launcher, Limits::default())
}

pub fn call(name: &str, arguments: Value) -> Call {
    Call {
        name: name.into(),
        arguments: arguments.as_object().unwrap().clone(),
    }
}

fn git(folder: &Path, words: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=Host", "-c", "user.email=host@example.org"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    assert!(status.unwrap().success(), "{words:?}");
}
