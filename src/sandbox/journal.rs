//! What was protected in a workspace when a command started, on disk for as long as
//! it runs. If cairn is killed meanwhile, nobody looks for what the command made;
//! the next start in that workspace does, by what is written here.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::protected::{self, Protected, Repository};
use super::workspace::Workspace;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// More than the largest workspace's.
const MOST_BYTES: u64 = 64 << 20;

/// A command that runs, or ran until cairn was killed. The file is locked by a cairn
/// that lives, so it needs no name of its own to be known by.
#[derive(Debug)]
pub(super) struct Entry {
    path: PathBuf,
    _locked: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    root: PathBuf,
    /// Device and inode of the workspace, and of all that is protected in it.
    folder: (u64, u64),
    protected: HashSet<(u64, u64)>,
    /// What the command might do there decides what counts as new.
    repository: Repository,
}

/// Writes down what there is before a command starts. `None` where there is no place
/// for it: then it runs all the same, as it is looked at when it ends.
pub(super) fn begin(
    workspace: &Workspace,
    repository: Repository,
    before: &[Protected],
) -> Option<Entry> {
    let folder = folder()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .ok()?;
    begin_in(&folder, workspace, repository, before).ok()
}

fn begin_in(
    folder: &Path,
    workspace: &Workspace,
    repository: Repository,
    before: &[Protected],
) -> io::Result<Entry> {
    let record = Record {
        root: workspace.root().to_owned(),
        folder: place(workspace)?,
        protected: before.iter().map(Protected::file).collect(),
        repository,
    };
    let text = serde_json::to_vec(&record)?;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{count}", std::process::id()));
        let mut file = match File::create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        file.lock()?;
        // Who cleaned up a moment ago may have taken it for another's.
        if file.metadata()?.nlink() == 0 {
            continue;
        }
        // In place and not synced: it only has to outlive this process, and a part of
        // it means that nothing was started yet.
        file.write_all(&text)?;
        return Ok(Entry {
            path,
            _locked: file,
        });
    }
}

impl Entry {
    /// The command has ended and was looked at.
    pub(super) fn end(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// Takes away what commands of cairns that were killed have made in this workspace,
/// as would have been done at their end. Returns the old and the new names.
///
/// # Errors
/// When the workspace can't be searched, or something can't be renamed.
pub(super) fn recover(workspace: &Workspace) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    match folder() {
        Some(folder) => recover_in(&folder, workspace),
        None => Ok(Vec::new()),
    }
}

fn recover_in(folder: &Path, workspace: &Workspace) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let (mut dead, mut living) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else {
            continue;
        };
        if file.try_lock().is_err() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.split('-').next());
            living.extend(process.and_then(|id| id.parse::<u32>().ok()));
            continue;
        }
        let mut text = Vec::new();
        (&file).take(MOST_BYTES).read_to_end(&mut text)?;
        let record: Option<Record> = serde_json::from_slice(&text).ok();
        let elsewhere = |record: &Record| record.root != workspace.root();
        match record {
            // Another workspace's, for when it is opened.
            Some(record) if elsewhere(&record) && record.root.exists() => {}
            Some(record) if !elsewhere(&record) && record.folder == place(workspace)? => {
                dead.push((entry.path(), file, record));
            }
            _ => drop(fs::remove_file(entry.path())),
        }
    }
    if !dead.is_empty() {
        // What was killed a moment ago may still be on its way out.
        #[cfg(target_os = "linux")]
        super::linux::wait_for_orphans(&living);
    }
    let mut moved = Vec::new();
    for (path, _locked, record) in dead {
        let Record {
            repository,
            protected,
            ..
        } = record;
        moved.extend(protected::quarantine(workspace, repository, &protected)?);
        let _ = fs::remove_file(path);
    }
    Ok(moved)
}

fn place(workspace: &Workspace) -> io::Result<(u64, u64)> {
    let found = workspace.dir.dir_metadata()?;
    let found = (
        cap_std::fs::MetadataExt::dev(&found),
        cap_std::fs::MetadataExt::ino(&found),
    );
    Ok(found)
}

/// Among the files that commands do not see.
fn folder() -> Option<PathBuf> {
    let absolute = |name| {
        let path = std::env::var_os(name).map(PathBuf::from)?;
        path.is_absolute().then_some(path)
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("cairn/commands"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_since_a_dead_cairn_is_taken_away() {
        let (journal, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (journal, at) = (journal.path(), |name: &str| folder.path().join(name));
        fs::create_dir(at(".git")).unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let before = protected::find(&workspace, Repository::Protected).unwrap();
        let entry = begin_in(journal, &workspace, Repository::Protected, &before).unwrap();
        let count = || fs::read_dir(journal).unwrap().count();
        fs::write(at(".envrc"), "new").unwrap();

        // Its cairn lives.
        assert_eq!(recover_in(journal, &workspace).unwrap(), []);
        assert!(at(".envrc").exists() && count() == 1);

        // Another workspace is none of its business.
        let other = tempfile::tempdir().unwrap();
        let other = Workspace::open(other.path()).unwrap();
        drop(entry);
        assert_eq!(recover_in(journal, &other).unwrap(), []);
        assert_eq!(count(), 1);

        let moved = recover_in(journal, &workspace).unwrap();
        assert_eq!(moved, [(".envrc".into(), "quarantined-1-envrc".into())]);
        assert!(at(".git").exists() && !at(".envrc").exists());
        assert_eq!(count(), 0);
    }

    #[test]
    fn what_makes_no_sense_goes() {
        let (journal, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let workspace = Workspace::open(folder.path()).unwrap();
        fs::write(journal.path().join("1-0"), "{\"root\":\"/").unwrap();
        begin_in(journal.path(), &workspace, Repository::Protected, &[])
            .unwrap()
            .end();
        let gone = tempfile::tempdir().unwrap();
        let record = begin_in(
            journal.path(),
            &Workspace::open(gone.path()).unwrap(),
            Repository::Protected,
            &[],
        );
        drop((record.unwrap(), gone));
        assert_eq!(recover_in(journal.path(), &workspace).unwrap(), []);
        assert_eq!(fs::read_dir(journal.path()).unwrap().count(), 0);
    }
}
