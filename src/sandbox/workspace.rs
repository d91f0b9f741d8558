//! The one folder that file tools work in. Every path is resolved beneath an
//! open handle of that folder (`openat2` on Linux, component by component on
//! macOS), so neither `..`, nor an absolute path, nor a link, nor a folder
//! swapped for a link while we look can lead out of it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::policy::{Action, Decision, Forbidden, Policy, stays_inside};
use super::secrets;
use super::walk::Ignoring;

const INDEX_LOCK: &str = ".git/index.lock";

/// An open folder and the names by which a path into it may begin.
#[derive(Debug)]
pub struct Workspace {
    pub(super) dir: Dir,
    root: PathBuf,
    /// The root as the user wrote it, where that differs (a link to it).
    alias: PathBuf,
    /// What is in it and not for a model: secrets, cairn's own files. Relative.
    private: Vec<PathBuf>,
}

/// A name in a folder; `folder` says that it can be listed in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub folder: bool,
}

/// What a folder has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files, then folders, each by name.
    pub entries: Vec<Entry>,
    /// How many more are ignored by `.gitignore` files.
    pub ignored: usize,
    /// There are more than were looked at.
    pub cut: bool,
}

/// Why a file could not be used; the text is a reason, to stand after a path.
#[derive(Debug)]
pub enum FileError {
    Outside,
    /// By the policy.
    Forbidden(Forbidden),
    NotFound,
    IsDirectory,
    NotDirectory,
    /// A FIFO, a socket or a device.
    Special,
    BrokenLink,
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    Io(io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Outside => write!(f, "{}", Forbidden::Outside),
            FileError::Forbidden(why) => write!(f, "{why}"),
            FileError::NotFound => f.write_str("No such file or directory"),
            FileError::IsDirectory => f.write_str("is a directory"),
            FileError::NotDirectory => f.write_str("not a directory"),
            FileError::Special => f.write_str("not a regular file"),
            FileError::BrokenLink => f.write_str("a symbolic link that leads nowhere"),
            FileError::TooLarge { bytes, limit } => {
                write!(f, "too large ({bytes} bytes, the limit is {limit})")
            }
            FileError::Io(error) => {
                // The system's own words, without Rust's " (os error 13)".
                let text = error.to_string();
                f.write_str(text.split(" (os error").next().unwrap_or(&text))
            }
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            // cap-std's own refusal carries no system error number.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => FileError::Outside,
            io::ErrorKind::NotFound => FileError::NotFound,
            io::ErrorKind::IsADirectory => FileError::IsDirectory,
            io::ErrorKind::NotADirectory => FileError::NotDirectory,
            _ => FileError::Io(error),
        }
    }
}

impl Workspace {
    pub fn open(path: &Path) -> Result<Workspace, FileError> {
        let root = path.canonicalize()?;
        let alias = std::path::absolute(path)?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        let private = secrets::inside(&root);
        Ok(Workspace {
            dir,
            root,
            alias,
            private,
        })
    }

    /// The folder's canonical path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a path from the root, without links, is not for a model.
    pub(super) fn is_private(&self, path: &Path) -> bool {
        self.private.iter().any(|private| path.starts_with(private))
    }

    /// Refuses what was opened if it is not for a model.
    pub(super) fn require_public(&self, opened: &impl AsFd) -> Result<(), FileError> {
        match !self.private.is_empty() && self.is_private(&self.place(opened)?) {
            true => Err(FileError::Forbidden(Forbidden::Private)),
            false => Ok(()),
        }
    }

    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// A path as a model writes it, relative to the root: absolute paths are
    /// accepted where they begin with the root. A path that leaves by its text
    /// is refused here; one that leaves by a link, when it is opened.
    pub fn relative(&self, path: &str) -> Result<PathBuf, FileError> {
        if path.is_empty() || path.contains('\0') {
            return Err(FileError::NotFound);
        }
        let path = Path::new(path);
        let path = if path.is_absolute() {
            [&self.root, &self.alias]
                .iter()
                .find_map(|root| path.strip_prefix(root).ok())
                .ok_or(FileError::Outside)?
        } else {
            path
        };
        if !stays_inside(path) {
            return Err(FileError::Outside);
        }
        // `components` drops `.` and doubled slashes, and keeps `..`.
        let clean: PathBuf = path
            .components()
            .filter(|c| !matches!(c, std::path::Component::CurDir))
            .collect();
        Ok(if clean.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            clean
        })
    }

    /// What is in a folder: first its files, as what is asked about a folder is
    /// mostly those. A link to a folder counts as one if it stays inside. Of a folder
    /// of more than `limit` entries so many are looked at.
    pub fn list(&self, path: &str, limit: usize) -> Result<Listing, FileError> {
        let relative = self.relative(path)?;
        let dir = self.open_dir(&relative)?;
        self.require_public(&dir)?;
        let ignoring = Ignoring::above(&self.dir, &relative).within(&dir);
        let mut listing = Listing::default();
        for (number, entry) in dir.entries()?.enumerate() {
            if number == limit {
                listing.cut = true;
                break;
            }
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            if name == ".git" {
                continue;
            }
            if ignoring.leaves_out(Path::new(&name), kind.is_dir()) {
                listing.ignored += 1;
                continue;
            }
            let folder = kind.is_dir()
                || kind.is_symlink() && dir.metadata(&name).is_ok_and(|found| found.is_dir());
            listing.entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                folder,
            });
        }
        let entries = &mut listing.entries;
        entries.sort_by(|a, b| (a.folder, &a.name).cmp(&(b.folder, &b.name)));
        Ok(listing)
    }

    /// A regular file's bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        let (file, metadata) = open_regular(&self.dir, &self.relative(path)?)?;
        self.require_public(&file)?;
        let too_large = |bytes| FileError::TooLarge { bytes, limit };
        if metadata.len() > limit {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        // The file may grow meanwhile, and /proc-like files say that they have no length.
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// Replaces a file's content, or makes the file and the folders above it.
    /// Other processes see the old content or the new one, never a part; an
    /// existing file keeps its mode and, where possible, its owner; a link is
    /// followed and stays a link.
    pub fn write(&self, policy: &Policy, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        // What the path leads to is judged.
        let judge = |folder: &Dir, name: &OsStr| {
            let at = self.place(folder)?.join(name);
            if self.is_private(&at) {
                return Err(FileError::Forbidden(Forbidden::Private));
            }
            let action = Action::Write(&at);
            match policy.forbids(action) {
                Some(why) => Err(FileError::Forbidden(why)),
                None if policy.decide(action) == Decision::Deny => {
                    Err(FileError::Forbidden(Forbidden::Denied))
                }
                None => Ok(()),
            }
        };
        let relative = self.relative(path)?;
        // What it says counts, too, where that is a link to something harmless: others
        // go by the name.
        if let Some(why) = policy.forbids(Action::Write(&relative)) {
            return Err(FileError::Forbidden(why));
        }
        super::atomic::write(&self.dir, &relative, bytes, &judge)
    }

    /// Where writing to a path would change something: relative to the root, no
    /// component of it a link. What is missing on the way is part of it.
    pub fn written(&self, path: &str) -> Result<PathBuf, FileError> {
        let target = super::atomic::resolve(&self.dir, &self.relative(path)?)?;
        let mut there = target.parent().unwrap_or(Path::new(""));
        let folder = loop {
            let named = match there.as_os_str().is_empty() {
                true => Path::new("."),
                false => there,
            };
            match self.open_dir(named) {
                Ok(folder) => break folder,
                Err(FileError::NotFound) if named != Path::new(".") => {
                    there = there.parent().unwrap_or(Path::new(""));
                }
                Err(error) => return Err(error),
            }
        };
        let rest = target.strip_prefix(there).unwrap_or(&target);
        let written = self.place(&folder)?.join(rest);
        match stays_inside(rest) && !rest.components().any(|c| c == Component::ParentDir) {
            true => Ok(written),
            false => Err(FileError::NotFound),
        }
    }

    /// Where an open file or folder is, relative to the root.
    fn place(&self, opened: &impl AsFd) -> Result<PathBuf, FileError> {
        let [root, opened] = [self.dir.as_fd(), opened.as_fd()].map(path_of);
        let opened = opened?;
        let below = opened.strip_prefix(root?);
        Ok(below.map_err(|_| FileError::Outside)?.to_owned())
    }

    /// Whether the path is a folder.
    pub fn is_dir(&self, path: &str) -> Result<bool, FileError> {
        Ok(self.dir.metadata(self.relative(path)?)?.is_dir())
    }

    /// What the path is, a link at its end not followed.
    pub fn kind(&self, path: &str) -> Result<FileType, FileError> {
        Ok(self.dir.symlink_metadata(self.relative(path)?)?.file_type())
    }

    /// Takes away the lock that a git which was killed has left on the index.
    pub fn unlock_index(&self) -> Result<(), FileError> {
        Ok(self.dir.remove_file(INDEX_LOCK)?)
    }

    /// Whether some git works on the index, or has left its lock there.
    pub fn is_index_locked(&self) -> bool {
        self.dir.symlink_metadata(INDEX_LOCK).is_ok()
    }

    pub(super) fn open_dir(&self, relative: &Path) -> Result<Dir, FileError> {
        Ok(self.dir.open_dir(relative)?)
    }
}

/// Opens a file for reading if it is a regular one. A FIFO without a writer
/// would block an ordinary open for ever, and opening a device can have effects:
/// so it is looked at first, opened without blocking, and looked at again.
pub(super) fn open_regular(dir: &Dir, path: &Path) -> Result<(std::fs::File, Metadata), FileError> {
    require_regular(&dir.metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(no_block());
    let file = dir.open_with(path, &options)?;
    let metadata = file.metadata()?;
    require_regular(&metadata)?;
    Ok((file.into_std(), metadata))
}

/// The path by which an open folder is known now.
fn path_of(folder: BorrowedFd<'_>) -> io::Result<PathBuf> {
    #[cfg(target_os = "linux")]
    return std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    #[cfg(not(target_os = "linux"))]
    {
        use std::os::unix::ffi::OsStringExt;
        let path = rustix::fs::getpath(folder)?;
        Ok(std::ffi::OsString::from_vec(path.into_bytes()).into())
    }
}

pub(super) fn require_regular(metadata: &Metadata) -> Result<(), FileError> {
    if metadata.is_dir() {
        Err(FileError::IsDirectory)
    } else if metadata.is_file() {
        Ok(())
    } else {
        Err(FileError::Special)
    }
}

pub(super) fn no_block() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32
}
