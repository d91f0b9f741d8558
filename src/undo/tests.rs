//! Turns made by hand, beside the store's own count of what it reads.

mod branch;
mod store;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::sandbox::Workspace;

struct Yard {
    folder: tempfile::TempDir,
    workspace: Workspace,
    history: History,
}

fn small() -> Limits {
    Limits {
        file_bytes: 1000,
        ..Limits::default()
    }
}

impl Yard {
    fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ws")).unwrap();
        let workspace = Workspace::open(&folder.path().join("ws")).unwrap();
        let history = History::open(&folder.path().join("state"), &workspace, limits).unwrap();
        Self {
            folder,
            workspace,
            history,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("ws").join(path)
    }

    fn file(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    fn reopen(&mut self) {
        let state = self.folder.path().join("state");
        self.history = History::open(&state, &self.workspace, self.history.limits).unwrap();
    }

    fn begin(&mut self, touches: &Touches) {
        self.history.begin(&self.workspace, "do it");
        self.history
            .before(&self.workspace, touches, None, &|| false)
            .unwrap();
    }

    /// A turn of one command.
    fn turn(&mut self, act: impl FnOnce(&Self)) {
        self.begin(&Touches::Workspace);
        act(self);
        self.history.after(&self.workspace);
        assert_eq!(self.history.end(&self.workspace), None);
    }

    fn undo(&mut self, force: Force) -> Answer {
        self.history.undo(&self.workspace, force).unwrap()
    }

    fn redo(&mut self, force: Force) -> Answer {
        self.history.redo(&self.workspace, force).unwrap()
    }
}

fn done(answer: Answer) -> Report {
    match answer {
        Answer::Done(report) => report,
        other => panic!("{other:?}"),
    }
}

fn conflicts(answer: Answer) -> Vec<(String, Conflict)> {
    match answer {
        Answer::Conflicts(report) => report
            .conflicts
            .into_iter()
            .map(|(path, conflict)| (path.display().to_string(), conflict))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// Long enough that no later change of a file has the same time.
fn settle() {
    std::thread::sleep(Duration::from_millis(250));
}

#[test]
fn a_second_checkpoint_reads_only_what_changed() {
    let mut yard = Yard::new(Limits::default());
    for n in 0..20 {
        yard.file(&format!("d{}/f{n}", n % 3), &format!("text {n}"));
    }
    settle();
    yard.turn(|_| {});
    assert_eq!(yard.history.store.reads, 20);
    yard.turn(|yard| yard.file("d1/f1", "text 9"));
    // The one that changed, after the command.
    assert_eq!(yard.history.store.reads, 21);
    settle();
    // It was read too soon after its change to be sure of it.
    yard.turn(|_| {});
    assert_eq!(yard.history.store.reads, 22);
    yard.turn(|_| {});
    yard.reopen();
    yard.turn(|_| {});
    assert_eq!(yard.history.store.reads, 0);
    done(yard.undo(Force::No));
    assert_eq!(yard.read("d1/f1").unwrap(), "text 1");
}

#[test]
fn a_change_of_the_same_size_at_once_is_seen() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.turn(|yard| yard.file("a", "two"));
    yard.turn(|yard| yard.file("a", "six"));
    for expected in ["two", "one"] {
        done(yard.undo(Force::No));
        assert_eq!(yard.read("a").unwrap(), expected);
    }
    assert_eq!(yard.undo(Force::No), Answer::Nothing);
    for expected in ["two", "six"] {
        done(yard.redo(Force::No));
        assert_eq!(yard.read("a").unwrap(), expected);
    }
    assert_eq!(yard.redo(Force::No), Answer::Nothing);
}

#[test]
fn copies_are_no_links_and_nobody_elses_to_read() {
    use std::os::unix::fs::MetadataExt;
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "secret");
    fs::write(yard.at("big"), vec![7; 3 << 20]).unwrap();
    yard.turn(|_| {});
    for path in ["a", "big"] {
        assert_eq!(fs::metadata(yard.at(path)).unwrap().nlink(), 1);
    }
    let mut folders = vec![yard.folder.path().join("state/undo")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            if found.is_dir() {
                assert_eq!(found.mode() & 0o777, 0o700, "{entry:?}");
                folders.push(entry.path());
            } else {
                assert_eq!(found.mode() & 0o777, 0o600, "{entry:?}");
                files += 1;
            }
        }
    }
    assert!(files >= 4, "{files}");
}

#[test]
fn a_file_tool_keeps_its_path_and_the_folders_it_makes() {
    let mut yard = Yard::new(Limits::default());
    yard.file("other", "x");
    yard.begin(&Touches::Path("a/b/c".into()));
    yard.file("a/b/c", "new");
    yard.history.after(&yard.workspace);
    yard.history.end(&yard.workspace);
    assert_eq!(yard.history.store.reads, 1, "the new file");
    let report = done(yard.undo(Force::No));
    assert_eq!(report.label, "do it");
    assert_eq!(
        report.lines(),
        ["  removed a", "  removed a/b", "  removed a/b/c"]
    );
    assert!(!yard.at("a").exists() && yard.at("other").exists());
    done(yard.redo(Force::No));
    assert_eq!(yard.read("a/b/c").unwrap(), "new");
}

#[test]
fn edits_in_between_are_a_conflict_and_never_lost() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.file("b", "one");
    yard.turn(|yard| {
        yard.file("a", "two");
        yard.file("b", "two");
        yard.file("new/c", "two");
    });
    yard.file("a", "the user's");
    yard.file("new/mine", "the user's");
    let got = conflicts(yard.undo(Force::No));
    assert_eq!(got, [("a".to_owned(), Conflict::Changed)]);
    assert_eq!(yard.read("a").unwrap(), "the user's");
    assert_eq!(yard.read("b").unwrap(), "two");

    let report = done(yard.undo(Force::Yes));
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert_eq!(yard.read("a").unwrap(), "one");
    assert_eq!(yard.read("b").unwrap(), "one");
    assert_eq!(yard.read("new/mine").unwrap(), "the user's");
    assert!(!yard.at("new/c").exists());

    done(yard.redo(Force::No));
    assert_eq!(yard.read("a").unwrap(), "the user's");
    assert_eq!(yard.read("b").unwrap(), "two");
    assert_eq!(yard.read("new/c").unwrap(), "two");
}

#[test]
fn an_edit_between_two_calls_is_what_undo_comes_back_to() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.file("b", "one");
    yard.begin(&Touches::Workspace);
    yard.file("a", "two");
    yard.history.after(&yard.workspace);
    yard.file("a", "the user's");
    yard.file("b", "the user's");
    yard.history
        .before(&yard.workspace, &Touches::Path("a".into()), None, &|| false)
        .unwrap();
    yard.file("a", "three");
    yard.history.after(&yard.workspace);
    yard.history.end(&yard.workspace);
    done(yard.undo(Force::No));
    assert_eq!(yard.read("a").unwrap(), "the user's");
    assert_eq!(yard.read("b").unwrap(), "the user's");
}

#[test]
fn a_new_turn_drops_what_could_be_redone_and_one_without_changes_does_not() {
    let mut yard = Yard::new(Limits::default());
    yard.turn(|yard| yard.file("a", "1"));
    yard.turn(|yard| yard.file("b", "1"));
    done(yard.undo(Force::No));
    yard.turn(|_| {});
    done(yard.redo(Force::No));
    done(yard.undo(Force::No));
    yard.turn(|yard| yard.file("c", "1"));
    assert_eq!(yard.redo(Force::No), Answer::Nothing);
    done(yard.undo(Force::No));
    done(yard.undo(Force::No));
    assert_eq!(fs::read_dir(yard.at("")).unwrap().count(), 0);
}

#[test]
fn a_turn_that_was_cut_off_can_be_undone_after_a_question() {
    for touches in [Touches::Workspace, Touches::Path("a".into())] {
        let mut yard = Yard::new(Limits::default());
        yard.file("a", "one");
        yard.begin(&touches);
        yard.file("a", "two");
        // As after a crash: nothing is told any more.
        yard.reopen();
        let got = conflicts(yard.undo(Force::No));
        assert_eq!(got, [("a".to_owned(), Conflict::Unknown)]);
        done(yard.undo(Force::Yes));
        assert_eq!(yard.read("a").unwrap(), "one");
        done(yard.redo(Force::No));
        assert_eq!(yard.read("a").unwrap(), "two");
    }
}

#[test]
fn links_modes_and_changes_of_type_come_back() {
    let mut yard = Yard::new(Limits::default());
    yard.file("file", "f");
    yard.file("folder/x", "x");
    yard.file("folder/deep/y", "y");
    symlink("file", yard.at("link")).unwrap();
    fs::create_dir(yard.at("empty")).unwrap();
    fs::set_permissions(yard.at("file"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::set_permissions(yard.at("empty"), PermissionsExt::from_mode(0o1500)).unwrap();
    let picture = |yard: &Yard| picture(&yard.at(""));
    let before = picture(&yard);
    yard.turn(|yard| {
        fs::remove_file(yard.at("file")).unwrap();
        fs::create_dir_all(yard.at("file/in")).unwrap();
        fs::remove_dir_all(yard.at("folder")).unwrap();
        symlink("/etc", yard.at("folder")).unwrap();
        fs::remove_file(yard.at("link")).unwrap();
        yard.file("link", "no link");
        fs::set_permissions(yard.at("empty"), PermissionsExt::from_mode(0o700)).unwrap();
        yard.file("empty/no", "more");
        fs::set_permissions(yard.at(""), PermissionsExt::from_mode(0o711)).unwrap();
    });
    let after = picture(&yard);
    done(yard.undo(Force::No));
    assert_eq!(picture(&yard), before);
    done(yard.redo(Force::No));
    assert_eq!(picture(&yard), after);
}

/// Everything below a folder.
fn picture(root: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    let mut rest = vec![root.to_owned()];
    while let Some(path) = rest.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let content = if found.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_vec()
        } else if found.is_dir() {
            rest.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        all.push((path, found.mode(), content));
    }
    all.sort();
    all
}

#[test]
fn a_link_put_in_the_way_leads_nowhere() {
    let mut yard = Yard::new(Limits::default());
    yard.file("sub/a", "one");
    yard.file(".git/hooks/a", "safe");
    yard.turn(|yard| yard.file("sub/a", "two"));
    for target in [".git/hooks", "../outside"] {
        let _ = fs::remove_dir_all(yard.at("sub"));
        let _ = fs::remove_file(yard.at("sub"));
        symlink(target, yard.at("sub")).unwrap();
        assert_eq!(conflicts(yard.undo(Force::No)).len(), 1);
    }
    fs::create_dir(yard.at("../outside")).unwrap();
    let report = done(yard.undo(Force::Yes));
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert_eq!(yard.read(".git/hooks/a").unwrap(), "safe");
    assert_eq!(fs::read_dir(yard.at("../outside")).unwrap().count(), 0);
}

#[test]
fn what_is_not_covered_is_named_and_left() {
    let mut yard = Yard::new(small());
    yard.file("big", &"x".repeat(2000));
    yard.file("small", "x");
    let all = Touches::Workspace;
    let lines = yard.history.uncovered(&yard.workspace, &all);
    assert_eq!(lines, ["undo will not cover: big (2 kB)"]);
    let one = Touches::Path("big".into());
    assert_eq!(yard.history.uncovered(&yard.workspace, &one), lines);
    let one = Touches::Path("small".into());
    assert!(yard.history.uncovered(&yard.workspace, &one).is_empty());
    yard.turn(|yard| {
        fs::remove_file(yard.at("big")).unwrap();
        yard.file("small", &"y".repeat(3000));
        yard.file("large", &"z".repeat(4000));
    });
    // What the turn wrote could not be kept: that is asked about.
    let got = conflicts(yard.undo(Force::No));
    let lost = |path: &str, size| {
        let why = Conflict::Lost(format!("{path} ({size})"));
        (path.to_owned(), why)
    };
    assert_eq!(got, [lost("large", "4 kB"), lost("small", "3 kB")]);
    let report = done(yard.undo(Force::Yes));
    assert_eq!(report.left, [("big".into(), "big (2 kB)".to_owned())]);
    assert_eq!(yard.read("small").unwrap(), "x");
    assert!(!yard.at("large").exists());
}

#[test]
fn many_files_come_back() {
    let mut yard = Yard::new(Limits::default());
    for n in 0..100 {
        yard.file(&format!("d/{n}"), &n.to_string());
    }
    let before = picture(&yard.at(""));
    yard.turn(|yard| fs::remove_dir_all(yard.at("d")).unwrap());
    let report = done(yard.undo(Force::No));
    assert_eq!(picture(&yard.at("")), before);
    assert_eq!(report.done.len(), 101);
    assert_eq!(report.lines().last().unwrap(), "  and 81 more");
}

#[test]
fn a_pipe_makes_way_for_the_file_that_was_there() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a/x", "x");
    yard.turn(|yard| {
        fs::remove_dir_all(yard.at("a")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(yard.at("a"))
            .status();
        assert!(made.unwrap().success());
    });
    let got = conflicts(yard.undo(Force::No));
    let why = Conflict::Lost("a (not a regular file)".into());
    assert_eq!(got, [("a".to_owned(), why)]);
    done(yard.undo(Force::Yes));
    assert_eq!(yard.read("a/x").unwrap(), "x");
}

#[test]
fn too_many_files_and_too_many_bytes_are_not_covered() {
    let mut yard = Yard::new(Limits {
        entries: 12,
        total_bytes: 1500,
        ..small()
    });
    for n in 0..20 {
        yard.file(&format!("many/{n}"), "x");
    }
    yard.file("a", &"a".repeat(900));
    yard.file("b", &"b".repeat(900));
    let lines = yard.history.uncovered(&yard.workspace, &Touches::Workspace);
    let expected = "undo will not cover: b (900 bytes, beyond what is kept in all), \
                    many (too many files)";
    assert_eq!(lines, [expected]);
    yard.turn(|yard| {
        fs::remove_file(yard.at("many/3")).unwrap();
        yard.file("many/new", "x");
        fs::remove_file(yard.at("a")).unwrap();
    });
    let report = done(yard.undo(Force::No));
    assert_eq!(report.done, [("a".into(), Act::Restored)]);
    assert!(yard.at("many/new").exists() && yard.at("b").exists());
}

#[test]
fn rules_hold_as_they_were_before_the_turn() {
    let mut yard = Yard::new(Limits::default());
    yard.file(".gitignore", "target/\n*.log\n");
    yard.file("target/old", "1");
    yard.file("src", "1");
    yard.turn(|yard| {
        yard.file("target/new", "1");
        yard.file("x.log", "1");
        yard.file(".gitignore", "*\n");
        yard.file("src", "2");
        yard.file("made/.gitignore", "*\n");
        yard.file("made/x", "2");
    });
    done(yard.undo(Force::No));
    assert_eq!(yard.read("src").unwrap(), "1");
    assert_eq!(yard.read(".gitignore").unwrap(), "target/\n*.log\n");
    assert!(!yard.at("made").exists());
    assert!(yard.at("target/new").exists() && yard.at("x.log").exists());
}

#[test]
fn a_file_that_becomes_an_ignored_folder_is_covered() {
    let mut yard = Yard::new(Limits::default());
    yard.file(".gitignore", "build/\n");
    yard.file("build", "a file");
    yard.turn(|yard| {
        fs::remove_file(yard.at("build")).unwrap();
        yard.file("build/out", "x");
    });
    done(yard.undo(Force::No));
    assert_eq!(yard.read("build").unwrap(), "a file");
}

#[test]
fn what_is_ignored_is_moved_back_with_its_folder() {
    let mut yard = Yard::new(Limits::default());
    yard.file(".gitignore", "target/\n");
    yard.file("vendor/x/.git/config", "c");
    yard.file("vendor/x/target/out", "o");
    yard.file("vendor/x/a", "a");
    let before = picture(&yard.at(""));
    yard.turn(|yard| fs::rename(yard.at("vendor"), yard.at("moved")).unwrap());
    let after = picture(&yard.at(""));
    done(yard.undo(Force::No));
    assert_eq!(picture(&yard.at("")), before);
    done(yard.redo(Force::No));
    assert_eq!(picture(&yard.at("")), after);
}

#[test]
fn what_was_ignored_and_is_not_at_its_new_place_is_moved_back() {
    let mut yard = Yard::new(Limits::default());
    yard.file(".gitignore", "target\n");
    yard.file("target/out", "o");
    let before = picture(&yard.at(""));
    yard.turn(|yard| {
        fs::rename(yard.at("target"), yard.at("kept")).unwrap();
        yard.file("kept/more", "m");
    });
    let after = picture(&yard.at(""));
    done(yard.undo(Force::No));
    fs::remove_file(yard.at("target/more")).unwrap();
    assert_eq!(picture(&yard.at("")), before);
    yard.file("target/more", "m");
    done(yard.redo(Force::No));
    assert_eq!(picture(&yard.at("")), after);
}

#[test]
fn a_call_that_was_stopped_before_its_checkpoint_changes_nothing() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.history.begin(&yard.workspace, "x");
    let stopped = yard
        .history
        .before(&yard.workspace, &Touches::Workspace, None, &|| true);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(yard.history.end(&yard.workspace), None);
    assert_eq!(yard.undo(Force::No), Answer::Nothing);
}
