//! Files of the cache: made whole or not at all, opened only if they are plain files.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// What files begin with that are not whole yet.
pub(super) const TEMPORARY: &str = ".new-";
/// A file that is not whole and not locked is nobody's after this: between making
/// and locking it lies less.
const ABANDONED: Duration = Duration::from_secs(60);

/// Conversations are in there: for the user alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a plain file without following a link or waiting for a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a file")),
    }
}

/// A whole file of no more than `most` bytes; one byte more of a longer one.
pub(super) fn read(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(most as usize + 1);
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file under `name` in `folder`, on the disk before it has that name.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    let process = std::process::id();
    let temporary = folder.join(format!("{TEMPORARY}{process}-{number}-{nanoseconds}"));
    let written = write_as(&temporary, bytes).and_then(|file| {
        fs::rename(&temporary, folder.join(name))?;
        drop(file);
        Ok(())
    });
    if written.is_err() {
        // Nothing more can be done about it here; `sweep` may, later.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_as(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // Held while it is written: who can lock a file of this kind may remove it.
    file.lock()?;
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(file)
}

/// Puts the names in a folder on the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Marks a file as used then. One that is gone needs no mark.
pub(super) fn touch(path: &Path, time: SystemTime) {
    if let Ok(file) = open(path) {
        // Who owns it is not us, then; its age is theirs.
        let _ = file.set_times(FileTimes::new().set_modified(time));
    }
}

/// A file in a folder.
pub(super) struct Found {
    pub path: PathBuf,
    pub name: String,
    pub bytes: u64,
    pub used: SystemTime,
}

/// The plain files of a folder; what vanishes meanwhile is not there.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Found>> {
    let entries = fs::read_dir(folder)?.flatten();
    let found = entries.filter_map(|entry| {
        let metadata = entry.path().symlink_metadata().ok()?;
        metadata.is_file().then_some(Found {
            path: entry.path(),
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes: metadata.len(),
            used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        })
    });
    Ok(found.collect())
}

/// Removes what writers that are gone have left; says how many files.
pub(super) fn sweep(found: &[Found]) -> usize {
    let now = SystemTime::now();
    let left = found.iter().filter(|file| {
        let age = now.duration_since(file.used).unwrap_or_default();
        let free = || open(&file.path).is_ok_and(|file| file.try_lock().is_ok());
        file.name.starts_with(TEMPORARY) && age > ABANDONED && free()
    });
    left.filter(|file| fs::remove_file(&file.path).is_ok())
        .count()
}
