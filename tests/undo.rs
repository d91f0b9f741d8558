//! Undo through the toolbox: whatever tools and confined commands did in a turn,
//! undoing it restores every byte, mode and link that is covered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Mode, Policy, Rules, Workspace};
use cairn::tools::{self, Call, Outcome, Toolbox};
use cairn::undo::{Answer, Force, History, Limits, Report};
use proptest::prelude::*;
use serde_json::{Value, json};

struct Yard {
    folder: tempfile::TempDir,
    toolbox: Toolbox,
}

impl Yard {
    fn new(limits: Limits) -> Yard {
        Yard::with(limits, Rules::default())
    }

    fn with(limits: Limits, rules: Rules) -> Yard {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ws")).unwrap();
        let workspace = Workspace::open(&folder.path().join("ws")).unwrap();
        let history = History::open(&folder.path().join("state"), &workspace, limits).unwrap();
        let toolbox = Toolbox::new(
            workspace,
            Policy::new(rules),
            Launcher::by(env!("CARGO_BIN_EXE_cairn")),
            tools::Limits::default(),
        );
        Yard {
            folder,
            toolbox: toolbox.with_undo(Ok(history)),
        }
    }

    /// A workspace with something of everything.
    fn furnished(limits: Limits) -> Yard {
        let yard = Yard::new(limits);
        for (path, text) in [
            (".gitignore", "target/\n*.log\n"),
            ("a", "first\n"),
            ("b", "second\n"),
            ("d/x", "third\n"),
            ("d/e/y", "fourth\n"),
            ("d/n.log", "ignored\n"),
            ("target/out", "ignored\n"),
            ("sp ace", "fifth\n"),
            (".git/config", "[core]\n"),
            ("repo/.git/config", "[core]\n"),
            ("repo/z", "sixth\n"),
        ] {
            fs::create_dir_all(yard.at(path).parent().unwrap()).unwrap();
            fs::write(yard.at(path), text).unwrap();
        }
        fs::create_dir(yard.at("empty")).unwrap();
        symlink("a", yard.at("l")).unwrap();
        symlink("nowhere", yard.at("d/dangling")).unwrap();
        fs::set_permissions(yard.at("b"), PermissionsExt::from_mode(0o751)).unwrap();
        yard
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("ws").join(path)
    }

    fn call(name: &str, arguments: Value) -> Call {
        Call {
            name: name.into(),
            arguments: arguments.as_object().unwrap().clone(),
        }
    }

    fn run(&self, name: &str, arguments: Value) -> Outcome {
        self.toolbox.run(&Yard::call(name, arguments), &|| false)
    }

    fn shell(&self, command: &str) -> Outcome {
        self.run("run_command", json!({ "command": command }))
    }

    fn turn(&self, ops: &[Op]) {
        self.toolbox.begin_turn("a turn");
        for op in ops {
            let outcome = match op {
                Op::Write(path, text) => {
                    self.run("write_file", json!({ "path": path, "content": text }))
                }
                Op::Edit(path, old, new) => {
                    self.run("edit_file", json!({ "path": path, "old": old, "new": new }))
                }
                Op::Shell(command) => self.shell(command),
            };
            // What a tool refuses is no failure; what undo refuses is.
            assert!(!outcome.output.contains("undo"), "{op:?}: {outcome:?}");
        }
        assert_eq!(self.toolbox.end_turn(), None);
    }

    /// All that undo covers here.
    fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        self.look(Path::new(""), &mut picture);
        picture
    }

    /// Says whether there is anything ignored. A folder that holds nothing else can't
    /// be taken away, and does not count.
    fn look(&self, path: &Path, picture: &mut Picture) -> bool {
        let full = self.folder.path().join("ws").join(path);
        let found = fs::symlink_metadata(&full).unwrap();
        let kind = found.file_type();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == ".git" || name.ends_with(".log") || name == "target" && kind.is_dir() {
            return true;
        }
        let mut ignored = false;
        let before = picture.nodes.len();
        let content = if kind.is_symlink() {
            fs::read_link(&full).unwrap().into_os_string().into_vec()
        } else if kind.is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                ignored |= self.look(&path.join(entry.unwrap().file_name()), picture);
            }
            Vec::new()
        } else {
            fs::read(&full).unwrap()
        };
        if !ignored || picture.nodes.len() > before {
            let node = (found.mode(), content);
            picture.nodes.insert(path.to_owned(), node);
        } else {
            picture.hollow.insert(path.to_owned());
        }
        ignored
    }
}

/// What is in the workspace, by mode and content.
#[derive(Clone, Debug, Default)]
struct Picture {
    nodes: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    /// Folders that hold nothing but what is ignored.
    hollow: BTreeSet<PathBuf>,
}

impl PartialEq for Picture {
    /// A folder that is hollow in one of two may be there or not in the other.
    fn eq(&self, other: &Self) -> bool {
        let counts = |(path, (mode, _)): &(&PathBuf, &(u32, Vec<u8>))| {
            let hollow = self.hollow.contains(*path) || other.hollow.contains(*path);
            !hollow || mode & 0o170_000 != 0o040_000
        };
        let [one, two] = [self, other].map(|picture| picture.nodes.iter().filter(counts));
        one.eq(two)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Write(&'static str, String),
    Edit(&'static str, &'static str, &'static str),
    Shell(String),
}

const PATHS: &[&str] = &[
    "a",
    "b",
    "d",
    "d/x",
    "d/e",
    "d/e/y",
    "l",
    "empty",
    "new",
    "new/deep/f",
    "empty/f",
    "sp ace",
    "repo",
    "repo/z",
    "d/dangling",
    "t",
    "t/u",
];

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PATHS)
}

/// The last one shuts out whoever is not root.
fn modes() -> &'static [&'static str] {
    let all = &["700", "4755", "644", "1777", "400", "500", "000"];
    match rustix::process::geteuid().is_root() {
        true => all,
        false => &["700", "4755", "711", "1777"],
    }
}

fn op() -> impl Strategy<Value = Op> {
    let shell = |text: String| Op::Shell(text);
    prop_oneof![
        2 => (path(), "[a-z]{0,8}").prop_map(|(path, text)| Op::Write(path, text)),
        1 => path().prop_map(|path| Op::Edit(path, "t", "T")),
        1 => path().prop_map(|path| Op::Edit(path, "r", "")),
        2 => (path(), "[a-z]{0,8}").prop_map(move |(p, text)| shell(format!("printf {text} > '{p}'"))),
        2 => (path(), "[a-z]{1,8}").prop_map(move |(p, text)| shell(format!("printf {text} >> '{p}'"))),
        2 => (path(), prop::sample::select(modes()))
            .prop_map(move |(p, mode)| shell(format!("chmod {mode} '{p}'"))),
        2 => path().prop_map(move |p| shell(format!("rm -rf '{p}'"))),
        2 => (path(), path()).prop_map(move |(p, q)| shell(format!("mv '{p}' '{q}'"))),
        1 => (path(), path()).prop_map(move |(p, q)| shell(format!("cp -r '{p}' '{q}'"))),
        1 => (path(), path()).prop_map(move |(p, q)| shell(format!("ln -s '{p}' '{q}'"))),
        1 => (path(), path()).prop_map(move |(p, q)| shell(format!("ln -sfn ../{p} '{q}'"))),
        1 => (path(), path()).prop_map(move |(p, q)| shell(format!("ln '{p}' '{q}' && echo x >> '{q}'"))),
        1 => path().prop_map(move |p| shell(format!("mkdir -p '{p}'; touch '{p}/in'"))),
        1 => path().prop_map(move |p| shell(format!("rm -rf '{p}'; mkdir '{p}'; echo x > '{p}/in'"))),
        1 => path().prop_map(move |p| shell(format!("rm -rf '{p}'; echo file > '{p}'"))),
        1 => path().prop_map(move |p| shell(format!("touch '{p}'; mkdir -p target/more; echo > d/o.log"))),
        1 => path().prop_map(move |p| shell(format!("mv '{p}' moved; mkdir '{p}'; mv moved/* '{p}'"))),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Vec<Op>>> {
    prop::collection::vec(prop::collection::vec(op(), 1..5), 1..4)
}

/// Undoes or redoes; nobody else changed anything.
fn go(act: impl Fn(Force) -> Result<Answer, String>) -> Option<Report> {
    match act(Force::No).unwrap() {
        Answer::Nothing => None,
        Answer::Done(report) => Some(report),
        Answer::Conflicts(report) => panic!("{report:?}"),
    }
}

/// Goes one way through all turns, and meets each picture. A turn may have changed
/// only what is not in a picture.
fn walk(yard: &Yard, pictures: &[Picture], act: impl Fn(Force) -> Result<Answer, String>) {
    let mut rest = pictures.iter();
    let mut at = rest.next().unwrap();
    while let Some(report) = go(&act) {
        let now = yard.picture();
        if now != *at {
            at = rest.next().unwrap_or_else(|| panic!("{report:?}"));
            assert_eq!(&now, at, "{report:?}");
        }
    }
    assert!(rest.next().is_none(), "not all was undone");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn undo_and_redo_restore_every_byte(turns in turns()) {
        let yard = Yard::furnished(Limits::default());
        let mut pictures = vec![yard.picture()];
        for turn in &turns {
            yard.turn(turn);
            pictures.push(yard.picture());
        }
        pictures.dedup();
        pictures.reverse();
        walk(&yard, &pictures, |force| yard.toolbox.undo(force));
        pictures.reverse();
        walk(&yard, &pictures, |force| yard.toolbox.redo(force));
    }

    #[test]
    fn what_the_user_wrote_meanwhile_is_never_lost(turn in prop::collection::vec(op(), 1..5), at in path()) {
        let yard = Yard::furnished(Limits::default());
        yard.turn(&turn);
        const MINE: &[u8] = b"the user's own";
        // Not over a pipe, which would wait for a reader.
        let is_file = |path| fs::symlink_metadata(path).map_or(true, |found| found.is_file());
        prop_assume!(is_file(yard.at(at)) && fs::write(yard.at(at), MINE).is_ok());
        // The turn may have put a link on the way there.
        let mine = yard.at(at).canonicalize().unwrap();
        let is_there = || is_file(mine.clone()) && fs::read(&mine).is_ok_and(|text| text == MINE);
        let before = yard.picture();
        let answer = yard.toolbox.undo(Force::No).unwrap();
        prop_assert!(is_there(), "{answer:?}");
        if let Answer::Conflicts(_) = answer {
            prop_assert_eq!(&before, &yard.picture());
            let answer = yard.toolbox.undo(Force::Yes).unwrap();
            if !is_there() {
                let back = yard.toolbox.redo(Force::Yes).unwrap();
                prop_assert!(is_there(), "{answer:?} {back:?}");
            }
        }
    }
}

/// Rows 1, 6, 22 of the escape table, and undo after each.
#[test]
fn what_a_command_could_do_is_undone_and_what_it_could_not_is_untouched() {
    let yard = Yard::furnished(Limits::default());
    fs::write(yard.folder.path().join("canary"), "safe").unwrap();
    fs::create_dir_all(yard.at(".git/hooks")).unwrap();
    let canary = yard.folder.path().join("canary");
    let before = yard.picture();
    for command in [
        "echo new > made; echo more >> a; rm b; chmod 600 d/x; ln -s a made-link",
        &format!("mv a {}", canary.display()),
        "echo evil > .git/hooks/pre-commit; echo evil > .git/config; rm -r d; mv .git elsewhere",
    ] {
        yard.turn(&[Op::Shell(command.into())]);
        go(|force| yard.toolbox.undo(force));
        assert_eq!(yard.picture(), before, "{command}");
        assert_eq!(fs::read_to_string(&canary).unwrap(), "safe");
        assert_eq!(fs::read_dir(yard.at(".git/hooks")).unwrap().count(), 0);
        assert_eq!(
            fs::read_to_string(yard.at(".git/config")).unwrap(),
            "[core]\n"
        );
    }
}

#[test]
fn what_is_not_covered_is_said_with_the_question() {
    let limits = Limits {
        file_bytes: 1000,
        ..Limits::default()
    };
    let yard = Yard::furnished(limits);
    let ask = |name: &str, arguments| yard.toolbox.preview(&Yard::call(name, arguments));
    let command = || json!({ "command": "make" });
    assert_eq!(ask("run_command", command()), "make");
    fs::write(yard.at("big"), vec![b'x'; 2000]).unwrap();
    assert_eq!(
        ask("run_command", command()),
        "make\nundo will not cover: big (2 kB)"
    );
    let write = |path: &str| json!({ "path": path, "content": "y" });
    assert!(ask("write_file", write("big")).ends_with("\nundo will not cover: big (2 kB)"));
    assert!(!ask("write_file", write("a")).contains("undo"));

    let read_only = Rules {
        mode: Mode::ReadOnly,
        ..Rules::default()
    };
    let yard = Yard::with(limits, read_only);
    fs::write(yard.at("big"), vec![b'x'; 2000]).unwrap();
    let shown = yard.toolbox.preview(&Yard::call("run_command", command()));
    assert_eq!(shown, "make", "it can change nothing");
}

/// A store that can't be written, which is as good as a full disk.
#[test]
fn a_call_that_can_not_be_kept_for_does_not_run() {
    let yard = Yard::furnished(Limits::default());
    let undo = yard.folder.path().join("state/undo");
    fs::create_dir_all(undo.parent().unwrap()).unwrap();
    fs::write(&undo, "in the way").unwrap();
    yard.toolbox.begin_turn("a turn");
    let before = yard.picture();
    for outcome in [
        yard.shell("touch made"),
        yard.run("write_file", json!({ "path": "made", "content": "x" })),
    ] {
        assert!(!outcome.ok && !outcome.refused, "{outcome:?}");
        let expected = "error: not done, as what it may change could not be kept for undo: ";
        assert!(outcome.output.starts_with(expected), "{outcome:?}");
        assert_eq!(outcome.output.lines().count(), 1);
    }
    assert_eq!(yard.picture(), before);
}

#[test]
fn commands_do_not_see_what_is_kept() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let state = place.path().join("state");
    fs::create_dir_all(state.join("cairn/undo/x")).unwrap();
    fs::write(state.join("cairn/undo/x/object"), "kept").unwrap();
    fs::create_dir(place.path().join("ws")).unwrap();
    let file = state.join("cairn/undo/x/object");
    let script = format!(
        "cat '{0}'; echo evil > '{0}'; rm -r '{1}'",
        file.display(),
        state.display()
    );
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["sandbox", "--workspace"])
        .arg(place.path().join("ws"))
        .args(["--", "sh", "-c", &script])
        .env("XDG_STATE_HOME", &state)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let read = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(read.contains("No such file"), "{read} {said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
#[ignore = "prints times, to be read by somebody"]
fn how_long_ten_thousand_files_take() {
    use std::time::Instant;
    let yard = Yard::new(Limits::default());
    for n in 0..10_000 {
        let path = yard.at(&format!("src/d{}/f{n}.rs", n % 100));
        if n < 100 {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(path, format!("// {n}\n").repeat(300)).unwrap();
    }
    let time = |what: &str, act: &dyn Fn()| {
        let start = Instant::now();
        act();
        println!("{what}: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    };
    let call = Yard::call("run_command", json!({ "command": "true" }));
    let turn = |command: &str| {
        yard.turn(&[Op::Shell(command.into())]);
    };
    time("first", &|| turn("true"));
    time("second", &|| turn("true"));
    time("question", &|| {
        assert_eq!(yard.toolbox.preview(&call), "true")
    });
    time("one file changed", &|| turn("echo x >> src/d1/f1.rs"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    time("after that", &|| turn("true"));
    let before = yard.picture();
    time("all removed", &|| turn("rm -r src"));
    time("undo", &|| {
        assert!(go(|force| yard.toolbox.undo(force)).is_some())
    });
    assert_eq!(yard.picture(), before);
    time("redo", &|| {
        assert!(go(|force| yard.toolbox.redo(force)).is_some())
    });
}

#[test]
fn the_repl_undoes_and_redoes() {
    let place = tempfile::tempdir().unwrap();
    let workspace = place.path().join("ws");
    fs::create_dir(&workspace).unwrap();
    let talk = |script: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .env_remove("CAIRN_MODEL")
            .env("XDG_STATE_HOME", place.path().join("state"))
            .env("XDG_CACHE_HOME", place.path().join("cache"))
            .args(["repl", "--allow", "write", "--workspace"])
            .arg(&workspace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let file = workspace.join("a.txt");
    let said = talk("create a.txt with \"x y\"\n/undo\n/undo\n");
    assert!(
        said.contains("undone: create a.txt with \"x y\"\n  removed a.txt"),
        "{said}"
    );
    assert!(said.contains("there is nothing to undo"), "{said}");
    assert!(!file.exists());
    // The next day.
    let said = talk("/redo\n");
    assert!(
        said.contains("redone: create a.txt with \"x y\"\n  restored a.txt"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "x y\n");
    fs::write(&file, "mine").unwrap();
    let said = talk("/undo\nn\n");
    assert!(said.contains("  a.txt was changed since"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let said = talk("/undo\ny\n/redo\n");
    assert!(
        said.contains("what was overwritten comes back with /redo"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn without_a_home_there_is_no_undo_and_one_line_says_so() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .env_remove("CAIRN_MODEL")
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CACHE_HOME")
        .args([
            "--prompt",
            "create a.txt with \"x y\"",
            "--allow",
            "write",
            "--workspace",
        ])
        .arg(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().filter(|line| line.contains("undo is off"));
    assert_eq!(lines.count(), 1, "{said}");
    assert!(place.path().join("a.txt").exists());
}
