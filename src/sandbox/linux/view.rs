//! What a confined command sees of the file system: the machine's own, read-only;
//! its own `/dev`, `/proc`, `/tmp`; nothing where secrets are; and the workspace
//! at its place, with what is protected in it held in place.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::identity::IdMaps;
use super::mounts::{self, Depth, Links, PLAIN, READ_ONLY};
use super::plan::{Layer, Place, Plan, Refusal, Within};

/// Devices that every program may expect.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Files of `/proc` that change or show the machine and not the command.
const PROC_READ_ONLY: [&str; 5] = ["sys", "irq", "bus", "fs", "acpi"];
const PROC_HIDDEN: [&str; 9] = [
    "sysrq-trigger",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "timer_list",
    "sched_debug",
    "scsi",
    "latency_stats",
];

const SHARED_MEMORY_BYTES: u64 = 256 << 20;

/// Builds the view and enters it.
pub fn build(plan: &Plan, ids: &IdMaps) -> Result<(), Refusal> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).within(
        Layer::Namespaces,
        "this system does not let a user mount in them",
    )?;
    let old = mounts::root().within(Layer::View, "/")?;
    let workspace = workspace(&old, plan, ids)?;
    let mut kept = Vec::new();
    for path in &plan.kept {
        if let Some(tree) = kept_tree(&old, path, ids).within(Layer::View, path)? {
            kept.push((path, tree));
        }
    }
    let tree = mounts::copy(&old, Depth::All).within(Layer::View, "copying /")?;
    mounts::restrict(&tree, READ_ONLY | PLAIN, None, Depth::All)
        .within(Layer::View, "making / read-only")?;
    let devices = devices(&old).within(Layer::View, "/dev")?;
    mounts::enter(&tree).within(Layer::View, "entering the view")?;
    let root = mounts::root().within(Layer::View, "/")?;

    place_devices(&root, devices).within(Layer::View, "/dev")?;
    process_files(&root).within(Layer::View, "/proc")?;
    let covers = Path::new(&plan.workspace.path);
    for (path, bytes) in &plan.private {
        // What lies in the workspace is the workspace's.
        if !Path::new(path).starts_with(covers) {
            private_folder(&root, path, *bytes, plan).within(Layer::View, path)?;
        }
    }
    for (path, tree) in kept {
        let at = folder(&root, Path::new(path), plan).within(Layer::View, path)?;
        mounts::attach(tree, at).within(Layer::View, path)?;
    }
    let at = folder(&root, covers, plan).within(Layer::View, covers.display())?;
    mounts::attach(&workspace, at).within(Layer::View, covers.display())?;
    for path in &plan.held {
        pin(&workspace, Path::new(path), 0).within(Layer::View, path)?;
    }
    for path in &plan.protected {
        pin(&workspace, Path::new(path), READ_ONLY | PLAIN).within(Layer::View, path)?;
    }
    let null = null(&root).within(Layer::View, "/dev/null")?;
    let mut held = HashSet::new();
    for path in &plan.hidden {
        hold_way(&root, Path::new(path), covers, &mut held).within(Layer::View, path)?;
        hide(&root, Path::new(path), &null).within(Layer::View, path)?;
    }
    rustix::process::chdir(covers).within(Layer::View, covers.display())
}

/// The workspace's tree, if the folder of that name is still the one meant.
fn workspace(root: &OwnedFd, plan: &Plan, ids: &IdMaps) -> Result<OwnedFd, Refusal> {
    let Place {
        path,
        device,
        inode,
    } = &plan.workspace;
    let refused = |why: &str| Refusal {
        layer: Layer::View,
        why: format!("{path}: {why}"),
    };
    let folder = mounts::find(root, Path::new(path), Links::Refused)
        .within(Layer::View, format_args!("the workspace {path}"))?;
    let found = fstat(&folder).within(Layer::View, path)?;
    if (found.st_dev, found.st_ino) != (*device, *inode) {
        return Err(refused("is another folder than when cairn was started"));
    }
    if path == "/" {
        return Err(refused("the whole machine can't be a workspace"));
    }
    let tree = mounts::copy(&folder, Depth::All).within(Layer::View, path)?;
    let attributes = match plan.writable {
        true => PLAIN,
        false => PLAIN | READ_ONLY,
    };
    mounts::restrict(&tree, attributes, None, Depth::All).within(Layer::View, path)?;
    map_ids(&tree, &found, ids).within(
        Layer::Identity,
        format_args!("{path}: its file system can't show files as another user's"),
    )?;
    Ok(tree)
}

/// A folder to be seen in a private one; `None` if there is none.
fn kept_tree(root: &OwnedFd, path: &str, ids: &IdMaps) -> io::Result<Option<OwnedFd>> {
    let folder = match mounts::find(root, Path::new(path), Links::Followed) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let tree = mounts::copy(&folder, Depth::All)?;
    mounts::restrict(&tree, PLAIN | READ_ONLY, None, Depth::All)?;
    map_ids(&tree, &fstat(&folder)?, ids)?;
    Ok(Some(tree))
}

/// Shows what belongs to the folder's owner as the command's.
fn map_ids(tree: &OwnedFd, folder: &Stat, ids: &IdMaps) -> io::Result<()> {
    match ids.of_owner((folder.st_uid, folder.st_gid))? {
        Some(map) => mounts::restrict(tree, 0, Some(map), Depth::All),
        None => Ok(()),
    }
}

/// Copies of the machine's own devices, each by its name.
fn devices(root: &OwnedFd) -> io::Result<Vec<(&'static str, OwnedFd)>> {
    DEVICES
        .into_iter()
        .chain(["tty"])
        .map(|name| {
            let device = mounts::find(root, &Path::new("/dev").join(name), Links::Refused)?;
            let tree = mounts::copy(&device, Depth::One)?;
            mounts::restrict(&tree, MOUNT_DEVICE, None, Depth::One)?;
            Ok((name, tree))
        })
        .collect()
}

const MOUNT_DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

fn place_devices(root: &OwnedFd, devices: Vec<(&'static str, OwnedFd)>) -> io::Result<()> {
    let options = [("mode", "755"), ("size", "64k"), ("nr_inodes", "64")];
    let tree = mounts::file_system("tmpfs", &options, MOUNT_DEVICE)?;
    mounts::attach(
        &tree,
        mounts::find(root, Path::new("/dev"), Links::Refused)?,
    )?;
    for (name, device) in devices {
        mounts::attach(device, new_file(&tree, name)?)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlinkat(target, &tree, name)?;
    }
    let options = [("ptmxmode", "0666"), ("mode", "620")];
    let terminals = mounts::file_system("devpts", &options, MOUNT_DEVICE)?;
    mounts::attach(terminals, new_folder(&tree, OsStr::new("pts"), 0o755)?)?;
    let memory = SHARED_MEMORY_BYTES.to_string();
    let options = [("mode", "1777"), ("size", memory.as_str())];
    let memory = mounts::file_system("tmpfs", &options, PLAIN)?;
    mounts::attach(memory, new_folder(&tree, OsStr::new("shm"), 0o755)?)?;
    mounts::restrict(&tree, READ_ONLY, None, Depth::One)
}

/// The command's own `/proc`, where the machine can't be changed.
fn process_files(root: &OwnedFd) -> io::Result<()> {
    let attributes = PLAIN | libc::MOUNT_ATTR_NOEXEC;
    let tree = mounts::file_system("proc", &[], attributes)?;
    mounts::attach(
        &tree,
        mounts::find(root, Path::new("/proc"), Links::Refused)?,
    )?;
    for name in PROC_READ_ONLY {
        if let Some(place) = existing(&tree, Path::new(name))? {
            let own = mounts::copy(&place, Depth::All)?;
            mounts::restrict(&own, READ_ONLY | attributes, None, Depth::All)?;
            mounts::attach(own, place)?;
        }
    }
    let null = null(root)?;
    for name in PROC_HIDDEN {
        hide(&tree, Path::new(name), &null)?;
    }
    Ok(())
}

/// An empty folder of the command's own at a path.
fn private_folder(root: &OwnedFd, path: &str, bytes: u64, plan: &Plan) -> io::Result<()> {
    let Some(at) = existing(root, Path::new(path))? else {
        return Ok(());
    };
    let found = fstat(&at)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    let tree = own_folder(found.st_mode & 0o1777, bytes, plan)?;
    mounts::attach(tree, at)
}

/// A new folder in memory that is the command's.
fn own_folder(mode: u32, bytes: u64, plan: &Plan) -> io::Result<OwnedFd> {
    let (size, mode) = (bytes.to_string(), format!("{mode:o}"));
    let mut options = vec![("mode", mode.as_str()), ("size", size.as_str())];
    let id = plan.guest.map(|guest| guest.id.to_string());
    if let Some(id) = &id {
        options.extend([("uid", id.as_str()), ("gid", id.as_str())]);
    }
    mounts::file_system("tmpfs", &options, PLAIN)
}

/// Opens a folder to mount on. What is missing is made, which only works in
/// private folders; what the command could not pass is covered by a folder that
/// has nothing but the way.
fn folder(root: &OwnedFd, path: &Path, plan: &Plan) -> io::Result<OwnedFd> {
    let mut at = root.try_clone()?;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            continue;
        };
        let mut next = match existing(&at, Path::new(name))? {
            Some(next) => next,
            None => new_folder(&at, name, 0o755)?,
        };
        if components.peek().is_some() && !is_passable(&fstat(&next)?, plan) {
            let way = own_folder(0o755, 1 << 20, plan)?;
            mounts::attach(&way, &next)?;
            next = way;
        }
        at = next;
    }
    Ok(at)
}

fn is_passable(folder: &Stat, plan: &Plan) -> bool {
    match plan.guest {
        Some(guest) if folder.st_uid == guest.id => folder.st_mode & 0o100 != 0,
        Some(_) => folder.st_mode & 0o001 != 0,
        None => true,
    }
}

/// Holds a path of the workspace in place, by a mount of its own with these attributes
/// beside those that the workspace has.
fn pin(workspace: &OwnedFd, path: &Path, attributes: u64) -> io::Result<()> {
    // A link on the way may be swapped, and lead anywhere: then nothing runs.
    let place = match mounts::find(workspace, path, Links::Refused) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Symlink {
        return Err(io::Error::other(
            "a protected path that is a symbolic link; make it a file or a folder",
        ));
    }
    let tree = mounts::copy(&place, Depth::All)?;
    mounts::restrict(&tree, attributes, None, Depth::All)?;
    mounts::attach(tree, place)
}

/// What hidden files look like.
fn null(root: &OwnedFd) -> io::Result<OwnedFd> {
    mounts::find(root, Path::new("/dev/null"), Links::Refused)
}

/// Keeps the folders between the workspace and a place to hide where they are: with
/// one of them moved aside, the next command would find the place by another name.
fn hold_way(
    root: &OwnedFd,
    path: &Path,
    workspace: &Path,
    held: &mut HashSet<PathBuf>,
) -> io::Result<()> {
    let Some(place) = to_hide(root, path)? else {
        return Ok(());
    };
    // Links on the way are followed: what counts is where it really is.
    let real = std::fs::read_link(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    let Ok(below) = real.strip_prefix(workspace) else {
        return Ok(());
    };
    let mut at = workspace.to_owned();
    for name in below.parent().into_iter().flat_map(Path::components) {
        at.push(name);
        if held.insert(at.clone()) {
            let folder = mounts::find(root, &at, Links::Refused)?;
            mounts::attach(mounts::copy(&folder, Depth::All)?, folder)?;
        }
    }
    Ok(())
}

/// Where a path to hide leads, if it does. What this process can't reach the command
/// can't either.
fn to_hide(root: &OwnedFd, path: &Path) -> io::Result<Option<OwnedFd>> {
    match mounts::find(root, path, Links::Followed) {
        Ok(place) => Ok(Some(place)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied => Ok(None),
            _ => Err(error),
        },
    }
}

/// Covers a file or a folder with an empty one.
fn hide(root: &OwnedFd, path: &Path, null: &OwnedFd) -> io::Result<()> {
    let Some(place) = to_hide(root, path)? else {
        return Ok(());
    };
    let cover = match FileType::from_raw_mode(fstat(&place)?.st_mode) {
        FileType::Directory => {
            let options = [("mode", "555"), ("size", "4k"), ("nr_inodes", "1")];
            mounts::file_system("tmpfs", &options, PLAIN | READ_ONLY)?
        }
        _ => mounts::copy(null, Depth::One)?,
    };
    mounts::attach(cover, place)
}

fn existing(folder: &OwnedFd, path: &Path) -> io::Result<Option<OwnedFd>> {
    match mounts::find(folder, path, Links::Refused) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn new_folder(parent: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => mounts::find(parent, Path::new(name), Links::Refused),
        Err(error) => Err(error.into()),
    }
}

fn new_file(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(openat(
        parent.as_fd(),
        name,
        flags,
        Mode::from_raw_mode(0o444),
    )?);
    mounts::find(parent, &PathBuf::from(name), Links::Refused)
}
