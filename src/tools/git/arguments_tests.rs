//! What is offered and what isn't, however it is written.

use super::*;

fn places<'a>(words: &'a [&'a str]) -> Vec<&'a str> {
    read(words)
        .unwrap_or_else(|error| panic!("{words:?}: {error}"))
        .places
}

#[test]
fn ordinary_calls_are_taken_as_they_are() {
    for (words, expected) in [
        (&["status"][..], &[][..]),
        (&["status", "-sb", "-uno", "--porcelain=v2"], &[]),
        (
            &["diff", "--stat", "-U0", "HEAD~1..HEAD", "--", "a", "-b"],
            &["HEAD~1..HEAD", "a", "-b"],
        ),
        (
            &[
                "log",
                "-5",
                "-n",
                "3",
                "-12",
                "--oneline",
                "--since",
                "2 days",
                "src",
            ],
            &["src"],
        ),
        (&["log", "-S", "-x", "--format=%h %s", "-L1,2:a"], &[]),
        (
            &["show", "HEAD:src/main.rs", "--name-only"],
            &["HEAD:src/main.rs"],
        ),
        (&["add", "-A", "."], &["."]),
        (
            &["commit", "-am", "--fix\n\n- one", "--author=A <a@b>"],
            &[],
        ),
        (&["commit", "-m", "a", "-m", "b", "file"], &["file"]),
        (&["commit", "--amend", "--no-edit"], &[]),
        (&["restore", "--staged", "-s", "HEAD~1", "-"], &["-"]),
    ] {
        assert_eq!(places(words), expected, "{words:?}");
    }
}

#[test]
fn nothing_comes_before_the_sub_command() {
    for first in [
        "-c",
        "-C",
        "--git-dir=x",
        "--work-tree",
        "--exec-path=.",
        "-p",
        "--config-env=a=b",
    ] {
        let error = read(&[first, "status"]).unwrap_err();
        assert!(
            error.starts_with(&format!("git takes no {first} here")),
            "{error}"
        );
    }
    assert_eq!(
        read(&["push"]).unwrap_err(),
        "git push is not offered; there are status, diff, log, show, add, commit, restore"
    );
    assert!(read(&[]).unwrap_err().starts_with("git needs args"));
}

#[test]
fn what_writes_runs_or_asks_is_not_offered() {
    for words in [
        &["diff", "--output=x"][..],
        &["diff", "--output", "x"],
        // Abbreviated.
        &["diff", "--out=x"],
        &["log", "--outp", "x"],
        &["log", "-ox"],
        &["show", "-O", "x"],
        &["diff", "--ext-diff"],
        &["diff", "--ext"],
        &["show", "--textconv"],
        &["diff", "--no-index", "a", "b"],
        &["diff", "--submodule=diff"],
        &["log", "--show-signature"],
        &["log", "--remerge-diff"],
        &["log", "--diff-merges=remerge"],
        &["status", "-v"],
        &["status", "--ignore-submodules=none"],
        &["add", "--pathspec-from-file=x"],
        &["commit", "-F", "x"],
        &["commit", "-aF", "x"],
        &["commit", "-m", "x", "-S"],
        &["commit", "-m", "x", "--gpg-sign"],
        &["commit", "-m", "x", "--trailer", "a: b"],
        &["commit", "-C", "HEAD"],
        &["commit", "-t", "x"],
        &["restore", "--recurse-submodules", "."],
        &["restore", "-m", "."],
        &["restore", "--conflict=merge", "."],
        &["log", "--stdin"],
        &["diff", "-pO", "x"],
        &["log", "-é"],
    ] {
        let error = read(words).expect_err(&format!("{words:?}"));
        assert!(error.contains("is not given"), "{words:?}: {error}");
    }
    for words in [
        &["add", "-p"][..],
        &["add", "--interactive"],
        &["commit", "-e", "-m", "x"],
        &["restore", "-p"],
    ] {
        let error = read(words).unwrap_err();
        assert!(error.contains("nobody is there to answer"), "{error}");
    }
    assert!(read(&["commit"]).unwrap_err().contains("needs -m MESSAGE"));
    assert!(
        read(&["commit", "-a", "--", "-m"])
            .unwrap_err()
            .contains("needs -m MESSAGE")
    );
}

#[test]
fn options_are_found_where_they_are() {
    let has = |words: &[&str]| read(words).unwrap().has('a', "all");
    assert!(has(&["commit", "-am", "x"]) && has(&["commit", "--all", "-m", "x"]));
    assert!(!has(&["commit", "-mall"]) && !has(&["commit", "-m", "x", "--", "-a"]));
    let touches = |words: &[&str]| read(words).unwrap().touches_files();
    assert!(touches(&["restore", "."]) && touches(&["restore", "-SW", "."]));
    assert!(!touches(&["restore", "--staged", "."]));
}
