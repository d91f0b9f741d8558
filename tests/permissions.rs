//! What may be done and who said so, from outside: rules on the command line, in
//! the user's config and in a project's, in batch mode.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

/// A workspace, and a config folder of its own.
struct Place {
    work: TempDir,
    config: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            work: tempfile::tempdir().unwrap(),
            config: tempfile::tempdir().unwrap(),
        };
        std::fs::write(place.work.path().join("ok.sh"), "echo done > made\n").unwrap();
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"))
            .env_remove("CAIRN_MODEL")
            .env(
                "XDG_STATE_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
            )
            .env(
                "XDG_CACHE_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
            )
            .env("XDG_CONFIG_HOME", self.config.path())
            .args(arguments)
            .current_dir(self.work.path())
            .output()
            .unwrap()
    }

    /// Asks for a command; whether it was run, what the model read, and the status.
    fn command(&self, command: &str, arguments: &[&str]) -> (bool, String, Option<i32>) {
        let made = self.work.path().join("made");
        let _ = std::fs::remove_file(&made);
        let prompt = format!("run the command {command}");
        let output = self.run(&[&["--output", "jsonl", "--prompt", &prompt], arguments].concat());
        let result = objects(&output)
            .into_iter()
            .find(|object| object["type"] == "tool_result")
            .unwrap_or_else(|| panic!("no result: {}", text(&output.stderr)));
        let read = result["output"].as_str().unwrap().to_owned();
        (made.exists(), read, output.status.code())
    }

    fn config(&self, text: &str) {
        let folder = self.config.path().join("cairn");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    fn project(&self, text: &str) {
        let folder = self.work.path().join(".cairn");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }
}

fn objects(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    let object = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(object).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_rule_allows_what_it_names_and_no_more() {
    let place = Place::new();
    let (ran, read, status) = place.command("sh ok.sh", &[]);
    assert_eq!((ran, status), (false, Some(5)));
    assert_eq!(read, "error: denied by the user");

    let exact = ["--allow", "run=sh ok.sh"];
    assert_eq!(place.command("sh ok.sh", &exact).2, Some(0));
    assert!(place.work.path().join("made").exists());
    assert_eq!(
        place.command("sh ok.sh", &["--allow", "run=sh ok.s"]).2,
        Some(5)
    );
    assert_eq!(place.command("ls src", &["--allow", "run:ls"]).2, Some(0));
    assert_eq!(place.command("sh ok.sh", &["--allow", "run:ls"]).2, Some(5));
}

#[test]
fn what_is_denied_is_denied_whatever_allows_it() {
    let place = Place::new();
    let deny = ["--allow", "run", "--deny", "run:sh"];
    let (ran, read, status) = place.command("sh ok.sh", &deny);
    assert_eq!((ran, status), (false, Some(5)), "{read}");
    let (ran, ..) = place.command("`true; sh ok.sh`", &deny);
    assert!(!ran);
}

#[test]
fn denials_name_their_rule() {
    let place = Place::new();
    let (_, read, status) = place.command("ls src", &["--allow", "run", "--deny", "run:ls"]);
    assert_eq!(status, Some(5));
    assert_eq!(read, "error: denied by the user: a rule denies it (run:ls)");
    let output = place.run(&["--allow", "run:env", "--prompt", "x"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("\"env\" runs other commands"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn plan_mode_reads_only() {
    let place = Place::new();
    let plan = ["--permission-mode", "plan", "--allow", "run,write"];
    // The model may call again until a limit ends it: 4 or 5.
    let (ran, read, status) = place.command("sh ok.sh", &plan);
    assert!(!ran && matches!(status, Some(4 | 5)), "{status:?}");
    assert!(read.contains("only tools that read"), "{read}");
    let edits = [
        "--permission-mode",
        "accept-edits",
        "--prompt",
        "create a.txt with \"x\"",
    ];
    let output = place.run(&edits);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(place.work.path().join("a.txt").exists());
    assert_eq!(place.command("sh ok.sh", &edits[..2]).2, Some(5));
}

#[test]
fn the_users_config_counts_and_is_edited_by_command() {
    let place = Place::new();
    place.config("# mine\n");
    let rule = "run=sh ok.sh";
    assert_eq!(
        place.run(&["permissions", "allow", rule]).status.code(),
        Some(0)
    );
    assert_eq!(place.command("sh ok.sh", &[]).2, Some(0));
    assert_eq!(
        place.run(&["permissions", "deny", "run:ls"]).status.code(),
        Some(0)
    );
    let listed = text(&place.run(&["permissions"]).stdout);
    assert_eq!(listed, "allow  run=sh ok.sh\ndeny   run:ls\n");
    let json: Value =
        serde_json::from_slice(&place.run(&["permissions", "--json"]).stdout).unwrap();
    assert_eq!(json["allow"][0], rule);
    assert_eq!(json["deny"][0], "run:ls");

    assert_eq!(
        place.run(&["permissions", "remove", rule]).status.code(),
        Some(0)
    );
    assert_eq!(
        place.run(&["permissions", "remove", rule]).status.code(),
        Some(2)
    );
    assert_eq!(place.command("sh ok.sh", &[]).2, Some(5));
    let kept = std::fs::read_to_string(place.config.path().join("cairn/config.toml")).unwrap();
    assert!(kept.starts_with("# mine\n"), "{kept}");
}

#[test]
fn a_config_never_frees_what_was_typed() {
    let place = Place::new();
    place.config("[sandbox]\nmode = \"danger\"\n");
    let output = place.run(&["--prompt", "hello"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("only --mode danger"));

    place.config("[sandbox]\nmode = \"read-only\"\n");
    let danger = ["--mode", "danger", "--allow", "run"];
    let (ran, _, _) = place.command("sh ok.sh", &danger);
    assert!(!ran, "the config's mode is the stricter one");
    // A command by hand is run like a model's.
    let sandbox = |flags: &[&str]| {
        let command = ["--", "sh", "ok.sh"];
        place.run(&[&["sandbox"], flags, &command[..]].concat())
    };
    assert!(!sandbox(&[]).status.success());
    let output = sandbox(&["--mode", "danger"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("your config makes it --mode read-only"));
    place.config("");
    assert!(sandbox(&[]).status.success());
    place.config("[sandbox\n");
    let output = place.run(&["--prompt", "hello"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("config.toml:1: ") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_projects_settings_count_once_trusted_and_only_tighten() {
    let place = Place::new();
    place.project("[permissions]\ndeny = [\"run:ls\"]\nrun = \"allow\"\n");
    std::fs::write(
        place.work.path().join(".env"),
        "XDG_CONFIG_HOME=/x\nCAIRN_MODE=danger\n",
    )
    .unwrap();
    let ls = || place.command("ls src", &["--allow", "run"]).2;
    assert_eq!(ls(), Some(0), "not trusted, so not used");
    let output = place.run(&["--prompt", "hello"]);
    assert!(text(&output.stderr).contains("is not trusted, so it is not used"));

    let output = place.run(&["trust"]);
    assert_eq!(output.status.code(), Some(2), "nobody there to ask");
    assert!(text(&output.stdout).contains("run:ls"));
    assert_eq!(place.run(&["trust", "--yes"]).status.code(), Some(0));
    assert_eq!(ls(), Some(5));
    let (ran, read, _) = place.command("sh ok.sh", &[]);
    assert!(!ran, "it frees nothing: {read}");

    place.project("# another\n");
    assert_eq!(ls(), Some(0), "trust was in the text");
    place.project("[permissions]\ndeny = [\"run:ls\"]\nrun = \"allow\"\n");
    assert_eq!(ls(), Some(5));
    assert_eq!(place.run(&["trust", "--forget"]).status.code(), Some(0));
    assert_eq!(ls(), Some(0));

    place.project("[sandbox]\nmode = \"danger\"\n[permissions]\nallow = [\"run\"]\n");
    assert_eq!(place.run(&["trust", "--yes"]).status.code(), Some(2));
}

#[test]
fn what_runs_is_what_was_judged() {
    let place = Place::new();
    // Rules are about plain calls: whatever a shell would make of it, it asks.
    for command in [
        "ls; sh ok.sh",
        "ls $(sh ok.sh)",
        "ls `sh ok.sh`",
        "ls|sh ok.sh",
    ] {
        let prompt = format!("run the command `{command}`");
        let output = place.run(&["--allow", "run:ls", "--prompt", &prompt]);
        assert!(
            !place.work.path().join("made").exists(),
            "{command}: {}",
            text(&output.stderr)
        );
    }
    // A name that a shell could take for something else is no other program.
    let (ran, _, _) = place.command("l\u{455} ok.sh", &["--allow", "run:ls"]);
    assert!(!ran);
}

#[test]
fn every_tool_event_says_how_far_it_reached() {
    let place = Place::new();
    let output = place.run(&["--output", "jsonl", "--prompt", "list the files in ."]);
    let events: Vec<Value> = objects(&output)
        .into_iter()
        .filter(|o| o["type"] == "tool_call" || o["type"] == "tool_result")
        .collect();
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event["sandbox"], "sandbox workspace-write");
    }
}

#[test]
fn files_of_keys_are_read_with_a_word() {
    let place = Place::new();
    std::fs::write(place.work.path().join(".env"), "KEY=sesame\n").unwrap();
    let read = |flags: &[&str]| place.run(&[&["--prompt", "read .env"], flags].concat());
    let output = read(&[]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`--allow 'read:.env'` allows it"));
    assert!(!text(&output.stderr).contains("sesame"));
    let output = read(&["--allow", "read:.env"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("sesame"));
    let output = place.run(&["--prompt", "search for sesame in ."]);
    assert!(!text(&output.stderr).contains("KEY="));
}

#[test]
fn nobody_writes_the_settings_for_the_user() {
    let place = Place::new();
    let config = place.work.path().join("cairn/config.toml");
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "").unwrap();
    // The config folder in the workspace is not the workspace's.
    let run = |prompt: &str| {
        assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"))
            .env("XDG_CONFIG_HOME", place.work.path())
            .env(
                "XDG_STATE_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
            )
            .env(
                "XDG_CACHE_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
            )
            .args(["--allow", "write,run", "--prompt", prompt])
            .current_dir(place.work.path())
            .output()
            .unwrap()
    };
    run("create cairn/config.toml with \"x\"");
    run("run the command `echo x > cairn/config.toml`");
    assert_eq!(read(&config), "");

    // Nor does it help that there is none yet.
    std::fs::remove_dir_all(config.parent().unwrap()).unwrap();
    run("create cairn/config.toml with \"x\"");
    run("run the command `mkdir -p cairn && echo x > cairn/config.toml`");
    assert!(!config.exists());
    let sandbox = "mkdir -p cairn && echo x > cairn/config.toml";
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"))
        .env("XDG_CONFIG_HOME", place.work.path())
        .args(["sandbox", "--", "sh", "-c", sandbox])
        .current_dir(place.work.path())
        .output()
        .unwrap();
    assert!(!output.status.success() && !config.exists());
    assert_eq!(text(&output.stderr).matches("may not be made").count(), 0);
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
