//! Files beneath an open folder, reached component by component and never through
//! a link: what a workspace puts in the way of a path is an error, not a detour.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, accessat, chownat, fstat,
    mkdirat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::node::Stamp;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// Opens a folder; the empty path is `root` itself.
pub fn folder(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let mut at = openat(root, ".", FOLDER, Mode::empty())?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(Errno::INVAL.into());
        };
        at = openat(&at, name, FOLDER, Mode::empty())?;
    }
    Ok(at)
}

/// The folder that a path's last name stands in, and that name.
pub fn parent<'a>(root: BorrowedFd<'_>, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok((folder(root, path.parent().unwrap_or(Path::new("")))?, name))
}

/// Whether an error says that nothing is there, or nothing but a link or a file in
/// the way.
pub fn is_absence(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// `None` where nothing is.
pub fn stat(folder: impl AsFd, name: &OsStr) -> io::Result<Option<Stamp>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(stamp(&found))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn stat_open(file: impl AsFd) -> io::Result<Stamp> {
    Ok(stamp(&fstat(file)?))
}

#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the types of these fields differ between systems"
)]
fn stamp(found: &Stat) -> Stamp {
    let nanoseconds =
        |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
    Stamp {
        mode: u32::from(found.st_mode),
        size: found.st_size as u64,
        modified: nanoseconds(found.st_mtime as i64, found.st_mtime_nsec as i64),
        changed: nanoseconds(found.st_ctime as i64, found.st_ctime_nsec as i64),
        inode: found.st_ino as u64,
        owner: (found.st_uid, found.st_gid),
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "a mode has 16 bits on some systems"
)]
pub fn file_type(stamp: &Stamp) -> FileType {
    FileType::from_raw_mode(stamp.mode as rustix::fs::RawMode)
}

/// When something was made, in nanoseconds, where the file system knows.
pub fn born(folder: impl AsFd, name: &OsStr) -> Option<i64> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{StatxFlags, statx};
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = statx(folder, name, flags, StatxFlags::BTIME).ok()?;
        let known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let time = found.stx_btime;
        known.then(|| {
            time.tv_sec
                .wrapping_mul(1_000_000_000)
                .wrapping_add(i64::from(time.tv_nsec))
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (folder.as_fd(), name);
        None
    }
}

/// Names in a folder, sorted; `None` if there are more than `most`.
pub fn names(folder: impl AsFd, most: usize) -> io::Result<Option<Vec<OsString>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == most {
            return Ok(None);
        }
        names.push(OsString::from_vec(name));
    }
    names.sort();
    Ok(Some(names))
}

pub fn read_link(folder: impl AsFd, name: &OsStr) -> io::Result<OsString> {
    let target = readlinkat(folder, name, Vec::new())?;
    Ok(OsString::from_vec(target.into_bytes()))
}

/// Opens a file for reading; a FIFO does not block.
pub fn open(folder: impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?.into())
}

pub fn is_readable(folder: impl AsFd, name: &OsStr, stamp: &Stamp) -> bool {
    // What everybody may read needs no question; it is asked for very many files.
    stamp.mode & 0o444 == 0o444 || accessat(folder, name, Access::READ_OK, AtFlags::EACCESS).is_ok()
}

/// A new file that nobody else can read yet.
pub fn create(folder: impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::from_raw_mode(0o600))?.into())
}

pub fn link(folder: impl AsFd, name: &OsStr, target: &OsStr) -> io::Result<()> {
    Ok(symlinkat(target, folder, name)?)
}

/// Makes a folder; one that is there already will do.
pub fn make_folder(folder: impl AsFd, name: &OsStr) -> io::Result<()> {
    match mkdirat(&folder, name, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => match stat(&folder, name)? {
            Some(there) if file_type(&there) == FileType::Directory => Ok(()),
            _ => Err(Errno::EXIST.into()),
        },
        other => Ok(other?),
    }
}

pub fn rename(from: (impl AsFd, &OsStr), to: (impl AsFd, &OsStr)) -> io::Result<()> {
    Ok(renameat(from.0, from.1, to.0, to.1)?)
}

pub fn remove_file(folder: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(unlinkat(folder, name, AtFlags::empty())?)
}

pub fn remove_folder(folder: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// Gives it to its owner, if who runs here may: only root can.
pub fn give(folder: impl AsFd, name: &OsStr, owner: (u32, u32)) {
    let (user, group) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    let _ = chownat(
        folder,
        name,
        Some(user),
        Some(group),
        AtFlags::SYMLINK_NOFOLLOW,
    );
}

/// Sets the mode of a folder, if that is what the name stands for; one that can't
/// be opened for reading, too.
pub fn set_folder_mode(parent: impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(parent, name, flags, Mode::empty())?;
        // The handle's own entry there leads to the folder and nowhere else.
        let handle = format!("/proc/self/fd/{}", folder.as_raw_fd());
        Ok(rustix::fs::chmodat(
            CWD,
            handle,
            Mode::from_raw_mode(mode),
            AtFlags::empty(),
        )?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = CWD;
        #[allow(clippy::cast_possible_truncation, reason = "a mode has 12 bits")]
        let mode = Mode::from_raw_mode(mode as _);
        Ok(rustix::fs::chmodat(
            parent,
            name,
            mode,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}
