//! The escapes that are paths, by their numbers in `tests/escape`, through every tool
//! that takes a path, and judged by what has become of the host.

#![cfg(target_os = "linux")]

mod rows;
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rows::Expected::{Denied, Harmless};
use rows::ROWS;
use scene::{Scene, call};
use serde_json::json;

#[test]
fn no_path_is_a_way_out() {
    let started = Instant::now();
    for row in ROWS {
        let scene = Scene::new();
        let before = scene.picture();
        let what = |path: &str| format!("row {}, {}: {path}", row.number, row.name);
        for path in row.paths {
            let path = scene.fill(path);
            for outcome in scene.reads(&path) {
                let listed = path == "/" || outcome.output.starts_with("error: ");
                assert!(
                    row.expected != Denied || !outcome.ok && listed,
                    "{}: {outcome:?}",
                    what(&path)
                );
            }
            for outcome in scene.writes(&path) {
                let harmless = row.expected == Harmless;
                assert!(harmless || !outcome.ok, "{}: {outcome:?}", what(&path));
                assert!(
                    outcome.ok || outcome.output.starts_with("error: "),
                    "{outcome:?}"
                );
            }
            assert_eq!(scene.picture(), before, "{}", what(&path));
            scene.git(&path);
            assert_eq!(scene.picture(), before, "{}, by git", what(&path));
        }
    }
    // None of it waited for anything.
    assert!(started.elapsed() < Duration::from_secs(400));
}

/// Row 9: a file that is a link at one moment and not at the next.
#[test]
fn a_swapped_file_is_no_way_out() {
    let scene = Scene::new();
    let before = scene.picture();
    let (flip, next) = (scene.at("ws/flip"), scene.at("ws/next"));
    fs::write(&flip, "own\n").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                symlink("../canary", &next).unwrap();
                fs::rename(&next, &flip).unwrap();
                fs::write(&next, "own\n").unwrap();
                fs::rename(&next, &flip).unwrap();
            }
        });
        // Whatever fails in here, the other thread has to end.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(3) {
                scene.run("read_file", json!({"path": "flip"}));
                scene.run("search", json!({"path": "flip", "pattern": "a-"}));
                scene.run("write_file", json!({"path": "flip", "content": "HACK"}));
                scene.run(
                    "edit_file",
                    json!({"path": "flip", "old": "own", "new": "HACK"}),
                );
                scene.run("git", json!({"args": ["add", "-f", "flip"]}));
                scene.run("git", json!({"args": ["diff", "HEAD", "--", "flip"]}));
                scene.run("git", json!({"args": ["restore", "flip"]}));
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(scene.picture(), before);
}

/// Row 13: git is not sent elsewhere by its arguments either.
#[test]
fn git_works_in_the_workspace() {
    let scene = Scene::new();
    let before = scene.picture();
    let outside = scene.at("outside").display().to_string();
    for words in [
        &["-C", &outside, "status"][..],
        &["--git-dir", &outside, "status"],
        &["--work-tree=..", "status"],
        &["status", "--git-dir=.."],
        &["diff", "--no-index", "own", "/etc/passwd"],
        &["diff", "--output=../outside/x"],
        &["diff", "--outp", "../outside/x"],
        &["init", "../outside"],
        &["config", "core.fsmonitor", "x"],
        &["worktree", "add", "../outside/w"],
    ] {
        let outcome = scene.run("git", json!({ "args": words }));
        assert!(
            outcome.output.starts_with("error: git "),
            "{words:?}: {outcome:?}"
        );
    }
    assert_eq!(scene.picture(), before);
}

/// Row 14: a workspace that was moved aside, with another in its place.
#[test]
fn another_folder_in_the_workspaces_place_is_left_alone() {
    let scene = Scene::new();
    fs::rename(scene.at("ws"), scene.at("moved")).unwrap();
    symlink("outside", scene.at("ws")).unwrap();
    let before = scene.picture();
    // The open folder is meant, wherever it is.
    assert!(
        scene
            .run("write_file", json!({"path": "new", "content": "x"}))
            .ok
    );
    assert!(scene.at("moved/new").exists());
    let outcome = scene.run("git", json!({"args": ["add", "new"]}));
    assert!(
        outcome.refused && outcome.output.starts_with("error: the sandbox refused"),
        "{outcome:?}"
    );
    assert_eq!(scene.picture(), before);
}

/// Row 18: what sets a user id does not do so with another content.
#[test]
fn a_written_file_sets_no_user_id() {
    let scene = Scene::new();
    for (tool, arguments) in [
        ("write_file", json!({"path": "own", "content": "HACK"})),
        (
            "edit_file",
            json!({"path": "own", "old": "own", "new": "HACK"}),
        ),
    ] {
        fs::write(scene.at("ws/own"), "own\n").unwrap();
        fs::set_permissions(scene.at("ws/own"), PermissionsExt::from_mode(0o6755)).unwrap();
        assert!(scene.run(tool, arguments).ok);
        let mode = fs::metadata(scene.at("ws/own")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o755, "{tool}");
    }
}

/// Rows 29 and 30: a protected name that is a link.
#[test]
fn a_protected_link_is_no_way_out() {
    for target in ["../outside", "/oldroot/made", "sub"] {
        let scene = Scene::new();
        symlink(target, scene.at("ws/.codex")).unwrap();
        let before = scene.picture();
        for outcome in scene.writes(".codex") {
            assert!(!outcome.ok, "{outcome:?}");
        }
        for words in [&["status"][..], &["add", "own"]] {
            let outcome = scene.run("git", json!({ "args": words }));
            assert!(
                outcome.refused && outcome.output.contains(".codex"),
                "{outcome:?}"
            );
        }
        assert_eq!(scene.picture(), before);
        assert!(!scene.at("ws/sub/new").exists());
    }
}

/// Row 67: a name that says something else than it is.
#[test]
fn names_are_shown_as_they_are() {
    let scene = Scene::new();
    let name = "a\u{1b}[2J\nb\u{202e}c";
    fs::write(scene.at("ws").join(name), "own\n").unwrap();
    let listed = scene.run("list_dir", json!({"path": "."})).output;
    assert!(listed.contains("a␛[2J␊b<U+202E>c"), "{listed}");
    for (tool, arguments) in [
        ("write_file", json!({"path": name, "content": "x"})),
        ("edit_file", json!({"path": name, "old": "own", "new": "x"})),
        ("git", json!({"args": ["add", name]})),
        ("git", json!({"args": ["commit", "-m", name]})),
        ("git", json!({"args": ["restore", name]})),
    ] {
        let preview = scene.toolbox.preview(&call(tool, arguments));
        let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!preview.contains(hidden), "{tool}: {preview:?}");
        assert!(
            preview.contains('␛') && preview.contains("<U+202E>"),
            "{tool}: {preview:?}"
        );
    }
}
