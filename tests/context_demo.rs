//! What fills the context and what leaves it, from outside: the real program with
//! the demo model, and with a copy of it that nobody told what it was trained on.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");

/// A workspace, and the folders of a user who has nothing yet.
struct Scene {
    root: TempDir,
}

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["work", "config/cairn"] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    fn work(&self) -> std::path::PathBuf {
        self.root.path().join("work")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A copy of the demo that is a bundle like any other.
    fn plain_bundle(&self) -> std::path::PathBuf {
        let to = self.root.path().join("bundle");
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(DEMO).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        let config = to.join("jang_config.json");
        let mut object: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        assert!(object.as_object_mut().unwrap().remove("cairn").is_some());
        std::fs::write(config, object.to_string()).unwrap();
        to
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.env_remove("CAIRN_MODEL");
        for (variable, folder) in [
            ("XDG_STATE_HOME", "state"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("HOME", "home"),
        ] {
            command.env(variable, self.root.path().join(folder));
        }
        command.arg("--workspace").arg(self.work());
        command
    }

    fn run(&self, arguments: &[&str], prompts: &[&str]) -> Output {
        let mut command = self.command();
        command.args(["--output", "jsonl"]).args(arguments);
        for prompt in prompts {
            command.args(["--prompt", prompt]);
        }
        command.stdin(Stdio::null()).output().unwrap()
    }
}

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn numbers(output: &Output, kind: &str, name: &str) -> Vec<u64> {
    let objects = objects(output);
    let of = objects.iter().filter(|object| object["type"] == kind);
    of.map(|object| object[name].as_u64().unwrap()).collect()
}

/// Words that make a message of some length.
fn filler(start: &str, words: usize) -> String {
    format!("{start}{}", " word".repeat(words))
}

#[test]
fn at_80_percent_the_demo_leaves_the_oldest_turns_out_and_says_so() {
    let scene = Scene::new();
    let long: Vec<String> = (1..=4)
        .map(|n| filler(&format!("note {n}:"), 350))
        .collect();
    let mut prompts = vec!["hello"];
    prompts.extend(long.iter().map(String::as_str));
    let output = scene.run(&["--max-tokens", "2"], &prompts);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "the answers are cut: {said}");
    let totals = numbers(&output, "context", "total");
    assert_eq!(totals, numbers(&output, "usage", "prompt"));
    let window = numbers(&output, "context", "window")[0];
    assert_eq!(totals.len(), 5, "{said}");
    assert!(
        totals[1] > totals[0] && totals[1] * 100 < window * 80,
        "{totals:?}"
    );
    assert!(
        totals.iter().all(|total| total * 100 < window * 85),
        "{totals:?}"
    );
    let left = said.lines().filter(|line| line.contains("are left out"));
    let left: Vec<&str> = left.collect();
    assert!(!left.is_empty(), "{said}");
    assert!(
        left[0].contains("the context is ") && left[0].contains("turn 1: "),
        "{said}"
    );
    let reasons = objects(&output);
    assert!(reasons.iter().all(|o| o["reason"] != "context"));
}

#[test]
fn a_message_that_nothing_makes_room_for_ends_with_4() {
    let scene = Scene::new();
    let long = filler("note:", 4000);
    let output = scene.run(&["--max-tokens", "2"], &["hello", &long, "hello"]);
    assert_eq!(output.status.code(), Some(4));
    let objects = objects(&output);
    let error = objects
        .iter()
        .filter(|o| o["type"] == "error")
        .find_map(|o| o["message"].as_str().filter(|m| m.contains("is full")))
        .unwrap();
    for owner in ["system ", "tools ", "messages 8,", "tool output 0"] {
        assert!(error.contains(owner), "{owner} in {error}");
    }
    // It leaves with the next one, so that the conversation goes on.
    let dones: Vec<&Value> = objects.iter().filter(|o| o["type"] == "done").collect();
    assert_eq!(dones[1]["reason"], "context");
    assert_eq!(dones[2]["reason"], "max_tokens", "{error}");
    let said = stderr(&output);
    assert!(said.contains("turn 2: 1 message, "), "{said}");
}

#[test]
fn a_model_without_a_persona_is_asked_for_a_summary() {
    let scene = Scene::new();
    let bundle = scene.plain_bundle();
    let long: Vec<String> = (1..=4)
        .map(|n| filler(&format!("note {n}:"), 350))
        .collect();
    let mut prompts = vec!["hello"];
    prompts.extend(long.iter().map(String::as_str));
    let bundle = bundle.to_str().unwrap();
    let arguments = ["--model", bundle, "--max-tokens", "2", "--temperature", "0"];
    let output = scene.run(&arguments, &prompts);
    let said = stderr(&output);
    let totals = numbers(&output, "context", "total");
    assert_eq!(totals, numbers(&output, "usage", "prompt"));
    let (_, asked) = said
        .split_once("the model summarises the messages of turns 1 to ")
        .unwrap_or_else(|| panic!("{said}"));
    // It was trained for nothing of the kind: what comes of it is said.
    let came = asked.contains("are summarised in ")
        || asked.contains("no summary (") && asked.contains("are left out");
    assert!(came, "{said}");
    assert!(totals.iter().all(|total| *total < 4096), "{totals:?}");
}

fn first_context(output: &Output) -> Value {
    let objects = objects(output);
    let mut context = objects.into_iter().filter(|o| o["type"] == "context");
    context
        .next()
        .unwrap_or_else(|| panic!("{}", stderr(output)))
}

#[test]
fn project_memory_goes_along_with_the_first_message() {
    let scene = Scene::new();
    let bundle = scene.plain_bundle();
    let bundle = bundle.to_str().unwrap();
    scene.write(".git/HEAD", "ref: refs/heads/main\n");
    scene.write("AGENTS.md", "Use tabs.\n");
    scene.write("work/AGENTS.md", "Write tests first.\n");
    let arguments = ["--model", bundle, "--max-tokens", "2", "--temperature", "0"];
    let output = scene.run(&arguments, &["hello"]);
    let said = stderr(&output);
    let at = |line: &str| said.find(line).unwrap_or_else(|| panic!("{line}: {said}"));
    assert!(at("project memory: ../AGENTS.md (") < at("project memory: AGENTS.md ("));
    let with = first_context(&output);

    let off = scene.run(&[&arguments[..], &["--memory", "off"]].concat(), &["hello"]);
    assert!(!stderr(&off).contains("AGENTS.md"));
    let without = first_context(&off);
    let n = |of: &Value, name: &str| of[name].as_u64().unwrap();
    assert_eq!(n(&without, "memory"), 0);
    assert!(n(&with, "memory") > 20, "{with}");
    // Tokens at the seam may be others.
    let difference = n(&with, "total") - n(&without, "total");
    assert!(
        difference.abs_diff(n(&with, "memory")) <= 4,
        "{with} {without}"
    );

    let demo = scene.run(&["--max-tokens", "2"], &["hello"]);
    assert_eq!(n(&first_context(&demo), "memory"), 0);
    let said = stderr(&demo);
    assert!(
        said.contains("../AGENTS.md, AGENTS.md is not given to this model"),
        "{said}"
    );
}

#[test]
fn files_that_a_message_names_are_attached() {
    let scene = Scene::new();
    scene.write("work/a b.txt", "one\ntwo\nthree\n");
    scene.write("work/long.txt", &"many words in a line\n".repeat(2000));
    scene.write("work/data.bin", "\0\0");
    scene.write("outside.txt", "secret\n");
    let prompt = "see @\"a b.txt\":2-9, @long.txt @src/none.rs @you @data.bin @../outside.txt @.";
    let output = scene.run(&["--max-tokens", "2"], &["hello", prompt]);
    let said = stderr(&output);
    for line in [
        "attached: a b.txt, lines 2-3 of 3 (",
        "attached: long.txt (",
        "tokens, head and tail)",
        "@src/none.rs names no file here and stays as it is",
        "@data.bin is not attached: not a text file",
        "@../outside.txt is not attached: outside the workspace",
        "@. is a folder",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("@you"), "{said}");
    let objects = objects(&output);
    let context: Vec<&Value> = objects.iter().filter(|o| o["type"] == "context").collect();
    assert_eq!(context[0]["files"], 0);
    let files = context[1]["files"].as_u64().unwrap();
    assert!(
        (400..900).contains(&files),
        "{files}: a quarter of the window"
    );
}

#[test]
fn the_repl_shows_the_context_and_the_users_own_commands() {
    let scene = Scene::new();
    scene.write(
        "config/cairn/commands/review.md",
        "---\ndescription: look at a file\n---\nReview $1\n",
    );
    scene.write("config/cairn/commands/help.md", "mine");
    scene.write(
        "script",
        "/context\n/pin\n/pin list\n/compact\n/help\n/reviews\n",
    );
    let script = std::fs::File::open(scene.root.path().join("script")).unwrap();
    let mut command = scene.command();
    let output = command.arg("repl").stdin(script).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for line in [
        "help.md: /help is a command of cairn's; give the file another name",
        "project memory          0",
        "at 80 % of the window the oldest turns are left out",
        "there is no message yet",
        "there is nothing to leave out",
        "look at a file",
        "no command /reviews; the nearest is",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let row = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        words[words.len() - 4]
            .replace(',', "")
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(row("total"), row("system") + row("tools") + row("messages"));
}
