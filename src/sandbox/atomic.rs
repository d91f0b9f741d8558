//! Replacing a file so that a crash, a full disk or a reader in between never
//! meets half of it: a temporary file in the same folder, synced, then renamed.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, PermissionsExt};
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
    let written = fill(&parent, &temporary, existing.as_ref(), bytes)
        .and_then(|()| Ok(parent.rename(&temporary, &parent, name)?));
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

fn fill(
    parent: &Dir,
    name: &Path,
    existing: Option<&Metadata>,
    bytes: &[u8],
) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if existing.is_some() {
        // Nobody else may read it before it has the mode of the file it replaces.
        options.mode(0o600);
    }
    let mut file = parent.open_with(name, &options)?;
    file.write_all(bytes)?;
    if let Some(old) = existing {
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // Only root can give a file away; anyone else keeps writing as themselves.
            let _ = rustix::fs::fchown(
                &file,
                Some(Uid::from_raw(old.uid())),
                Some(Gid::from_raw(old.gid())),
            );
        }
        // After the owner, because a change of owner clears bits of the mode.
        file.set_permissions(cap_std::fs::Permissions::from_mode(old.mode() & 0o7777))?;
    }
    file.sync_all()?;
    Ok(())
}
