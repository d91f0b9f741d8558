//! Replacing a file so that a crash, a full disk or a reader in between never
//! meets half of it: a temporary file in the same folder, synced, then renamed. It
//! has no name until it is whole, where the file system knows such files, so that
//! who is killed meanwhile leaves nothing.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{Gid, Uid};

use super::workspace::{FileError, no_block, require_regular};

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Says whether a name in an open folder may be written.
pub(super) type Judge<'a> = dyn Fn(&Dir, &OsStr) -> Result<(), FileError> + 'a;

pub(super) fn write(
    root: &Dir,
    path: &Path,
    bytes: &[u8],
    judge: &Judge<'_>,
) -> Result<(), FileError> {
    let target = resolve(root, path)?;
    let name = target.file_name().ok_or(FileError::IsDirectory)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            make_folders(root, parent, judge)?;
            root.open_dir(parent)?
        }
        _ => root.open_dir(".")?,
    };
    judge(&parent, name)?;
    // From here on everything happens in one open folder, whatever its path becomes.
    let existing = existing(&parent, name)?;
    let temporary = PathBuf::from(format!(
        ".cairn-{}-{}.tmp",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    ));
    // Nobody else may read it before it has the mode of the file it replaces.
    let mode = if existing.is_some() { 0o600 } else { 0o666 };
    let written = match nameless(&parent, mode) {
        Some(file) => fill(&file, existing.as_ref(), bytes)
            .and_then(|()| Ok(name_it(&file, &parent, &temporary)?)),
        None => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode);
            let file = parent.open_with(&temporary, &options);
            file.map_err(FileError::from)
                .and_then(|file| fill(&file.into_std(), existing.as_ref(), bytes))
        }
    };
    let written = written.and_then(|()| Ok(parent.rename(&temporary, &parent, name)?));
    if written.is_err() {
        // Nothing to report beyond the first error: the file may not exist at all.
        let _ = parent.remove_file(&temporary);
        return written;
    }
    // The content is already safe; some file systems cannot sync a folder.
    let _ = parent.into_std_file().sync_all();
    Ok(())
}

/// Makes the folders that are missing, if what would be in them may be written.
fn make_folders(root: &Dir, path: &Path, judge: &Judge<'_>) -> Result<(), FileError> {
    let mut there = path;
    while root.symlink_metadata(there).is_err() {
        there = match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    let missing = path.strip_prefix(there).unwrap_or(path);
    if !missing.as_os_str().is_empty() {
        let folder = root.open_dir(there)?;
        judge(&folder, missing.as_os_str())?;
        folder.create_dir_all(missing)?;
    }
    Ok(())
}

/// The path with a link at its end resolved, so that the link is written
/// through and not replaced. The result is only a name: it is resolved beneath
/// the root again. (Asking the system for the canonical path would give a wrong
/// one while another process replaces the file.)
pub(super) fn resolve(root: &Dir, path: &Path) -> Result<PathBuf, FileError> {
    let mut target = path.to_path_buf();
    for hop in 0..MAX_LINKS {
        match root.symlink_metadata(&target).map_err(FileError::from) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = root.read_link_contents(&target)?;
                if link.is_absolute() {
                    return Err(FileError::Outside);
                }
                target.pop();
                target.push(link);
            }
            Ok(_) => return Ok(target),
            Err(FileError::NotFound) if hop == 0 => return Ok(target),
            Err(FileError::NotFound) => return Err(FileError::BrokenLink),
            Err(error) => return Err(error),
        }
    }
    Err(FileError::Io(rustix::io::Errno::LOOP.into()))
}

/// The file that will be replaced, if there is one. Opening it for writing is
/// what asks the system for permission: a rename over it would not.
fn existing(parent: &Dir, name: &OsStr) -> Result<Option<Metadata>, FileError> {
    let metadata = match parent.symlink_metadata(name).map_err(FileError::from) {
        Ok(metadata) => metadata,
        Err(FileError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    require_regular(&metadata)?;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(no_block());
    let metadata = parent.open_with(name, &options)?.metadata()?;
    require_regular(&metadata)?;
    Ok(Some(metadata))
}

/// A new file in a folder that has no name there yet; `None` where that can't be had.
#[cfg(target_os = "linux")]
fn nameless(parent: &Dir, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(parent, ".", flags, Mode::from_raw_mode(mode)).ok()?;
    Some(file.into())
}

#[cfg(not(target_os = "linux"))]
fn nameless(_parent: &Dir, _mode: u32) -> Option<File> {
    None
}

/// Gives such a file a name that nobody has.
fn name_it(file: &File, parent: &Dir, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let known = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, known, parent, name, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

fn fill(mut file: &File, existing: Option<&Metadata>, bytes: &[u8]) -> Result<(), FileError> {
    file.write_all(bytes)?;
    if let Some(old) = existing {
        let new = rustix::fs::fstat(file).map_err(io::Error::from)?;
        if (old.uid(), old.gid()) != (new.st_uid, new.st_gid) {
            // Only root can give a file away; anyone else keeps writing as themselves.
            let _ = rustix::fs::fchown(
                file,
                Some(Uid::from_raw(old.uid())),
                Some(Gid::from_raw(old.gid())),
            );
        }
        // After the owner, because a change of owner clears bits of the mode.
        // Not what makes it run as its owner: that was meant for the old content.
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.sync_all()?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    #[test]
    fn what_is_not_whole_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        let file = nameless(&dir, 0o600).unwrap();
        fill(&file, None, b"half").unwrap();
        assert_eq!(dir.entries().unwrap().count(), 0);
        name_it(&file, &dir, Path::new("whole")).unwrap();
        assert_eq!(dir.read("whole").unwrap(), b"half");
        assert!(name_it(&file, &dir, Path::new("whole")).is_err());
    }
}
