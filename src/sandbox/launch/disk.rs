//! Room on the workspace's file system, looked at while a command runs: what fills
//! the disk is ended before others notice.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::fs::fstatvfs;

use crate::sandbox::workspace::Workspace;

/// How often it is looked at.
const LOOKED: Duration = Duration::from_millis(100);

/// What is left to others, of bytes and of files.
const FLOOR_BYTES: u64 = 512 << 20;
const FLOOR_FILES: u64 = 20_000;

/// What has to be left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    Bytes(u64),
    /// So many more files can be made.
    Files(u64),
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "less than {} MB", bytes / 1_000_000),
            Self::Files(files) => write!(f, "room for less than {files} files"),
        }
    }
}

pub struct Disk<'a> {
    workspace: &'a Workspace,
    floor: Room,
    looked: Instant,
}

#[derive(Clone, Copy)]
struct Room {
    bytes: u64,
    /// `u64::MAX` where files are not counted.
    files: u64,
}

impl<'a> Disk<'a> {
    /// On a disk that is nearly full a command may take half of what is left.
    pub fn of(workspace: &'a Workspace) -> Self {
        let floor = match room(workspace) {
            Some(Room { bytes, files }) => Room {
                bytes: FLOOR_BYTES.min(bytes / 2),
                files: FLOOR_FILES.min(files / 2),
            },
            None => Room { bytes: 0, files: 0 },
        };
        Self {
            workspace,
            floor,
            looked: Instant::now(),
        }
    }

    /// The floor under which there is less left, if there is.
    pub fn is_full(&mut self) -> Option<Floor> {
        if self.looked.elapsed() < LOOKED {
            return None;
        }
        self.looked = Instant::now();
        let Room { bytes, files } = room(self.workspace)?;
        if bytes < self.floor.bytes {
            Some(Floor::Bytes(self.floor.bytes))
        } else if files < self.floor.files {
            Some(Floor::Files(self.floor.files))
        } else {
            None
        }
    }
}

fn room(workspace: &Workspace) -> Option<Room> {
    let found = fstatvfs(workspace.handle()).ok()?;
    Some(Room {
        bytes: found.f_bavail.saturating_mul(found.f_frsize),
        files: match found.f_files {
            0 => u64::MAX,
            _ => found.f_favail,
        },
    })
}
