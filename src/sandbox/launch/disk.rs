//! Room on the workspace's file system, looked at while a command runs: what fills
//! the disk is ended before others notice.

use std::time::{Duration, Instant};

use rustix::fs::fstatvfs;

use crate::sandbox::workspace::Workspace;

/// How often it is looked at.
const LOOKED: Duration = Duration::from_millis(100);

/// What is left to others, of bytes and of files.
const FLOOR_BYTES: u64 = 512 << 20;
const FLOOR_FILES: u64 = 20_000;

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

    /// The floor in bytes, if there is less left, of bytes or of files.
    pub fn is_full(&mut self) -> Option<u64> {
        if self.looked.elapsed() < LOOKED {
            return None;
        }
        self.looked = Instant::now();
        let Room { bytes, files } = room(self.workspace)?;
        let full = bytes < self.floor.bytes || files < self.floor.files;
        full.then_some(self.floor.bytes)
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
