//! The folder of all fingerprints, as a user looks at it: what is there, whether it
//! is whole, and what may go.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::block::{self, Fault};
use super::evict::{everything, is_block, shrink};
use super::files::{self, Found};
use super::key::Key;
use super::limit::Limit;
use super::store::Identity;

/// Says in a fingerprint's folder whose it is.
const ABOUT: &str = "about.json";
/// Longest such file that is read.
const MOST_ABOUT: u64 = 1 << 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    v: u32,
    bundle: String,
    fingerprint: String,
    numerics: String,
}

impl About {
    pub fn of(identity: &Identity) -> Self {
        Self {
            v: 1,
            bundle: identity.bundle.clone(),
            fingerprint: identity.fingerprint.clone(),
            numerics: identity.numerics.clone(),
        }
    }

    pub fn keep_in(&self, folder: &Path) -> io::Result<()> {
        match Self::read(folder) {
            Some(there) if there == *self => Ok(()),
            _ => files::write(folder, ABOUT, &serde_json::to_vec(self)?),
        }
    }

    fn read(folder: &Path) -> Option<Self> {
        let file = files::open(&folder.join(ABOUT)).ok()?;
        let bytes = files::read(file, MOST_ABOUT).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// The blocks of one fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shelf {
    /// 64 hexadecimal digits.
    pub fingerprint: String,
    /// Name of the bundle and what computed them, where that was written down.
    pub bundle: Option<String>,
    pub numerics: Option<String>,
    pub blocks: usize,
    pub bytes: u64,
    /// Seconds since 1970 at the last use.
    pub used: Option<u64>,
}

/// All fingerprints, the last used first; none if there is no such folder.
///
/// # Errors
/// If the folder can't be read.
pub fn list(root: &Path) -> io::Result<Vec<Shelf>> {
    let mut shelves = Vec::new();
    for (key, folder) in shelves_of(root)? {
        let about = About::read(&folder);
        let mut found = files::list(&folder)?;
        found.retain(is_block);
        let used = found.iter().map(|file| file.used).max();
        shelves.push(Shelf {
            fingerprint: key.name(),
            bundle: about.as_ref().map(|about| about.bundle.clone()),
            numerics: about.map(|about| about.numerics),
            blocks: found.len(),
            bytes: found.iter().map(|file| file.bytes).sum(),
            used: used.and_then(seconds),
        });
    }
    shelves.sort_by(|a, b| (b.used, &b.fingerprint).cmp(&(a.used, &a.fingerprint)));
    Ok(shelves)
}

fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

fn shelves_of(root: &Path) -> io::Result<Vec<(Key, std::path::PathBuf)>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let folders = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let keys = folders.filter_map(|entry| {
        let key = Key::parse(&entry.file_name().to_string_lossy())?;
        Some((key, entry.path()))
    });
    Ok(keys.collect())
}

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub blocks: usize,
    pub bytes: u64,
    /// Files that were no whole blocks, and why; they are removed.
    pub broken: Vec<(String, String)>,
}

/// Reads every block and removes what is broken.
///
/// # Errors
/// If the folder can't be read.
pub fn verify(root: &Path) -> io::Result<Checked> {
    let mut checked = Checked::default();
    for (key, folder) in shelves_of(root)? {
        let found = files::list(&folder)?;
        for file in found.iter().filter(|file| is_block(file)) {
            let fault = match check(&key, file) {
                Ok(true) => {
                    checked.blocks += 1;
                    checked.bytes += file.bytes;
                    continue;
                }
                Ok(false) => continue,
                Err(fault) => fault,
            };
            let removed = fs::remove_file(&file.path);
            let kept = removed.err().map(|e| format!("; it can't be removed: {e}"));
            let name = format!("{}/{}", key.name(), file.name);
            let why = format!("{fault}{}", kept.unwrap_or_default());
            checked.broken.push((name, why));
        }
    }
    Ok(checked)
}

/// `false` if it has gone.
fn check(root: &Key, found: &Found) -> Result<bool, Fault> {
    let Some(name) = Key::parse(&found.name) else {
        return Err(Fault::Format);
    };
    match files::open(&found.path) {
        Ok(mut file) => {
            let len = file.metadata().map_err(Fault::Unreadable)?.len();
            block::check(&mut file, len, root, &name).map(|()| true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::Unreadable(error)),
    }
}

/// What [`gc`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Blocks removed to come below the limit, and their bytes.
    pub blocks: usize,
    pub bytes: u64,
    /// Files of processes that ended while they wrote.
    pub temporary: usize,
    /// Bytes that are left, and the limit.
    pub left: u64,
    pub limit: u64,
}

/// Removes what is left of writers that are gone, and the longest unused blocks over
/// the limit.
///
/// # Errors
/// If the folder can't be read.
pub fn gc(root: &Path, limit: Limit) -> io::Result<Collected> {
    let shelves = shelves_of(root)?;
    if shelves.is_empty() {
        return Ok(Collected::default());
    }
    let found = everything(root);
    let temporary = files::sweep(&found);
    let held: u64 = found
        .iter()
        .filter(|file| is_block(file))
        .map(|file| file.bytes)
        .sum();
    let limit = limit.bytes(root, held);
    let (blocks, bytes) = shrink(found, limit);
    Ok(Collected {
        blocks,
        bytes,
        temporary,
        left: held.saturating_sub(bytes),
        limit,
    })
}
