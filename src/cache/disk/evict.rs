//! Keeping within the limit: what was not used for longest goes. Other processes
//! write and remove as well, so sizes are estimates that are corrected at times, and
//! a file that is gone already is as good as removed.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{self, Found, TEMPORARY};
use super::limit::Limit;

/// Part of the limit that is left after files were removed: else each write would
/// have to look for one.
const LEFT: f64 = 0.9;
/// Writes between two looks at what there is.
const LOOK: usize = 256;

/// The blocks of all fingerprints below a folder, and what is no block.
pub(super) fn everything(root: &Path) -> Vec<Found> {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .filter_map(|folder| files::list(&folder.path()).ok())
        .flatten()
        .collect()
}

pub(super) fn is_block(found: &Found) -> bool {
    super::Key::parse(&found.name).is_some()
}

/// Removes files, the longest unused first, until no more than `bytes` are left; says
/// how many files and bytes went.
pub(super) fn shrink(mut found: Vec<Found>, bytes: u64) -> (usize, u64) {
    found.retain(is_block);
    found.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
    let mut held: u64 = found.iter().map(|file| file.bytes).sum();
    let (mut files, mut removed) = (0, 0);
    for file in found {
        if held <= bytes {
            break;
        }
        held -= file.bytes;
        if fs::remove_file(&file.path).is_ok() {
            files += 1;
            removed += file.bytes;
        }
    }
    (files, removed)
}

/// What one process knows of the limit.
pub(super) struct Bounds {
    /// The folder of all fingerprints.
    root: PathBuf,
    limit: Limit,
    bytes: u64,
    held: u64,
    /// Writes since the last look; none was taken yet.
    writes: Option<usize>,
}

impl Bounds {
    /// `folder` is that of one fingerprint.
    pub fn new(folder: &Path, limit: Limit) -> Self {
        Self {
            root: folder.parent().unwrap_or(folder).to_owned(),
            limit,
            bytes: 0,
            held: 0,
            writes: None,
        }
    }

    /// Makes room for a file; `false` if it would not fit alone.
    pub fn admit(&mut self, len: u64) -> bool {
        let due = self.writes.is_none_or(|writes| writes >= LOOK);
        if due || self.held + len > self.bytes {
            self.look(len);
        }
        if len > self.bytes {
            return false;
        }
        self.held += len;
        self.writes = self.writes.map(|writes| writes + 1);
        true
    }

    fn look(&mut self, len: u64) {
        let found = everything(&self.root);
        if self.writes.is_none() {
            let held = found.iter().map(|file| file.bytes).sum();
            self.bytes = self.limit.bytes(&self.root, held);
            files::sweep(&found);
        }
        self.writes = Some(0);
        let whole = |file: &&Found| !file.name.starts_with(TEMPORARY);
        self.held = found.iter().filter(whole).map(|file| file.bytes).sum();
        if self.held + len > self.bytes {
            let aim = (self.bytes as f64 * LEFT) as u64;
            let (_, removed) = shrink(found, aim.min(self.bytes.saturating_sub(len)));
            self.held = self.held.saturating_sub(removed);
        }
    }
}
