//! What each tool answers, word for word: these are the shapes that models read.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Policy, Rules, Workspace};
use cairn::tools::{Call, Limits, Outcome, Toolbox};
use serde_json::{Value, json};

struct Bench {
    folder: tempfile::TempDir,
    toolbox: Toolbox,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Limits::default())
    }

    fn with(limits: Limits) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        Bench {
            folder,
            toolbox: Toolbox::new(
                workspace,
                Policy::new(Rules::default()),
                Launcher::by(env!("CARGO_BIN_EXE_cairn")),
                limits,
            ),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    fn run(&self, name: &str, arguments: Value) -> Outcome {
        let call = Call {
            name: name.into(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        self.toolbox.run(&call, &|| false)
    }

    fn ok(&self, name: &str, arguments: Value) -> String {
        let outcome = self.run(name, arguments);
        assert!(outcome.ok, "{outcome:?}");
        outcome.output
    }

    fn error(&self, name: &str, arguments: Value) -> String {
        let outcome = self.run(name, arguments);
        assert!(!outcome.ok, "{outcome:?}");
        outcome.output
    }

    fn list(&self, path: &str) -> String {
        self.ok("list_dir", json!({ "path": path }))
    }

    fn read(&self, path: &str) -> String {
        self.ok("read_file", json!({ "path": path }))
    }

    fn search(&self, pattern: &str, path: &str) -> String {
        self.ok("search", json!({ "pattern": pattern, "path": path }))
    }

    fn command(&self, command: &str) -> Outcome {
        self.run("run_command", json!({ "command": command }))
    }

    fn write(&self, path: &str, content: &str) -> String {
        self.ok("write_file", json!({ "path": path, "content": content }))
    }

    fn edit(&self, path: &str, old: &str, new: &str) -> Outcome {
        self.run("edit_file", json!({ "path": path, "old": old, "new": new }))
    }
}

#[test]
fn list_dir() {
    let bench = Bench::new();
    assert_eq!(bench.list("."), "(empty)");
    bench.put("src/main.rs", "");
    bench.put("notes.txt", "");
    bench.put(".env", "");
    bench.put(".git/config", "");
    bench.put("two\nlines", "");
    std::os::unix::fs::symlink("src", bench.path().join("link")).unwrap();
    assert_eq!(bench.list("."), ".env\nnotes.txt\ntwo␊lines\nlink/\nsrc/");
    assert_eq!(bench.list("./src/"), "main.rs");
    assert_eq!(bench.list("src/../src"), "main.rs");
    let root = bench.path().to_str().unwrap().to_string();
    assert_eq!(bench.list(&format!("{root}/src")), "main.rs");
    let error = |path: &str| bench.error("list_dir", json!({ "path": path }));
    assert_eq!(error("lib"), "error: no such directory: lib");
    assert_eq!(error("notes.txt"), "error: notes.txt: not a directory");
    assert_eq!(error(".."), "error: ..: outside the workspace");
    assert_eq!(error("/etc"), "error: /etc: outside the workspace");
    assert_eq!(error(""), "error: no such directory: ");
}

#[test]
fn read_file() {
    let bench = Bench::new();
    bench.put("a.txt", "one\n  two\n\n");
    bench.put("empty", "");
    bench.put("blank", "\n\n");
    bench.put("bom.txt", "\u{feff}x\r\ny\r\n");
    bench.put("mixed.txt", "x\r\ny\n");
    bench.put("latin1.txt", b"caf\xe9\n");
    bench.put("image.png", b"\x89PNG\x00\x00");
    bench.put("src/lib.rs", "");
    assert_eq!(bench.read("a.txt"), "one\n  two");
    assert_eq!(bench.read("empty"), "(empty)");
    assert_eq!(bench.read("blank"), "(empty)");
    assert_eq!(bench.read("bom.txt"), "x\ny");
    assert_eq!(bench.read("mixed.txt"), "x\r\ny");
    assert_eq!(bench.read("latin1.txt"), "caf\u{fffd}");
    let error = |path: &str| bench.error("read_file", json!({ "path": path }));
    assert_eq!(error("image.png"), "error: image.png: not a text file");
    assert_eq!(error("b.txt"), "error: no such file: b.txt");
    assert_eq!(error("a.txt/b"), "error: no such file: a.txt/b");
    assert_eq!(error("src"), "error: src: is a directory");
    assert_eq!(error("../x"), "error: ../x: outside the workspace");
}

#[test]
fn a_long_file_keeps_head_and_tail() {
    let bench = Bench::with(Limits {
        output_bytes: 400,
        ..Limits::default()
    });
    let text: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
    bench.put("long.txt", text);
    let outcome = bench.run("read_file", json!({"path": "long.txt"}));
    assert!(outcome.truncated && outcome.output.len() < 480);
    assert!(outcome.output.starts_with("line 1\nline 2\n"));
    assert!(outcome.output.contains("\nline 999\nline 1000\n[lines 1-"));
    let kept = outcome.output.lines().count() - 2;
    assert!(
        outcome
            .output
            .contains(&format!("\n[... {} lines omitted ...]\n", 1000 - kept))
    );
}

#[test]
fn a_huge_file_is_refused_without_reading_it() {
    let bench = Bench::new();
    let file = fs::File::create(bench.path().join("huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    let started = Instant::now();
    assert_eq!(
        bench.error("read_file", json!({"path": "huge"})),
        "error: huge: too large (1099511627776 bytes, the limit is 16777216)"
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn search() {
    let bench = Bench::new();
    bench.put("src/b.rs", "\tfn parse(x: u32) {}\n// none\n");
    bench.put("src/a.rs", "let y = 1;\nfn parse(\r\n");
    bench.put("target/out.rs", "fn parse(");
    bench.put("deep/x.log", "fn parse(");
    bench.put("deep/keep.log", "fn parse(");
    bench.put("deep/.gitignore", "!keep.log\n");
    bench.put(".gitignore", "/target\n*.log\n");
    bench.put(".git/HEAD", "fn parse(");
    bench.put(".hidden", "fn parse(");
    bench.put("image.bin", b"fn parse(\x00fn parse(");
    std::os::unix::fs::symlink("src", bench.path().join("loop")).unwrap();
    let all = ".hidden:1: fn parse(\ndeep/keep.log:1: fn parse(\nsrc/a.rs:2: fn parse(\nsrc/b.rs:1: fn parse(x: u32) {}";
    assert_eq!(bench.search("fn parse(", "."), all);
    assert_eq!(
        bench.search("fn parse(", bench.path().to_str().unwrap()),
        all
    );
    assert_eq!(
        bench.search("fn parse(", "./src"),
        "src/a.rs:2: fn parse(\nsrc/b.rs:1: fn parse(x: u32) {}"
    );
    assert_eq!(
        bench.search("parse(x", "src/b.rs"),
        "src/b.rs:1: fn parse(x: u32) {}"
    );
    assert_eq!(
        bench.search("fn parse(", "target"),
        "target/out.rs:1: fn parse("
    );
    assert_eq!(bench.search("FN PARSE", "."), "no matches");
    assert_eq!(bench.search("par.e", "."), "no matches");
    let error = |pattern: &str, path: &str| {
        bench.error("search", json!({ "pattern": pattern, "path": path }))
    };
    assert_eq!(error("x", "lib"), "error: no such directory: lib");
    assert_eq!(error("x", "/"), "error: /: outside the workspace");
    assert_eq!(
        error("", "."),
        "error: search needs pattern (a string of one line, not empty)"
    );
}

#[test]
fn search_is_bounded() {
    let bench = Bench::new();
    bench.put("many.txt", "needle\n".repeat(1000));
    let outcome = bench.run("search", json!({"pattern": "needle", "path": "."}));
    assert!(outcome.ok && outcome.truncated);
    assert_eq!(outcome.output.lines().count(), 201);
    assert!(outcome.output.ends_with("\n[... more matches omitted ...]"));
    bench.put("many.txt", format!("{}needle", "x".repeat(1 << 20)));
    let line = bench.search("needle", ".");
    assert!(line.len() < 400 && line.ends_with("x ..."), "{line}");
}

#[test]
fn a_search_can_be_interrupted() {
    let bench = Bench::new();
    bench.put("a.txt", "x\n".repeat(1 << 20));
    let call = Call {
        name: "search".into(),
        arguments: json!({"pattern": "y", "path": "."})
            .as_object()
            .unwrap()
            .clone(),
    };
    let outcome = bench.toolbox.run(&call, &|| true);
    assert_eq!(
        (outcome.ok, outcome.output.as_str()),
        (false, "[interrupted]")
    );
}

#[test]
fn run_command() {
    let bench = Bench::with(Limits {
        command_seconds: 1,
        ..Limits::default()
    });
    let got = |command: &str| {
        let outcome = bench.command(command);
        (outcome.ok, outcome.output)
    };
    assert_eq!(got("echo $((2 + 2))"), (true, "4\n[exit 0]".into()));
    assert_eq!(got("true"), (true, "[exit 0]".into()));
    assert_eq!(
        got("printf 'no newline'"),
        (true, "no newline\n[exit 0]".into())
    );
    assert_eq!(
        got("echo out; echo err >&2; exit 7"),
        (false, "out\nerr\n[exit 7]".into())
    );
    assert_eq!(got("kill -SEGV $$"), (false, "[signal 11]".into()));
    assert_eq!(
        got("echo a; sleep 100"),
        (false, "a\n[timed out after 1 s, killed]".into())
    );
    let outcome = bench.command("seq 100000");
    assert!(outcome.truncated && outcome.output.ends_with("\n100000\n[exit 0]"));
    assert!(outcome.output.contains(" lines omitted ...]\n"));
}

#[test]
fn write_file() {
    let bench = Bench::new();
    assert_eq!(
        bench.write("hello.txt", "héllo"),
        "wrote 7 bytes to hello.txt"
    );
    assert_eq!(bench.text("hello.txt"), "héllo\n");
    assert_eq!(
        bench.write("a/b/c.txt", "x\n"),
        "wrote 2 bytes to a/b/c.txt"
    );
    assert_eq!(bench.text("a/b/c.txt"), "x\n");
    assert_eq!(bench.write("empty", ""), "wrote 0 bytes to empty");
    assert_eq!(bench.text("empty"), "");
    let error = |path: &str| bench.error("write_file", json!({ "path": path, "content": "x" }));
    assert_eq!(error("a/b"), "error: a/b: is a directory");
    assert_eq!(error("."), "error: .: is a directory");
    assert_eq!(error("hello.txt/x"), "error: hello.txt/x: not a directory");
    assert_eq!(error("/tmp/x"), "error: /tmp/x: outside the workspace");
    assert_eq!(
        error("a/../../x"),
        "error: a/../../x: outside the workspace"
    );
}

#[test]
fn edit_file() {
    let bench = Bench::new();
    bench.put("a.rs", "fn a() {\n    let port = 8080;\n}\nfn b() {}\n");
    let outcome = bench.edit("a.rs", "8080", "9090");
    assert_eq!((outcome.ok, outcome.output.as_str()), (true, "edited a.rs"));
    assert_eq!(
        bench.text("a.rs"),
        "fn a() {\n    let port = 9090;\n}\nfn b() {}\n"
    );
    let error = |path: &str, old: &str, new: &str| {
        let outcome = bench.edit(path, old, new);
        assert!(!outcome.ok);
        outcome.output
    };
    let before = bench.text("a.rs");
    assert_eq!(
        error("a.rs", "let prot = 9090;", "x"),
        "error: text not found in a.rs\nnearest match at line 2: let port = 9090;"
    );
    assert_eq!(error("a.rs", "zebra", "x"), "error: text not found in a.rs");
    assert_eq!(
        error("a.rs", "fn ", "x"),
        "error: text found 2 times in a.rs (lines 1, 4); give more context"
    );
    assert_eq!(
        error("a.rs", "", "x"),
        "error: edit_file needs old (a string that is not empty)"
    );
    assert_eq!(error("none.rs", "a", "b"), "error: no such file: none.rs");
    assert_eq!(bench.text("a.rs"), before);
    bench.put("twice", "aaa");
    assert_eq!(
        error("twice", "aa", "b"),
        "error: text found 2 times in twice (lines 1, 1); give more context"
    );
    bench.put("bin", b"a\0b");
    assert_eq!(error("bin", "a", "b"), "error: bin: not a text file");
    bench.put("latin1", b"caf\xe9");
    assert_eq!(error("latin1", "caf", "b"), "error: latin1: not UTF-8 text");
}

#[test]
fn edits_keep_line_ends_and_byte_order_mark() {
    let bench = Bench::new();
    bench.put("dos.txt", "\u{feff}one\r\ntwo\r\nthree\r\n");
    // What read_file shows has neither.
    assert!(bench.edit("dos.txt", "one\ntwo\n", "1\n2\n2b\n").ok);
    assert_eq!(bench.text("dos.txt"), "\u{feff}1\r\n2\r\n2b\r\nthree\r\n");
    bench.put("unix.txt", "a\nb\n");
    assert!(bench.edit("unix.txt", "a\r\nb", "c\r\nd").ok);
    assert_eq!(bench.text("unix.txt"), "c\nd\n");
    bench.put("mixed.txt", "a\r\nb\nc\n");
    assert!(bench.edit("mixed.txt", "b\nc", "B\nC").ok);
    assert_eq!(bench.text("mixed.txt"), "a\r\nB\nC\n");
}

#[test]
fn some_lines_of_a_file() {
    let bench = Bench::new();
    bench.put("a.txt", "\u{feff}one\r\ntwo\r\n\r\nfour\r\n");
    let read = |range: Value| {
        let mut arguments = json!({"path": "a.txt"});
        let all = arguments.as_object_mut().unwrap();
        all.extend(range.as_object().unwrap().clone());
        bench.run("read_file", arguments).output
    };
    assert_eq!(read(json!({"start": 2, "end": 2})), "two\n[lines 2-2 of 4]");
    assert_eq!(read(json!({"start": 3, "end": 3})), "[lines 3-3 of 4]");
    assert_eq!(read(json!({"end": 1})), "one\n[lines 1-1 of 4]");
    // More than there is: all there is.
    let rest = "two\n\nfour\n[lines 2-4 of 4]";
    assert_eq!(read(json!({"start": 2})), rest);
    assert_eq!(read(json!({"start": 2, "end": 900})), rest);
    let from_one = "error: a.txt has 4 lines; start and end count from 1";
    for range in [
        json!({"start": 5}),
        json!({"start": 0}),
        json!({"start": -3}),
        json!({"end": 0}),
    ] {
        assert_eq!(read(range), from_one);
    }
    assert_eq!(
        read(json!({"start": 3, "end": 2})),
        "error: a.txt has 4 lines; start must not be after end"
    );
    assert_eq!(
        read(json!({"start": "2"})),
        "error: read_file needs start (integer)"
    );
    bench.put("empty", "");
    let empty = bench.error("read_file", json!({"path": "empty", "start": 1}));
    assert_eq!(
        empty,
        "error: empty has 0 lines; start and end count from 1"
    );
}

#[test]
fn what_is_cut_says_which_lines_it_shows() {
    let bench = Bench::with(Limits {
        output_lines: 4,
        ..Limits::default()
    });
    let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
    bench.put("a.txt", text + "\n");
    assert_eq!(
        bench.read("a.txt"),
        "line 1\nline 2\n[... 96 lines omitted ...]\nline 99\nline 100\n[lines 1-2 and 99-100 of 101]"
    );
    let range = json!({"path": "a.txt", "start": 11, "end": 20});
    assert_eq!(
        bench.ok("read_file", range),
        "line 11\nline 12\n[... 6 lines omitted ...]\nline 19\nline 20\n[lines 11-20 of 101]"
    );
    // No whole lines: nothing to say about them.
    bench.put("b.txt", "x".repeat(100_000));
    assert!(!bench.read("b.txt").contains("[lines"));
}

#[test]
fn ignored_files_are_counted() {
    let bench = Bench::new();
    for path in [
        "src/a.rs",
        "target/debug/x",
        "b.log",
        "sub/keep.log",
        "sub/c.log",
    ] {
        bench.put(path, "");
    }
    bench.put(".gitignore", "/target\n*.log\n");
    bench.put("sub/.gitignore", "!keep.log\n");
    bench.put("all/.gitignore", "*\n");
    assert_eq!(bench.list("."), ".gitignore\nall/\nsrc/\nsub/\n(2 ignored)");
    assert_eq!(bench.list("sub"), ".gitignore\nkeep.log\n(1 ignored)");
    // Who names an ignored folder wants to see it.
    assert_eq!(bench.list("target"), "debug/");
    assert_eq!(bench.list("target/debug"), "x");
    assert_eq!(bench.list("all"), "(1 ignored)");
}

#[test]
fn white_space_at_line_ends_may_differ() {
    let bench = Bench::new();
    bench.put("a.rs", "fn a() {   \n    one();\t\n}\n");
    let arguments = json!({"path": "a.rs", "old": "fn a() {\n    one();\n}", "new": "fn b() {}"});
    let call = Call {
        name: "edit_file".into(),
        arguments: arguments.as_object().unwrap().clone(),
    };
    let preview = bench.toolbox.preview(&call);
    assert!(
        preview.ends_with("+fn b() {}\n(trailing white space differed)"),
        "{preview}"
    );
    assert_eq!(
        bench.ok("edit_file", arguments),
        "edited a.rs (trailing white space differed)"
    );
    assert_eq!(bench.text("a.rs"), "fn b() {}\n");
    bench.put("twice", "a \nb\na\t\nb\n");
    let outcome = bench.edit("twice", "a\nb", "c");
    assert_eq!(
        outcome.output,
        "error: text found 2 times in twice (lines 1, 3); give more context"
    );
    // An exact place comes before all that are not.
    bench.put("exact", "a \nb\na\nb\n");
    assert_eq!(bench.edit("exact", "a\nb", "c").output, "edited exact");
    assert_eq!(bench.text("exact"), "a \nb\nc\n");
    // Leading white space is the program in some languages.
    bench.put("python", "if x:\n    y\n");
    let outcome = bench.edit("python", "if x:\n  y", "z");
    assert_eq!(
        outcome.output,
        "error: text not found in python\nnearest match at lines 1-2:\nif x:\n    y"
    );
}

#[test]
fn a_written_file_is_what_the_model_wrote() {
    let bench = Bench::new();
    bench.put("dos.txt", "\u{feff}one\r\ntwo\r\n");
    bench.write("dos.txt", "three\n");
    assert_eq!(bench.text("dos.txt"), "three\n");
}

#[test]
fn file_tools_say_what_they_changed() {
    let bench = Bench::new();
    bench.put("a", "one\ntwo\n");
    let edited = bench.edit("a", "two", "three");
    let diff = "--- a\n+++ a\n@@ -1,2 +1,2 @@\n one\n-two\n+three";
    assert_eq!(
        (edited.output.as_str(), edited.change.as_str()),
        ("edited a", diff)
    );
    assert_eq!(bench.edit("a", "four", "five").change, "");
    let write = |path: &str, content: &str| {
        bench.run("write_file", json!({ "path": path, "content": content }))
    };
    let written = write("b", "x").change;
    assert_eq!(written, "--- /dev/null\n+++ b\n@@ -0,0 +1 @@\n+x");
    assert_eq!(write("b", "x").change, "b: no change");
    assert_eq!(write("../c", "x").change, "");
    assert_eq!(bench.command("echo x > d").change, "");
}

#[test]
fn a_command_is_heard_as_it_prints() {
    let bench = Bench::new();
    let heard = std::cell::RefCell::new(Vec::new());
    let arguments = json!({ "command": "printf 'a\\nb'; sleep 0.3; printf c >&2" });
    let call = Call {
        name: "run_command".into(),
        arguments: arguments.as_object().unwrap().clone(),
    };
    let printed = |bytes: &[u8]| heard.borrow_mut().push(bytes.to_vec());
    let outcome = bench.toolbox.run_as(None, &call, &|| false, &printed);
    assert_eq!(outcome.output, "a\nbc\n[exit 0]");
    assert_eq!(heard.into_inner(), [b"a\nb".to_vec(), b"c".to_vec()]);
}
