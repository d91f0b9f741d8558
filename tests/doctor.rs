//! `cairn doctor` from outside: what it says of a sandbox that holds, and of one in
//! which a layer is broken.

#![cfg(target_os = "linux")]

use std::process::Command;

fn doctor(arguments: &[&str], broken: Option<&str>) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .arg("doctor")
        .args(arguments)
        .env_remove("CAIRN_MODEL");
    if let Some(layer) = broken {
        command.env("CAIRN_TEST_BREAK_LAYER", layer);
    }
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

fn names(text: &str, status: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(report["v"], 1);
    let checks = report["checks"].as_array().unwrap().iter();
    let wanted = checks.filter(|check| check["status"] == status);
    wanted
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_layer_holds_here() {
    let (text, status) = doctor(&["--json"], None);
    assert_eq!(text.lines().count(), 1);
    assert_eq!((names(&text, "fail"), status), (vec![], 0), "{text}");
    let holds = names(&text, "ok");
    for layer in [
        "namespaces",
        "landlock",
        "seccomp",
        "capabilities",
        "network",
    ] {
        assert!(holds.iter().any(|name| name == layer), "{layer}: {text}");
    }
}

#[test]
fn lines_fit_a_terminal_and_need_no_colours() {
    let (text, status) = doctor(&[], None);
    assert_eq!(status, 0, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(
            !line.contains('\u{1b}') && line.trim_end() == line,
            "{line:?}"
        );
    }
    assert!(text.contains("\nok   landlock       ABI ") || text.contains("\nwarn landlock "));
    for group in ["sandbox\n", "\nmachine\n", "\nfolders\n", "\nterminal\n"] {
        assert!(text.contains(group), "{text}");
    }
}

#[test]
fn a_broken_layer_has_its_line_fail() {
    for (layer, rows) in [
        ("namespaces", vec!["namespaces"]),
        (
            "view",
            vec![
                "read-only",
                "private-tmp",
                "devices",
                "secrets",
                "protected",
            ],
        ),
        ("identity", vec!["identity"]),
        ("network", vec!["network"]),
        ("limits", vec!["limits"]),
        ("capabilities", vec!["capabilities", "no-new-privs"]),
        ("landlock", vec!["landlock"]),
        ("seccomp", vec!["seccomp"]),
        (
            "start",
            vec!["launcher", "terminal", "environment", "descriptors"],
        ),
    ] {
        let (text, status) = doctor(&["--json"], Some(layer));
        assert_eq!(names(&text, "fail"), rows, "{layer}");
        assert_eq!(status, 5, "{layer}");
    }
}

/// Whoever starts it, and wherever.
#[test]
fn it_needs_no_home_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for home in [None, Some("/proc/sys"), Some("")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command
            .args(["doctor", "--json"])
            .env("TMPDIR", folder.path());
        match home {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{home:?} {text}");
        assert!(names(&text, "warn").iter().any(|name| name == "state"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
