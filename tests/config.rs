//! The settings from outside: their layers in order, what a project may say, what
//! is wrong and where, and editing the file.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

/// A workspace and a home of its own.
struct Place {
    work: TempDir,
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            work: tempfile::tempdir().unwrap(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
            command.env_remove(name);
        }
        for name in ["VISUAL", "EDITOR"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("XDG_DATA_HOME", self.home.path().join("data"))
            .args(arguments)
            .current_dir(self.work.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("config/cairn/config.toml")
    }

    fn config(&self, text: &str) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), text).unwrap();
    }

    fn project(&self, text: &str) {
        let folder = self.work.path().join(".cairn");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    /// One setting as `config show --json` has it.
    fn shown(&self, key: &str, variables: &[(&str, &str)], flags: &[&str]) -> Value {
        let mut command = self.command(&[flags, &["config", "show", "--json"]].concat());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(status(&output), 0, "{}", text(&output.stderr));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        let settings = object["settings"].as_array().unwrap();
        let found = settings.iter().find(|one| one["key"] == key);
        found.unwrap_or_else(|| panic!("no {key}")).clone()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The one line on stderr, and the status 2.
fn refused(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(status(output), 2, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_later_layer_beats_an_earlier_one_and_show_says_which() {
    let place = Place::new();
    let of = |variables: &[(&str, &str)], flags: &[&str]| {
        let row = place.shown("temperature", variables, flags);
        (
            row["value"].clone(),
            row["layer"].as_str().unwrap().to_owned(),
        )
    };
    let is = |value: Value, layer: &str| (value, layer.to_owned());
    assert_eq!(of(&[], &[]), is(Value::Null, "default"));
    place.config("temperature = 0.1\n[profiles.warm]\ntemperature = 0.2\n");
    assert_eq!(of(&[], &[]), is(0.1.into(), "user"));
    let warm = ["--profile", "warm"];
    assert_eq!(of(&[], &warm), is(0.2.into(), "profile"));
    place.project("temperature = 0.3\n");
    assert_eq!(
        of(&[], &warm),
        is(0.2.into(), "profile"),
        "it is not trusted"
    );
    assert_eq!(status(&place.run(&["trust", "--yes"])), 0);
    assert_eq!(of(&[], &warm), is(0.3.into(), "project"));
    let variable = [("CAIRN_TEMPERATURE", "0.4"), ("CAIRN_PROFILE", "warm")];
    assert_eq!(of(&variable, &[]), is(0.4.into(), "environment"));
    let flag = ["--temperature", "0.5"];
    assert_eq!(of(&variable, &flag), is(0.5.into(), "flag"));

    let row = place.shown("temperature", &variable, &flag);
    let layers: Vec<&str> = row["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["layer"].as_str().unwrap())
        .collect();
    let all = ["user", "profile", "project", "environment", "flag"];
    assert_eq!(layers, all);
    let shown = text(&place.run(&["config"]).stdout);
    let line = shown.lines().find(|line| line.starts_with("temperature"));
    assert!(
        line.unwrap()
            .ends_with("0.3                                   project, line 1"),
        "{shown}"
    );
}

#[test]
fn settings_reach_the_conversation() {
    let place = Place::new();
    place.config("output = \"jsonl\"\nmax_steps = 1\n");
    let output = place.run(&["--prompt", "list the files"]);
    let last = text(&output.stdout).lines().last().unwrap().to_owned();
    let done: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        (done["type"].as_str(), done["reason"].as_str()),
        (Some("done"), Some("steps"))
    );
    assert_eq!(status(&output), 4);
    let typed = [
        "--output",
        "text",
        "--max-steps",
        "5",
        "--prompt",
        "list the files",
    ];
    let output = place.run(&typed);
    assert_eq!(status(&output), 0, "{}", text(&output.stderr));
    assert!(!text(&output.stdout).starts_with('{'));
}

#[test]
fn what_can_not_be_understood_is_one_line_with_place_and_remedy() {
    let place = Place::new();
    let prompt = ["--prompt", "x"];
    for (config, why) in [
        (
            "\ntemprature = 1\n",
            "config.toml:2: unknown key temprature; did you mean temperature?",
        ),
        (
            "[cache]\nlimt = 3\n",
            "config.toml:2: unknown key cache.limt; did you mean cache.limit?",
        ),
        (
            "threads = \"many\"\n",
            "config.toml:1: threads must be a whole number of at least 1 and at most 256, not \"many\"",
        ),
        (
            "top_p = 1.5\n",
            "config.toml:1: top_p must be above 0 and at most 1, not 1.5",
        ),
        ("profile = \"p\"\n", "config.toml: there is no profile p"),
        ("model = \n", "config.toml:1: "),
    ] {
        place.config(config);
        let said = refused(&place.run(&prompt));
        assert!(said.contains(why), "{config}: {said}");
        assert!(said.contains(place.file().to_str().unwrap()), "{said}");
    }
    place.config("");
    let output = place
        .command(&prompt)
        .env("CAIRN_SEED", "x")
        .output()
        .unwrap();
    assert!(refused(&output).contains("CAIRN_SEED: must be a whole number, not x"));
    let json = ["--output", "jsonl", "--profile", "no", "--prompt", "x"];
    let output = place.run(&json);
    let lines = text(&output.stdout);
    assert_eq!(status(&output), 2);
    assert!(
        lines
            .lines()
            .last()
            .unwrap()
            .contains("\"reason\":\"usage\""),
        "{lines}"
    );
}

#[test]
fn a_broken_file_can_be_shown_checked_and_edited() {
    let place = Place::new();
    place.config("threads = 2\nsed = 1\ntop_p = 7\n");
    let output = place.run(&["config", "check"]);
    assert_eq!(status(&output), 2);
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains(":2: unknown key sed; did you mean seed?") && said.contains(":3: top_p must")
    );
    let output = place.run(&["config", "show"]);
    assert_eq!(status(&output), 2);
    assert!(
        text(&output.stdout).contains("user, line 1"),
        "what can be read is shown"
    );
    let output = place.run(&["config", "check", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (
            object["ok"].as_bool(),
            object["problems"].as_array().unwrap().len()
        ),
        (Some(false), 2)
    );
    let output = place.run(&["config", "path"]);
    assert_eq!(status(&output), 0);
    assert!(text(&output.stdout).contains("config.toml  there\n"));

    let edit = |editor: &str| {
        let mut command = place.command(&["config", "edit"]);
        command.env("EDITOR", editor).output().unwrap()
    };
    let output = edit("sed -i -e /sed/d -e s/7/0.7/");
    assert_eq!(status(&output), 0, "{}", text(&output.stderr));
    assert_eq!(
        std::fs::read_to_string(place.file()).unwrap(),
        "threads = 2\ntop_p = 0.7\n"
    );
    assert_eq!(status(&place.run(&["config", "check"])), 0);
}

#[test]
fn an_edit_that_fails_leaves_the_file() {
    let place = Place::new();
    place.config("threads = 2\n");
    let edit = |editor: Option<&str>| {
        let mut command = place.command(&["config", "edit"]);
        let output = command
            .envs(editor.map(|editor| ("VISUAL", editor)))
            .output()
            .unwrap();
        let now = std::fs::read_to_string(place.file()).unwrap();
        let folder = std::fs::read_dir(place.file().parent().unwrap()).unwrap();
        (status(&output), text(&output.stderr), now, folder.count())
    };
    let same = "threads = 2\n".to_owned();
    let (code, said, now, files) = edit(None);
    assert_eq!((code, &now, files), (2, &same, 1), "{said}");
    assert!(said.contains("neither VISUAL nor EDITOR is set"), "{said}");
    let (code, said, now, files) = edit(Some("false"));
    assert_eq!((code, &now, files), (1, &same, 1), "{said}");
    let (code, said, now, files) = edit(Some("rm"));
    assert_eq!((code, &now, files), (1, &same, 1), "{said}");
    let (code, _, now, files) = edit(Some("true"));
    assert_eq!((code, &now, files), (0, &same, 1));
    // What was written is not lost, either.
    let (code, said, now, files) = edit(Some("sed -i s/2/no/"));
    assert_eq!((code, &now, files), (2, &same, 2), "{said}");
    assert!(said.contains("your text is in "), "{said}");
    // Somebody else was faster.
    let other = format!(
        "f() {{ echo 'seed = 1' > {}; echo 'seed = 2' > \"$1\"; }}; f",
        place.file().display()
    );
    let (code, said, now, _) = edit(Some(&other));
    assert_eq!((code, now.as_str()), (1, "seed = 1\n"), "{said}");
}

#[test]
fn editing_begins_with_every_setting() {
    let place = Place::new();
    let output = place
        .command(&["config", "edit"])
        .env("EDITOR", "cat")
        .output()
        .unwrap();
    assert_eq!(status(&output), 0);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("# temperature =\n") && shown.contains("# models.folders =\n"),
        "{shown}"
    );
    assert!(!place.file().exists(), "nothing was changed");
}

#[test]
fn a_project_says_only_what_is_harmless() {
    let place = Place::new();
    for key in [
        "model = \"/evil\"",
        "log.level = \"off\"",
        "models.folders = [\"/x\"]",
        "threads = 1",
    ] {
        place.project(&format!("{key}\n"));
        let said = refused(&place.run(&["trust", "--yes"]));
        assert!(
            said.contains(".cairn/config.toml:1: ") && said.contains("can't be set by a project"),
            "{said}"
        );
        assert_eq!(status(&place.run(&["config", "check"])), 2, "{key}");
        let output = place.run(&["config", "show"]);
        assert_eq!(status(&output), 0, "what is not trusted does not count");
    }
}

#[test]
fn rules_of_all_layers_are_shown() {
    let place = Place::new();
    place.config("[permissions]\ndeny = [\"run:git push\"]\n");
    place.project("[permissions]\ndeny = [\"run:make\"]\n");
    assert_eq!(status(&place.run(&["trust", "--yes"])), 0);
    let shown = text(&place.run(&["--deny", "run:sh", "config", "show"]).stdout);
    let rows: Vec<&str> = shown
        .lines()
        .skip_while(|line| !line.starts_with("permissions.deny"))
        .take(3)
        .collect();
    for (row, (rule, layer)) in rows.iter().zip([
        ("run:git push", "user, line 2"),
        ("run:make", "project, line 2"),
        ("run:sh", "flag"),
    ]) {
        assert!(row.contains(rule) && row.ends_with(layer), "{shown}");
    }
}

fn log(place: &Place) -> String {
    let path = place.home.path().join("state/cairn/logs/cairn.log");
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_log_says_what_happened_and_nothing_of_what_was_said() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::write(place.work.path().join("notes-of-ada.txt"), "CONFIDENTIAL\n").unwrap();
    let prompt = "read notes-of-ada.txt";
    let output = place.run(&["--log-level", "trace", "--prompt", prompt]);
    assert!(
        text(&output.stdout).contains("CONFIDENTIAL"),
        "{}",
        text(&output.stderr)
    );
    let log = log(&place);
    for part in [
        "INFO [",
        "cairn starts version=",
        "bundle loaded",
        "model call prompt=",
        "tool call tool=read_file ok=true",
        "turn ended session=",
        "cairn ends status=0",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    for secret in ["CONFIDENTIAL", "notes-of-ada"] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(
        log.lines()
            .all(|line| line.starts_with("20") && line[..30].contains("Z ")),
        "{log}"
    );
    let path = place.home.path().join("state/cairn/logs/cairn.log");
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_log_has_a_level_and_may_be_off() {
    let place = Place::new();
    place.config("log.level = \"off\"\n");
    assert_eq!(
        status(&place.run(&["--model", "/nowhere", "--prompt", "x"])),
        3
    );
    assert_eq!(log(&place), "");
    let output = place.run(&[
        "--log-level",
        "error",
        "--model",
        "/nowhere",
        "--prompt",
        "x",
    ]);
    assert_eq!(status(&output), 3);
    let log = log(&place);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains(" ERROR [") && log.contains("/nowhere: can't be opened"),
        "{log}"
    );
}

#[test]
fn a_log_that_can_not_be_written_is_one_warning() {
    let place = Place::new();
    let folder = place.home.path().join("state/cairn");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("logs"), "").unwrap();
    let output = place.run(&["--prompt", "list the files"]);
    assert_eq!(status(&output), 0);
    let said = text(&output.stderr);
    assert_eq!(said.matches("warning: the log ").count(), 1, "{said}");
}
