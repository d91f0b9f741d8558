//! Files by which a workspace makes other programs run something: hooks, editors'
//! tasks, agents' settings. Nothing that works for a model may change them, or make
//! one where there is none, at any depth.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, Metadata, MetadataExt};
use serde::{Deserialize, Serialize};

use super::workspace::Workspace;

/// Names that are protected with all below them.
pub(super) const NAMES: &[&str] = &[
    ".git",
    ".gitmodules",
    ".gitattributes",
    ".cairn",
    ".agents",
    ".claude",
    ".codex",
    ".mcp.json",
    ".envrc",
    ".vscode",
    ".idea",
    ".npmrc",
    ".husky",
    ".pre-commit-config.yaml",
];

/// A name in a folder of a name.
pub(super) const NESTED: &[(&str, &str)] = &[
    (".cargo", "config.toml"),
    (".cargo", "config"),
    (".github", "workflows"),
];

/// Of these, what a file tool may change if the user says so: a command can't be
/// asked about, but this is what people have assistants write.
const ASKED: &[(&str, &str)] = &[(".github", "workflows")];

/// In a repository: what says what git runs, or where git finds that. Relative to
/// its `.git`; folders with all that is in them.
pub(super) const REPOSITORY: &[&str] = &[
    "config",
    "config.worktree",
    "commondir",
    "hooks",
    "info",
    "objects/info",
    "modules",
    "worktrees",
    "remotes",
    "branches",
    "sequencer",
    "rebase-merge",
    "rebase-apply",
];

/// The folder that is a repository, if it is the workspace's own.
pub(super) const OWN_REPOSITORY: &str = ".git";

/// What a command may do to the workspace's own repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repository {
    /// Nothing.
    #[default]
    Protected,
    /// Write it, but for what makes git run something. This is for git itself.
    Open,
}

/// Nobody looks farther down: what is there stays as it is.
const MAX_DEPTH: usize = 100;

/// Whether a change of this path needs the user's word, whatever is allowed for
/// changes in general: agents go by the file, or a project's builds do.
pub(super) fn needs_a_word(path: &Path) -> bool {
    let is = |name: Option<&OsStr>, known: &str| {
        name.and_then(OsStr::to_str)
            .is_some_and(|name| name.eq_ignore_ascii_case(known))
    };
    let names: Vec<&OsStr> = path.iter().collect();
    let asked = |pair: &[&OsStr]| {
        let mut known = ASKED.iter();
        known.any(|(outer, inner)| is(Some(pair[0]), outer) && is(Some(pair[1]), inner))
    };
    is(path.file_name(), "AGENTS.md") || holds_secrets(path) || names.windows(2).any(asked)
}

/// Whether a file is one of those in which programs get their keys: `.env` and its
/// kin, but for examples of them.
pub(super) fn holds_secrets(path: &Path) -> bool {
    const EXAMPLES: &[&str] = &["example", "sample", "template", "dist", "defaults"];
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    match name.strip_prefix(".env") {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('.')
            .is_some_and(|kind| !EXAMPLES.contains(&kind)),
        None => false,
    }
}

/// Whether a path relative to the workspace is protected from file tools, or lies
/// below what is.
pub(super) fn covers(path: &Path) -> bool {
    let names: Vec<&OsStr> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    (0..names.len()).any(|at| {
        let above = at.checked_sub(1).map(|above| names[above]);
        is_protected(above, names[at]) && !needs_a_word(&names[..=at].iter().collect::<PathBuf>())
    })
}

/// Whether a name in a folder of some name is one of those. On file systems that
/// do not tell letters' cases apart, another case is the same file.
fn is_protected(folder: Option<&OsStr>, name: &OsStr) -> bool {
    let is =
        |name: &OsStr, known: &str| name.to_str().is_some_and(|n| n.eq_ignore_ascii_case(known));
    NAMES.iter().any(|known| is(name, known))
        || folder.is_some_and(|folder| {
            let mut nested = NESTED.iter();
            nested.any(|(outer, inner)| is(folder, outer) && is(name, inner))
        })
}

/// How something is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hold {
    /// With all that is in it.
    AsItIs,
    /// It can't be moved or removed; what is in it can be written.
    InPlace,
}

/// What is protected: where, and which file of the system it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Protected {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub hold: Hold,
    device: u64,
    inode: u64,
}

impl Protected {
    /// Device and inode.
    pub(super) fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// All that is protected in the workspace, in order. A folder that can't be read is
/// passed over: who runs here can't write in it either.
pub(super) fn find(workspace: &Workspace, repository: Repository) -> io::Result<Vec<Protected>> {
    let mut found = Vec::new();
    descend(workspace, &workspace.dir, Path::new(""), 0, &mut found)?;
    let own = found
        .iter_mut()
        .find(|own| own.path == Path::new(OWN_REPOSITORY));
    if repository == Repository::Open
        && let Some(own) = own
        && workspace.dir.symlink_metadata(OWN_REPOSITORY)?.is_dir()
    {
        own.hold = Hold::InPlace;
        for path in REPOSITORY {
            let path = Path::new(OWN_REPOSITORY).join(path);
            match workspace.dir.symlink_metadata(&path) {
                Ok(file) => found.push(Protected::new(path, &file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    // What is in another comes after it.
    found.sort();
    Ok(found)
}

impl Protected {
    fn new(path: PathBuf, file: &Metadata) -> Self {
        Self {
            path,
            hold: Hold::AsItIs,
            device: file.dev(),
            inode: file.ino(),
        }
    }
}

fn descend(
    workspace: &Workspace,
    dir: &Dir,
    path: &Path,
    depth: usize,
    found: &mut Vec<Protected>,
) -> io::Result<()> {
    for entry in dir.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let protected = is_protected(path.file_name(), &name)
            || workspace.is_private(&path.join(&name))
            || is_folder && depth == MAX_DEPTH;
        if protected {
            let file = match dir.symlink_metadata(&name) {
                Ok(file) => file,
                // Others work here, too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push(Protected::new(path.join(name), &file));
        } else if is_folder {
            // If it can't be opened it is gone, or not for who runs here.
            if let Ok(below) = dir.open_dir(&name) {
                descend(workspace, &below, &path.join(name), depth + 1, found)?;
            }
        }
    }
    Ok(())
}

/// Takes away what was not there before, by giving it a name that means nothing.
/// Returns the old and the new name of each. `before` are devices and inodes: what
/// counts is the file: one that a
/// folder around it took elsewhere is still as it was, and another one in its old
/// place is not.
pub(super) fn quarantine(
    workspace: &Workspace,
    repository: Repository,
    before: &HashSet<(u64, u64)>,
) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut moved = Vec::new();
    for found in find(workspace, repository)? {
        if before.contains(&found.file()) {
            continue;
        }
        let path = found.path;
        let mut number = 1;
        let harmless = loop {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("quarantined-{number}-{}", name.trim_start_matches('.'));
            let harmless = path.with_file_name(name);
            match workspace.dir.symlink_metadata(&harmless) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break harmless,
                _ => number += 1,
            }
        };
        workspace.dir.rename(&path, &workspace.dir, &harmless)?;
        moved.push((path, harmless));
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_count_at_any_depth_and_in_any_case() {
        for path in [
            ".git",
            "a/b/.git/hooks/x",
            ".GIT/config",
            ".envrc",
            "x/.vscode/tasks.json",
            ".cargo/config.toml",
        ] {
            assert!(covers(Path::new(path)), "{path}");
        }
        for path in [
            "git",
            "a/.gitignore",
            ".cargo/x",
            "config.toml",
            ".github/x",
            "src",
        ] {
            assert!(!covers(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_is_new_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at(".git/hooks")).unwrap();
        fs::create_dir_all(at("vendor/x/.git")).unwrap();
        fs::write(at("vendor/.envrc"), "old").unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let before = find(&workspace, Repository::Protected).unwrap();
        let names: Vec<PathBuf> = before.iter().map(|found| found.path.clone()).collect();
        let expected = [".git", "vendor/.envrc", "vendor/x/.git"].map(PathBuf::from);
        assert_eq!(names, expected);
        let before = before.iter().map(Protected::file).collect();
        let again = quarantine(&workspace, Repository::Protected, &before);
        assert_eq!(again.unwrap(), []);

        fs::write(at(".envrc"), "new").unwrap();
        fs::write(at("quarantined-1-envrc"), "in the way").unwrap();
        fs::create_dir_all(at("new/.git/hooks")).unwrap();
        let moved = quarantine(&workspace, Repository::Protected, &before).unwrap();
        let expected = [
            (".envrc", "quarantined-2-envrc"),
            ("new/.git", "new/quarantined-1-git"),
        ];
        assert_eq!(moved, expected.map(|(a, b)| (a.into(), b.into())));
        assert_eq!(
            fs::read_to_string(at("quarantined-2-envrc")).unwrap(),
            "new"
        );
        assert!(at("vendor/.envrc").exists() && !at("new/.git").exists());

        let deep = "d/".repeat(MAX_DEPTH + 1);
        fs::create_dir_all(at(&deep).join(".git")).unwrap();
        let moved = quarantine(&workspace, Repository::Protected, &before).unwrap();
        assert!(
            moved.len() == 1 && moved[0].0 == Path::new(&deep),
            "{moved:?}"
        );
        fs::remove_dir_all(at("d")).unwrap();

        fs::rename(at("vendor"), at("elsewhere")).unwrap();
        fs::create_dir_all(at("vendor/x/.git")).unwrap();
        let moved = quarantine(&workspace, Repository::Protected, &before).unwrap();
        let expected = ("vendor/x/.git", "vendor/x/quarantined-1-git");
        assert_eq!(moved, [(expected.0.into(), expected.1.into())]);
        assert!(at("elsewhere/x/.git").exists());
    }

    #[test]
    fn a_repository_can_be_opened_but_for_what_runs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at(".git/hooks")).unwrap();
        fs::create_dir_all(at("sub/.git/hooks")).unwrap();
        fs::write(at(".git/config"), "").unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let before = find(&workspace, Repository::Open).unwrap();
        let got: Vec<(&Path, Hold)> = before.iter().map(|p| (p.path.as_path(), p.hold)).collect();
        let expected = [
            (Path::new(".git"), Hold::InPlace),
            (Path::new(".git/config"), Hold::AsItIs),
            (Path::new(".git/hooks"), Hold::AsItIs),
            (Path::new("sub/.git"), Hold::AsItIs),
        ];
        assert_eq!(got, expected);

        fs::write(at(".git/commondir"), "../evil").unwrap();
        fs::create_dir_all(at(".git/info")).unwrap();
        fs::write(at(".git/index"), "").unwrap();
        let before = before.iter().map(Protected::file).collect();
        let moved = quarantine(&workspace, Repository::Open, &before).unwrap();
        let expected = [
            (".git/commondir", ".git/quarantined-1-commondir"),
            (".git/info", ".git/quarantined-1-info"),
        ];
        assert_eq!(moved, expected.map(|(a, b)| (a.into(), b.into())));
    }
}
