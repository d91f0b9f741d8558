//! What has to work in the sandbox: compilers, tests, git, pipelines, many files. As
//! who runs the tests and, if that is root, as nobody. Times are printed, not judged.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

const NOBODY: u32 = 65534;

/// Somebody with a workspace that nobody else may enter.
struct User {
    name: &'static str,
    id: Option<u32>,
    cairn: PathBuf,
    folder: tempfile::TempDir,
}

impl User {
    /// Root's own workspace is root's, mode 0700: tempfile makes them so.
    fn all() -> Vec<Self> {
        let own = Self {
            name: "this user",
            id: None,
            cairn: env!("CARGO_BIN_EXE_cairn").into(),
            folder: tempfile::tempdir().unwrap(),
        };
        if !rustix::process::geteuid().is_root() {
            return vec![own];
        }
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let cairn = folder.path().join("cairn");
        fs::copy(env!("CARGO_BIN_EXE_cairn"), &cairn).unwrap();
        fs::set_permissions(&cairn, PermissionsExt::from_mode(0o755)).unwrap();
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let nobody = Self {
            name: "nobody",
            id: Some(NOBODY),
            cairn,
            folder,
        };
        vec![own, nobody]
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Hands over what was written.
    fn own(&self) {
        if let Some(id) = self.id {
            let work = self.at("");
            give(&work, id);
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.at(""));
        if let Some(id) = self.id {
            command.uid(id).gid(id).env("HOME", self.folder.path());
        }
        command
    }

    fn run(&self, flags: &[&str], script: &str) -> Output {
        let started = Instant::now();
        let output = self
            .command(&self.cairn)
            .arg("sandbox")
            .args(flags)
            .args(["--", "sh", "-c", script])
            .output()
            .unwrap();
        let first = script.lines().next().unwrap_or_default();
        println!(
            "{}: {:.3} s: {first}",
            self.name,
            started.elapsed().as_secs_f64()
        );
        output
    }

    /// The output of a script that works.
    fn text(&self, flags: &[&str], script: &str) -> String {
        let output = self.run(flags, script);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {script}\n{text}\n{errors}",
            self.name
        );
        text
    }
}

fn give(path: &Path, id: u32) {
    chown(path, Some(id), Some(id)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path(), id);
        }
    }
}

fn users() -> Vec<User> {
    let users = User::all();
    for user in &users {
        fs::create_dir(user.at("")).unwrap();
        user.own();
    }
    users
}

/// Whether the user can start it at all, outside; says so where it can't.
fn has(user: &User, program: &str, argument: &str) -> bool {
    let there = user.command(Path::new(program)).arg(argument).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        println!("{}: has no {program}: not tried", user.name);
    }
    there
}

#[test]
fn a_c_program_is_compiled_and_run() {
    for user in users().iter().filter(|user| has(user, "cc", "--version")) {
        user.write(
            "a.c",
            "#include <stdio.h>\nint main(void) { puts(\"made\"); }\n",
        );
        user.own();
        assert_eq!(user.text(&[], "cc -O2 -o a a.c && ./a"), "made\n");
        // And once more, outside: it is the user's own.
        let output = user.command(&user.at("a")).output().unwrap();
        assert_eq!(output.stdout, b"made\n");
    }
}

#[test]
fn a_crate_is_tested_offline_with_a_server_of_its_own() {
    for user in users()
        .iter()
        .filter(|user| has(user, "cargo", "--version"))
    {
        let manifest = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
        user.write("Cargo.toml", manifest);
        let test = "#[test]\nfn meets_itself() {\n\
            let server = std::net::TcpListener::bind(\"127.0.0.1:0\").unwrap();\n\
            std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();\n}\n";
        user.write("src/lib.rs", test);
        user.own();
        let text = user.text(&["--net", "loopback"], "cargo test --offline 2>&1");
        assert!(text.contains("test result: ok. 1 passed"), "{text}");
        // Without it the same test has no network, and fails.
        let output = user.run(&[], "cargo test --offline 2>&1");
        assert!(!output.status.success());
    }
}

#[test]
fn pipelines_are_whole() {
    for user in users() {
        let script = "seq 200000 | sort -rn | head -n 3 | tr '\\n' ' '; \
            seq 100000 | tee all | wc -l; sort -n all | tail -n 1; \
            head -c 50000000 /dev/zero | gzip | gunzip | wc -c";
        let expected = "200000 199999 199998 100000\n100000\n50000000\n";
        assert_eq!(user.text(&[], script), expected);
    }
}

#[test]
fn ten_thousand_files_are_built() {
    for user in users() {
        let make = "for d in $(seq 100); do mkdir d$d; for f in $(seq 100); do \
            echo \"line $d $f\" > d$d/f$f; done; done; find . -name 'f*' | wc -l";
        assert_eq!(user.text(&[], make), "10000\n");
        // With that many there, each start looks at them.
        assert_eq!(user.text(&[], "cat d*/f* | wc -l"), "10000\n");
        let pack = "tar cf all.tar d* && tar tf all.tar | grep -c f && grep -rl 'line 7 7$' d*";
        assert_eq!(user.text(&[], pack), "10000\nd7/f7\n");
        assert_eq!(user.text(&[], "rm -r d* && ls"), "all.tar\n");
        let started = Instant::now();
        let plain = user.command(Path::new("sh")).args(["-c", make]).output();
        assert_eq!(plain.unwrap().stdout, b"10000\n");
        let took = started.elapsed().as_secs_f64();
        println!("{}: {took:.3} s: the first without a sandbox", user.name);
    }
}

#[test]
fn git_reads() {
    for user in users().iter().filter(|user| has(user, "git", "--version")) {
        user.write("kept", "one\n");
        user.own();
        let git = |arguments: &[&str]| {
            let name = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let mut command = user.command(Path::new("git"));
            let output = command.args(name).args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-qm", "first"]);
        user.write("kept", "two\n");
        user.own();
        assert_eq!(user.text(&[], "git log --format=%s"), "first\n");
        assert_eq!(user.text(&[], "git status --short"), " M kept\n");
        let text = user.text(&[], "git diff; git show --stat");
        assert!(
            text.contains("-one\n+two\n") && text.contains("1 file changed"),
            "{text}"
        );
        // What changes the repository is not a command's to do.
        assert!(!user.run(&[], "git commit -qam second").status.success());
    }
}
