//! Mounts as values: trees are made detached, given their attributes, and only then
//! attached, always by descriptors, so that no name is looked up twice. What the
//! mount calls take is in `mount_setattr(2)`, `open_tree(2)` and `move_mount(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

pub const READ_ONLY: u64 = MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64;
/// No set-user-id, no devices.
pub const PLAIN: u64 =
    (MountAttrFlags::MOUNT_ATTR_NOSUID.bits() | MountAttrFlags::MOUNT_ATTR_NODEV.bits()) as u64;
const ID_MAP: u64 = libc::MOUNT_ATTR_IDMAP;

/// A detached copy of what is mounted at an open file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The one mount.
    One,
    /// And all below it.
    All,
}

impl Depth {
    fn flag(self) -> u32 {
        match self {
            Self::One => 0,
            Self::All => libc::AT_RECURSIVE as u32,
        }
    }
}

pub fn copy(of: impl AsFd, depth: Depth) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let flags = match depth {
        Depth::One => flags,
        Depth::All => flags | OpenTreeFlags::AT_RECURSIVE,
    };
    Ok(open_tree(of, "", flags)?)
}

/// Sets attributes of a tree, and maps the ids of its files by those of a user
/// namespace.
pub fn restrict(
    tree: impl AsFd,
    attributes: u64,
    ids: Option<BorrowedFd<'_>>,
    depth: Depth,
) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes | ids.map_or(0, |_| ID_MAP),
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: ids.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: an open descriptor, an empty path and the structure that the call
    // reads, with its size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH as u32 | depth.flag(),
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Mounts a detached tree on an open file or folder.
pub fn attach(tree: impl AsFd, at: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", at, "", flags)?)
}

/// A new file system, not attached yet.
pub fn file_system(kind: &str, options: &[(&str, &str)], attributes: u64) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as _);
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// How names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// A link anywhere in the path is an error.
    Refused,
    /// Links are followed, with `/` being the folder that the search starts in.
    Followed,
}

/// Opens what a path beneath a folder names, for nothing but being named.
pub fn find(root: impl AsFd, path: &Path, links: Links) -> io::Result<OwnedFd> {
    let resolve = match links {
        Links::Refused => {
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
        }
        Links::Followed => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    };
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = match relative.as_os_str().is_empty() {
        true => Path::new("."),
        false => relative,
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let flags = match links {
        Links::Refused => flags,
        Links::Followed => flags - OFlags::NOFOLLOW,
    };
    Ok(openat2(root, relative, flags, Mode::empty(), resolve)?)
}

/// The root folder of this process.
pub fn root() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
    Ok(rustix::fs::openat(CWD, "/", flags, Mode::empty())?)
}

/// Makes `tree` the root of this process' view and lets go of the old one.
pub fn enter(tree: &OwnedFd) -> io::Result<()> {
    attach(tree, root()?)?;
    rustix::process::fchdir(tree)?;
    // The old root is put on the new one, and taken off again: no folder for it is needed.
    rustix::process::pivot_root(".", ".")?;
    // SAFETY: a path that ends in NUL.
    match unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) } {
        0 => Ok(rustix::process::chdir("/")?),
        _ => Err(io::Error::last_os_error()),
    }
}
