//! The git tool in repositories that are as they should be, and in some that are not.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cairn::sandbox::launch::{self, CommandLimits, End, Finished, Job, Launcher};
use cairn::sandbox::text::Limit;
use cairn::sandbox::{Decision, Mode, Policy, Repository, Rules, Workspace};
use cairn::tools::{Call, Effect, Limits, Outcome, Toolbox};
use serde_json::json;

struct Bench {
    folder: tempfile::TempDir,
    /// Of the workspace, beneath the folder.
    at: PathBuf,
    toolbox: Toolbox,
}

/// As a person uses it, with nothing of this machine's own settings.
fn host_git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Host", "-c", "user.email=host@example.org"])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

fn confined() -> Launcher {
    Launcher::by(env!("CARGO_BIN_EXE_cairn"))
}

impl Bench {
    /// A repository with one commit.
    fn new() -> Bench {
        Bench::with(confined(), Rules::default(), "")
    }

    fn with(launcher: Launcher, rules: Rules, below: &str) -> Bench {
        // A command's `/tmp` is its own: what is around the workspace is not in it.
        let folder = match below {
            "" => tempfile::tempdir().unwrap(),
            _ => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        };
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        host_git(folder.path(), &["init", "-q", "-b", "main"]);
        fs::write(folder.path().join("a.txt"), "one\n").unwrap();
        host_git(folder.path(), &["add", "."]);
        host_git(folder.path(), &["commit", "-qm", "first"]);
        let at = folder.path().join(below);
        fs::create_dir_all(&at).unwrap();
        Bench {
            toolbox: toolbox(&at, launcher, rules),
            at,
            folder,
        }
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    fn git(&self, words: &[&str]) -> Outcome {
        self.toolbox.run(&call(words), &|| false)
    }

    fn ok(&self, words: &[&str]) -> String {
        let outcome = self.git(words);
        assert!(outcome.ok, "{words:?}: {outcome:?}");
        let text = outcome.output.strip_suffix("[exit 0]").unwrap();
        text.trim_end().to_owned()
    }

    fn error(&self, words: &[&str]) -> String {
        let outcome = self.git(words);
        assert!(!outcome.ok, "{words:?}: {outcome:?}");
        outcome.output
    }

    fn host(&self, arguments: &[&str]) -> String {
        host_git(&self.at, arguments).trim_end().to_owned()
    }
}

fn toolbox(at: &Path, launcher: Launcher, rules: Rules) -> Toolbox {
    let workspace = Workspace::open(at).unwrap();
    Toolbox::new(workspace, Policy::new(rules), launcher, Limits::default())
}

fn call(words: &[&str]) -> Call {
    Call {
        name: "git".into(),
        arguments: json!({ "args": words }).as_object().unwrap().clone(),
    }
}

#[test]
fn reading_needs_no_question_and_changes_nothing() {
    let bench = Bench::new();
    bench.put("a.txt", "two\n");
    bench.put("new.txt", "new\n");
    let index = fs::metadata(bench.at.join(".git/index")).unwrap();
    assert_eq!(bench.ok(&["status", "--short"]), " M a.txt\n?? new.txt");
    assert!(bench.ok(&["diff"]).ends_with("-one\n+two"));
    assert_eq!(bench.ok(&["log", "--format=%s by %an"]), "first by Host");
    assert!(bench.ok(&["show", "--stat"]).contains("a.txt | 1 +"));
    assert_eq!(bench.ok(&["show", "HEAD:a.txt"]), "one");
    for words in [&["status"][..], &["diff"], &["log"], &["show"]] {
        assert_eq!(bench.toolbox.decide(&call(words)), Decision::Allow);
        assert_eq!(bench.toolbox.effect(&call(words)), Effect::Read);
    }
    let after = fs::metadata(bench.at.join(".git/index")).unwrap();
    assert_eq!(
        (index.ino(), index.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    let outcome = bench.git(&["log", "no-such-branch"]);
    assert!(outcome.output.contains("unknown revision") && outcome.output.ends_with("[exit 128]"));
}

#[test]
fn changes_are_asked_about_and_made() {
    let bench = Bench::new();
    bench.put("a.txt", "two\n");
    bench.put("sub/new file", "new\n");
    let add = &["add", "-A", "sub/new file", "a.txt"];
    let commit = &["commit", "-m", "It's two\n\n\u{202e}more"];
    assert_eq!(
        bench.toolbox.preview(&call(add)),
        "git add -A 'sub/new file' a.txt\n(undo does not cover what git keeps in .git)\n M a.txt\n?? \"sub/new file\""
    );
    assert_eq!(bench.toolbox.decide(&call(add)), Decision::Ask);
    assert_eq!(bench.ok(add), "");
    assert_eq!(
        bench.host(&["diff", "--cached", "--name-only"]),
        "a.txt\nsub/new file"
    );
    let preview = bench.toolbox.preview(&call(commit));
    let (asked, what) = preview.split_once("\n a.txt").unwrap();
    assert_eq!(
        asked,
        "git commit -m 'It'\\''s two\n\n<U+202E>more'\n(undo does not cover what git keeps in .git)"
    );
    assert!(what.contains("2 files changed"), "{what}");
    assert_eq!(bench.toolbox.decide(&call(commit)), Decision::Ask);
    host_git(&bench.at, &["config", "user.name", "Local"]);
    host_git(&bench.at, &["config", "user.email", "local@example.org"]);
    assert!(bench.ok(commit).contains("2 files changed"));
    assert_eq!(
        bench.host(&["log", "-1", "--format=%an <%ae> %s"]),
        "Local <local@example.org> It's two"
    );
    bench.put("a.txt", "three\n");
    let restore = &["restore", "a.txt"];
    assert_eq!(
        bench.toolbox.preview(&call(restore)),
        "git restore a.txt\n(files get other contents)\n(undo does not cover what git keeps in .git)"
    );
    assert_eq!(bench.toolbox.decide(&call(restore)), Decision::Ask);
    bench.ok(restore);
    assert_eq!(bench.text("a.txt"), "two\n");
    // All that was made is the owner's.
    let owner = fs::metadata(&bench.at).unwrap().uid();
    for path in [".git/index", ".git/COMMIT_EDITMSG", "a.txt"] {
        assert_eq!(
            fs::metadata(bench.at.join(path)).unwrap().uid(),
            owner,
            "{path}"
        );
    }
    assert_eq!(bench.host(&["fsck"]), "");
    assert_eq!(bench.host(&["status", "--short"]), "");
}

/// What a repository's settings would have git run, each appending to a file.
fn arm(bench: &Bench) {
    let script = bench.at.join("evil.sh");
    let ran = bench.at.join("ran");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\necho \"$@\" >> {}\ncat 2>/dev/null\n",
            ran.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let evil = script.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.e.v=i l.clean",
        "filter.e.v=i l.process",
        "merge.evil.driver",
        "gpg.program",
        "gpg.ssh.program",
        "pager.log",
        "pager.status",
        "trailer.x.command",
        "sequence.editor",
        "credential.helper",
    ] {
        host_git(&bench.at, &["config", key, evil]);
    }
    for (key, value) in [
        ("alias.status", format!("!{evil}")),
        ("commit.gpgSign", "true".into()),
        ("log.showSignature", "true".into()),
        (
            "core.hooksPath",
            bench.at.join("hooks").display().to_string(),
        ),
        ("remote.origin.url", format!("ext::{evil}")),
        ("remote.origin.promisor", "true".into()),
        ("protocol.ext.allow", "always".into()),
        ("color.ui", "always".into()),
    ] {
        host_git(
            &bench.at,
            &["-c", "core.fsmonitor=false", "config", key, &value],
        );
    }
    for hook in [
        "pre-commit",
        "post-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-index-change",
        "post-checkout",
        "reference-transaction",
    ] {
        for folder in ["hooks", ".git/hooks"] {
            fs::create_dir_all(bench.at.join(folder)).unwrap();
            fs::copy(&script, bench.at.join(folder).join(hook)).unwrap();
        }
    }
    bench.put(
        ".gitattributes",
        "*.txt diff=evil filter=evil merge=evil\n*.odd filter=\"e.v=i l\"\n*.od2 filter=e.v=i\n",
    );
    bench.put("b.odd", "odd\n");
}

/// Without a sandbox, so that it is not the sandbox that keeps it from happening.
#[test]
fn nothing_that_a_repository_names_is_run() {
    let bench = Bench::with(Launcher::Unconfined, Rules::default(), "");
    // A commit that says that it is signed.
    let commit = bench.host(&["cat-file", "commit", "HEAD"]);
    let (head, message) = commit.split_once("\n\n").unwrap();
    let signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----";
    bench.put("signed", &format!("{head}\n{signature}\n\n{message}\n"));
    let signed = bench.host(&["hash-object", "-t", "commit", "-w", "signed"]);
    bench.host(&["update-ref", "HEAD", &signed]);
    host_git(&bench.at, &["config", "user.name", "Local"]);
    host_git(&bench.at, &["config", "user.email", "local@example.org"]);
    arm(&bench);
    let ran = bench.at.join("ran");
    let _ = fs::remove_file(&ran);
    bench.put("a.txt", "two, longer\n");
    for words in [
        &["status"][..],
        &["diff"],
        &["diff", "HEAD"],
        &["log", "-p", "--format=%G? %GS %h"],
        &["show", "HEAD"],
        &["add", "-A", "."],
        &["diff", "--cached"],
        &["commit", "-m", "second"],
        &["log", "-p"],
        &["show"],
        &["restore", "-s", "HEAD~1", "a.txt"],
        &["restore", "b.odd"],
        &["status", "--porcelain"],
    ] {
        if words[0] == "restore" {
            let _ = fs::remove_file(bench.at.join("b.odd"));
        }
        let output = bench.ok(words);
        assert!(!output.contains('\u{1b}'), "{output}");
        let said = fs::read_to_string(&ran).unwrap_or_default();
        assert!(said.is_empty(), "{words:?} ran something: {said}");
    }
    assert_eq!(bench.text("b.odd"), "odd\n");
    assert_eq!(bench.text("a.txt"), "one\n");
    // Had it not been kept from it, git would have run them.
    bench.put("a.txt", "three\n");
    let _ = Command::new("git")
        .args(["add", "."])
        .current_dir(&bench.at)
        .output();
    let _ = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "diff", "HEAD"])
        .current_dir(&bench.at)
        .output();
    assert!(ran.exists());
}

/// A driver that must not be left out is an error when something is stored, and none
/// when something is looked at.
#[test]
fn a_filter_that_is_required_is_missed() {
    let bench = Bench::new();
    for (key, value) in [("filter.lfs.clean", "cat"), ("filter.lfs.required", "true")] {
        host_git(&bench.at, &["config", key, value]);
    }
    bench.put(".gitattributes", "*.bin filter=lfs\n");
    bench.put("a.bin", "large\n");
    assert!(bench.ok(&["status", "--short"]).contains("a.bin"));
    let error = bench.error(&["add", "a.bin"]);
    assert!(error.contains("clean filter 'lfs' failed"), "{error}");
}

#[test]
fn paths_stay_in_the_workspace() {
    let bench = Bench::with(confined(), Rules::default(), "sub");
    bench.put("secret", "SECRET\n");
    for words in [
        &["diff", "/dev/null", "/etc/passwd"][..],
        &["diff", "--", "../secret", "x"],
        &["log", "--", "a/../../secret"],
        &["add", "/etc/passwd"],
    ] {
        let error = bench.error(words);
        assert!(error.contains("outside the workspace"), "{error}");
    }
    // Without a repository `git diff` would compare any files.
    let folder = tempfile::tempdir().unwrap();
    symlink("/etc", folder.path().join("link")).unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let toolbox = toolbox(folder.path(), confined(), Rules::default());
    let outcome = toolbox.run(&call(&["diff", "empty", "link/passwd"]), &|| false);
    assert_eq!(
        outcome.output,
        "error: git diff: this is not a git repository"
    );
}

#[test]
fn a_repository_elsewhere_is_only_read() {
    let inner = Bench::with(confined(), Rules::default(), "sub");
    inner.put("sub/x", "x\n");
    assert_eq!(inner.ok(&["status", "--short"]), "?? ./");
    let error = inner.error(&["add", "x"]);
    assert!(
        error.contains("a repository around it can only be read"),
        "{error}"
    );
    assert_eq!(
        inner.toolbox.decide(&call(&["add", "x"])),
        Decision::Allow,
        "nothing to ask"
    );

    let outer = Bench::with(confined(), Rules::default(), "x");
    let tree = outer.at.join("tree");
    outer.host(&[
        "worktree",
        "add",
        "-q",
        tree.to_str().unwrap(),
        "-b",
        "other",
    ]);
    let elsewhere = toolbox(&tree, confined(), Rules::default());
    let run = |words: &[&str]| elsewhere.run(&call(words), &|| false);
    assert_eq!(run(&["log", "--format=%s"]).output, "first\n[exit 0]");
    let refused = run(&["commit", "-m", "x"]);
    assert!(
        refused.refused && refused.output.contains("lies elsewhere"),
        "{refused:?}"
    );

    let linked = tempfile::tempdir().unwrap();
    symlink(outer.folder.path().join(".git"), linked.path().join(".git")).unwrap();
    let linked = toolbox(linked.path(), confined(), Rules::default());
    let refused = linked.run(&call(&["status"]), &|| false);
    assert_eq!(
        refused.output,
        "error: .git is a symbolic link; git is not run here"
    );
}

#[test]
fn nothing_is_changed_where_nothing_may() {
    let rules = Rules {
        mode: Mode::ReadOnly,
        run: Decision::Allow,
        ..Rules::default()
    };
    let bench = Bench::with(confined(), rules, "");
    bench.put("new", "");
    assert_eq!(bench.ok(&["status", "--short"]), "?? new");
    assert_eq!(
        bench.error(&["add", "new"]),
        "error: git add: nothing is written in this mode (read-only)"
    );
}

/// The layer beneath: a command that may write the repository may not write what makes
/// git run something, nor take the repository elsewhere.
#[test]
fn an_open_repository_keeps_what_it_runs() {
    let bench = Bench::new();
    let at = |path: &str| bench.at.join(path);
    bench.put(".git/info/attributes", "safe");
    bench.put(".git/objects/info/alternates", "");
    bench.put(".git/modules/m/config", "safe");
    bench.put("sub/.git/config", "safe");
    let workspace = Workspace::open(&bench.at).unwrap();
    let policy = Policy::new(Rules::default());
    let run = |script: &str| -> Finished {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let launcher = confined();
        let job = Job {
            repository: Repository::Open,
            ..Job::new(&launcher, &policy, &workspace, &argv)
        };
        let limits = CommandLimits {
            time: Duration::from_secs(20),
            output: Limit {
                bytes: 4096,
                lines: 100,
            },
            flood: 1 << 20,
            memory: None,
        };
        launch::run(job, &limits, &|| false, &mut |_| {}).unwrap()
    };
    let before = fs::read_to_string(at(".git/config")).unwrap();
    for script in [
        "echo bad >> .git/config",
        "rm .git/config",
        "echo x > x && mv x .git/config",
        "echo bad > .git/hooks/pre-commit",
        "rm -r .git/hooks",
        "mv .git/hooks .git/other",
        "echo bad > .git/info/attributes",
        "echo bad > .git/objects/info/alternates",
        "echo bad > .git/modules/m/config",
        "mkdir -p .git/modules/n",
        "mv .git elsewhere",
        "rm -rf .git/config .git/hooks",
        "echo bad > sub/.git/config",
        "mv sub/.git x",
    ] {
        let finished = run(script);
        assert_ne!(finished.end, End::Exit(0), "{script}");
    }
    assert_eq!(fs::read_to_string(at(".git/config")).unwrap(), before);
    for path in [
        ".git/info/attributes",
        ".git/modules/m/config",
        "sub/.git/config",
    ] {
        assert_eq!(bench.text(path), "safe", "{path}");
    }
    assert!(!at(".git/hooks/pre-commit").exists() && !at("elsewhere").exists());
    let finished =
        run("echo ok > .git/description && echo ../evil > .git/commondir; mkdir .git/worktrees");
    assert_eq!(finished.end, End::Exit(0));
    assert_eq!(bench.text(".git/description"), "ok\n");
    let names: Vec<String> = finished
        .quarantined
        .iter()
        .map(|(from, _)| from.display().to_string())
        .collect();
    assert_eq!(names, [".git/commondir", ".git/worktrees"]);
    assert!(!at(".git/commondir").exists() && at(".git/quarantined-1-commondir").exists());
    // A folder around it that was swapped takes nothing with it.
    let finished = run(
        "mv .git/objects .git/o && mkdir -p .git/objects/info && echo /evil > .git/objects/info/alternates",
    );
    assert!(finished.end != End::Exit(0) || !finished.quarantined.is_empty());
    assert!(
        !at(".git/objects/info/alternates").exists()
            || bench.text(".git/objects/info/alternates") != "/evil\n"
    );
}

/// A git that is killed leaves its lock, which would stop the next one.
#[test]
fn what_is_interrupted_locks_nothing() {
    let bench = Bench::new();
    let lock = bench.at.join(".git/index.lock");
    let large = fs::File::create(bench.at.join("large")).unwrap();
    large.set_len(1 << 29).unwrap();
    let add = call(&["add", "large"]);
    let outcome = bench.toolbox.run(&add, &|| lock.exists());
    assert_eq!(outcome.output, "[interrupted]");
    assert!(!lock.exists());
    bench.put("a.txt", "two\n");
    bench.ok(&["add", "a.txt"]);
    // Somebody else's stays.
    fs::write(&lock, "").unwrap();
    assert!(bench.error(&["add", "a.txt"]).contains("index.lock"));
    assert!(lock.exists());
}

/// Run by the next test, with another home.
#[test]
#[ignore = "needs a home of its own"]
fn commit_without_a_local_identity() {
    let bench = Bench::new();
    bench.put("a.txt", "two\n");
    bench.ok(&["commit", "-am", "second"]);
    assert_eq!(
        bench.host(&["log", "-1", "--format=%an <%ae>"]),
        "Ada <ada@example.org>"
    );
}

/// The user's own name works though the command does not see the user's home.
#[test]
fn commits_are_the_users() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(
        home.path().join(".gitconfig"),
        "[user]\nname = Ada\nemail = ada@example.org\n",
    )
    .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "commit_without_a_local_identity"])
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
