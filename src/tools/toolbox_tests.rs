//! What models are told, what the policy is asked, and mistakes in calls.

use super::*;
use crate::sandbox::{Mode, Rules, Strength};
use serde_json::json;

fn toolbox() -> (tempfile::TempDir, Toolbox) {
    toolbox_with(Rules::default())
}

fn toolbox_with(rules: Rules) -> (tempfile::TempDir, Toolbox) {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    let policy = Policy::new(rules);
    let toolbox = Toolbox::new(workspace, policy, Launcher::Unconfined, Limits::default());
    (folder, toolbox)
}

fn call(name: &str, arguments: Value) -> Call {
    Call {
        name: name.into(),
        arguments: arguments.as_object().unwrap().clone(),
    }
}

#[test]
fn models_are_told_what_they_were_trained_on() {
    let (_folder, toolbox) = toolbox();
    let tool = |name: &str, description: &str, parameters: &[&str]| {
        let properties: Map<String, Value> = parameters
            .iter()
            .map(|p| (p.to_string(), json!({"type": "string"})))
            .collect();
        json!({"name": name, "description": description, "parameters":
            {"type": "object", "properties": properties, "required": parameters}})
    };
    let expected = json!([
        tool("list_dir", "List the files in a directory.", &["path"]),
        tool("read_file", "Read a text file.", &["path"]),
        tool(
            "search",
            "Search for a pattern in files.",
            &["pattern", "path"]
        ),
        tool("run_command", "Run a shell command.", &["command"]),
        tool(
            "write_file",
            "Create or overwrite a file.",
            &["path", "content"]
        ),
        tool(
            "edit_file",
            "Replace text in a file.",
            &["path", "old", "new"]
        ),
    ]);
    // As text, because order matters.
    assert_eq!(
        serde_json::to_string(&toolbox.specs(Detail::Trained)[..6]).unwrap(),
        expected.to_string()
    );
}

#[test]
fn manifests_say_what_each_tool_does() {
    let (_folder, toolbox) = toolbox();
    let effects: Vec<(String, Effect)> = toolbox.effects().collect();
    use Effect::{Read, Run, Write};
    let expected = [
        ("list_dir", Read),
        ("read_file", Read),
        ("search", Read),
        ("run_command", Run),
        ("write_file", Write),
        ("edit_file", Write),
        ("git", Run),
        ("command_output", Read),
        ("stop_command", Read),
    ];
    assert_eq!(
        effects,
        expected.map(|(name, effect)| (name.into(), effect))
    );
    let mut files: Vec<String> = std::fs::read_dir("tools")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut names: Vec<String> = toolbox
        .specs(Detail::Full)
        .iter()
        .map(|spec| format!("{}.toml", spec.name))
        .collect();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn mistakes_in_a_call_are_results() {
    let (_folder, toolbox) = toolbox();
    for (call, error) in [
        (
            call("delete", json!({})),
            "error: unknown tool delete; available: list_dir, read_file, search, run_command, write_file, edit_file, git, command_output, stop_command",
        ),
        (
            call("read_file", json!({})),
            "error: read_file needs path (string)",
        ),
        (
            call("search", json!({"path": "."})),
            "error: search needs pattern (string)",
        ),
        (
            call("run_command", json!({"command": ["ls"]})),
            "error: run_command needs command (string)",
        ),
        (
            call("read_file", json!({"path": "a", "lines": 3})),
            "error: read_file takes path, end, start, not lines",
        ),
        (
            call("run_command", json!({"command": " "})),
            "error: run_command needs command (a string that is not empty)",
        ),
    ] {
        let expected = Outcome {
            ok: false,
            output: error.into(),
            truncated: false,
            refused: error.ends_with("outside the workspace"),
            change: String::new(),
        };
        assert_eq!(toolbox.run(&call, &|| false), expected);
        assert_eq!(toolbox.preview(&call), error);
        if call.name != "run_command" || !call.arguments["command"].is_string() {
            assert_eq!(toolbox.decide(&call), Decision::Allow);
        }
    }
    let long = call("x".repeat(100_000).as_str(), json!({}));
    let outcome = toolbox.run(&long, &|| false);
    assert!(outcome.truncated && outcome.output.len() < 20_000);
}

#[test]
fn the_policy_is_asked_about_the_effect() {
    let (folder, toolbox) = toolbox_with(Rules {
        write: Decision::Ask,
        run: Decision::Deny,
        ..Rules::default()
    });
    let root = folder.path().canonicalize().unwrap();
    let write = |path: &str| call("write_file", json!({"path": path, "content": "x"}));
    for (call, expected) in [
        (call("list_dir", json!({"path": "."})), Decision::Allow),
        (write("a"), Decision::Ask),
        (write(root.join("a").to_str().unwrap()), Decision::Ask),
        (
            call("run_command", json!({"command": "ls"})),
            Decision::Deny,
        ),
    ] {
        assert_eq!(toolbox.decide(&call), expected, "{call:?}");
    }
}

/// Nothing may be let through without a question and then change something.
#[test]
fn what_is_not_asked_about_cannot_write() {
    let (folder, toolbox) = toolbox();
    std::fs::create_dir_all(folder.path().join("x/y")).unwrap();
    std::os::unix::fs::symlink("x/y", folder.path().join("link")).unwrap();
    // By its text this leaves; by the link it would not.
    let sly = call(
        "write_file",
        json!({"path": "link/../../b", "content": "x"}),
    );
    assert_eq!(toolbox.decide(&sly), Decision::Allow);
    assert_eq!(
        toolbox.run(&sly, &|| false).output,
        "error: link/../../b: outside the workspace"
    );
    assert!(!folder.path().join("b").exists());
}

/// By a link, or by a folder that is to be made, as little as by the name.
#[test]
fn what_is_protected_is_not_written() {
    let (folder, toolbox) = toolbox_with(Rules {
        write: Decision::Allow,
        ..Rules::default()
    });
    std::fs::create_dir_all(folder.path().join(".git/hooks")).unwrap();
    std::fs::write(folder.path().join(".git/config"), "[core]\n").unwrap();
    std::os::unix::fs::symlink(".git/config", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(".git", folder.path().join("folder")).unwrap();
    for path in [
        ".git/config",
        ".git/hooks/pre-commit",
        "link",
        "folder/config",
        "folder/hooks/x",
        "new/.git/config",
        ".envrc",
        "deep/er/.vscode/tasks.json",
    ] {
        let call = call("write_file", json!({"path": path, "content": "x"}));
        assert_eq!(toolbox.decide(&call), Decision::Allow, "nothing to ask");
        let outcome = toolbox.run(&call, &|| false);
        let why = "protected, as other programs run what it says";
        assert_eq!(outcome.output, format!("error: {path}: {why}"));
        assert!(outcome.refused && !outcome.ok);
    }
    let config = std::fs::read_to_string(folder.path().join(".git/config")).unwrap();
    assert_eq!(config, "[core]\n");
    for made in [".git/hooks/pre-commit", "new", "deep", ".envrc"] {
        assert!(!folder.path().join(made).exists(), "{made}");
    }
    let call = call("write_file", json!({"path": "a/b/c", "content": "x"}));
    assert!(toolbox.run(&call, &|| false).ok);
}

#[test]
fn nothing_is_written_where_nothing_may() {
    let (folder, toolbox) = toolbox_with(Rules {
        write: Decision::Allow,
        mode: Mode::ReadOnly,
        ..Rules::default()
    });
    let call = call("write_file", json!({"path": "a", "content": "x"}));
    let outcome = toolbox.run(&call, &|| false);
    let expected = "error: a: nothing is written in this mode (read-only)";
    assert_eq!(outcome.output, expected);
    assert!(!folder.path().join("a").exists());
}

#[test]
fn the_preview_shows_the_effect() {
    let (folder, toolbox) = toolbox();
    std::fs::write(folder.path().join("a.txt"), "one\ntwo\nthree\n").unwrap();
    let edit = call(
        "edit_file",
        json!({"path": "a.txt", "old": "two", "new": "2\u{1b}[2K"}),
    );
    assert_eq!(
        toolbox.preview(&edit),
        "--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2␛[2K\n three"
    );
    let write = call("write_file", json!({"path": "new\n.txt", "content": "x"}));
    assert_eq!(
        toolbox.preview(&write),
        "--- /dev/null\n+++ new␊.txt\n@@ -0,0 +1 @@\n+x"
    );
    let command = call(
        "run_command",
        json!({"command": "echo hi\r; rm \u{202e}x\necho done"}),
    );
    assert_eq!(
        toolbox.preview(&command),
        "echo hi␍; rm <U+202E>x\necho done"
    );
    let look_alike = call("run_command", json!({"command": "l\u{455} ."}));
    assert_eq!(
        toolbox.preview(&look_alike),
        "l\u{455} .\n(not plain letters: \u{455} U+0455)"
    );
    std::os::unix::fs::symlink("a.txt", folder.path().join("link")).unwrap();
    let through = call("write_file", json!({"path": "link", "content": "x"}));
    assert!(toolbox.preview(&through).ends_with("\n(it leads to a.txt)"));
    let read = call("read_file", json!({"path": "a.txt"}));
    assert_eq!(toolbox.preview(&read), "read_file a.txt");
    let miss = call(
        "edit_file",
        json!({"path": "a.txt", "old": "four", "new": "4"}),
    );
    assert_eq!(toolbox.preview(&miss), "error: text not found in a.txt");
}

#[test]
fn a_long_preview_is_cut_but_a_command_never_is() {
    let (_folder, toolbox) = toolbox();
    let lines: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    let write = call("write_file", json!({"path": "a", "content": lines}));
    let preview = toolbox.preview(&write);
    assert!(preview.contains(" lines omitted ...]") && preview.lines().count() < 410);
    let command = format!("echo {}", "x".repeat(32_000));
    let run = call("run_command", json!({ "command": command }));
    assert_eq!(toolbox.preview(&run), command);
    let command = format!("echo {}", "x".repeat(33_000));
    let run = call("run_command", json!({ "command": command }));
    assert!(
        toolbox
            .preview(&run)
            .starts_with("error: the command is too long (33005 bytes")
    );
}

#[test]
fn a_small_context_gets_small_results() {
    let limits = |tokens| {
        let limits = Limits::default().for_context(tokens);
        (limits.output_bytes, limits.output_lines)
    };
    assert_eq!(limits(131_072), (16 * 1024, 400));
    assert_eq!(limits(3072), (1536, 48));
    assert_eq!(limits(0), (512, 16));
}

#[test]
fn the_banner_says_how_far_commands_reach() {
    let says = |rules| toolbox_with(rules).1.confinement();
    let network = "github.com:443,[::1]:80".parse().unwrap();
    assert_eq!(
        says(Rules {
            network,
            ..Rules::default()
        }),
        "sandbox workspace-write, network github.com:443,[::1]:80"
    );
    assert_eq!(
        says(Rules {
            strength: Strength::Degraded,
            mode: Mode::ReadOnly,
            ..Rules::default()
        }),
        "sandbox read-only, DEGRADED (no namespaces)"
    );
}
