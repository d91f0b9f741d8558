//! What lies above a workspace and belongs to the same repository. These few files
//! are read by cairn itself, for the user; no tool reaches them. What somebody else
//! put there, in a folder that all may write to, does not count.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The folders from the one above `workspace` up to the repository's, nearest first.
/// None if there is no repository, or it lies above `home`. Both paths are canonical.
pub fn repository_above(workspace: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut above = Vec::new();
    for folder in workspace.ancestors() {
        if folder != workspace {
            above.push(folder.to_owned());
        }
        let git = std::fs::symlink_metadata(folder.join(".git"));
        if git.is_ok_and(|git| is_ours(&git)) {
            return above;
        }
        if home == Some(folder) {
            break;
        }
    }
    Vec::new()
}

/// A regular file's bytes, the first `limit` of them, if the user or root owns it. A
/// link at the end of the path is not followed.
///
/// # Errors
/// When it can't be read, or is no such file.
pub fn own_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_ours(&metadata) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_ours(metadata: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_end_at_the_repository_and_at_home() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let deep = root.join("home/project/a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let home = root.join("home");
        assert!(
            repository_above(&deep, Some(&home)).is_empty(),
            "no repository"
        );
        std::fs::create_dir(root.join(".git")).unwrap();
        assert!(
            repository_above(&deep, Some(&home)).is_empty(),
            "above home"
        );
        assert_eq!(repository_above(&deep, None).len(), 4);
        std::fs::create_dir(home.join("project/.git")).unwrap();
        let found = repository_above(&deep, Some(&home));
        assert_eq!(found, [home.join("project/a"), home.join("project")]);
        assert!(repository_above(&home.join("project"), None).is_empty());
    }

    #[test]
    fn only_regular_files_are_read_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "0123456789").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert_eq!(own_file(&at("file"), 4).unwrap(), b"0123");
        assert!(own_file(&at("link"), 4).is_err());
        assert!(own_file(dir.path(), 4).is_err());
    }
}
