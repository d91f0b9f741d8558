//! The manual page and the completions, from outside.

use std::process::Output;

use assert_cmd::Command;

fn cairn(arguments: &[&str]) -> Output {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn completions_are_scripts_that_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = cairn(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        for word in [
            "models",
            "selftest-kernels",
            "sandbox-degraded",
            "completions",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = cairn(&["completions", "bash"]);
    let mut bash = Command::new("bash");
    let checked = bash.arg("-n").write_stdin(output.stdout).output();
    // A machine without bash has nothing to check with.
    if let Ok(checked) = checked {
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
    let output = cairn(&["completions", "basic"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn the_manual_has_its_sections_in_order() {
    let output = cairn(&["man"]);
    assert_eq!(output.status.code(), Some(0));
    let page = text(&output.stdout);
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".SH "))
        .map(|name| name.trim_matches('"'))
        .collect();
    assert_eq!(
        sections,
        [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "COMMANDS",
            "SLASH COMMANDS",
            "KEYS",
            "SETTINGS",
            "EXIT STATUS",
            "FILES",
            "ENVIRONMENT"
        ]
    );
}

#[test]
fn a_folder_gets_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let output = cairn(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in [
        "cairn.1",
        "cairn-bench.1",
        "cairn-config-edit.1",
        "cairn-debug-logits.1",
    ] {
        assert!(names.iter().any(|name| name == page), "{page}: {names:?}");
    }
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("cairn") && name.ends_with(".1")),
        "{names:?}"
    );
    let bench = std::fs::read_to_string(dir.join("cairn-bench.1")).unwrap();
    assert!(
        bench.contains(".TH cairn-bench 1") && bench.contains("repeats"),
        "{bench}"
    );

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = cairn(&["man", "--dir", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}
