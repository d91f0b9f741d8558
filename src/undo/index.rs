//! The workspace at one moment, with every covered file kept: what a turn is
//! compared with, and an index by which the next checkpoint reads only files that
//! changed. A file is taken for unchanged if its stamp is, time of change included,
//! and that time was well past when it was read: a later change can't have the same.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use super::node::{Hash, Name, Node, Stamp, Why};
use super::place;
use super::scan::{Found, Listing, What};
use super::store::{KeepError, Store};
use super::{Error, Limits};

/// File systems count time in ticks of up to 10 ms; in nanoseconds.
const TICK: i64 = 100_000_000;

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub stamp: Stamp,
    pub node: Node,
    /// When a file was read.
    pub taken: i64,
    /// Of what is ignored, when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree(pub BTreeMap<Name, Seen>);

/// What becomes of a file that there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// The checkpoint fails.
    Must,
    /// It is noted as not kept.
    May,
}

impl Tree {
    pub fn get(&self, path: &Path) -> Option<&Seen> {
        self.0.get(path)
    }

    /// Adds the contents that it needs.
    pub fn hashes(&self, into: &mut HashSet<Hash>) {
        into.extend(self.0.values().filter_map(|seen| match &seen.node {
            Node::File { hash, .. } => Some(*hash),
            _ => None,
        }));
    }

    /// Keeps what a walk has found.
    ///
    /// # Errors
    /// When a copy can't be made, or the user has stopped it.
    pub fn take(
        root: BorrowedFd<'_>,
        listing: Listing,
        earlier: Option<&Self>,
        store: &mut Store,
        keeping: Keeping,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let mut tree = BTreeMap::new();
        for (path, Found { stamp, what }) in listing {
            let unkept = |why| Node::Unkept { why, stamp };
            let (owner, mode) = (stamp.owner, stamp.permissions());
            let mut born = None;
            let node = match what {
                What::File => {
                    let old = earlier.and_then(|tree| tree.get(&path));
                    let known = old.filter(|old| old.holds(&stamp, store)).cloned();
                    let seen = match known {
                        Some(known) => Some(known),
                        None if cancelled() => return Err(Error::Stopped),
                        None => read(root, &path, store, keeping)?,
                    };
                    // Gone meanwhile, if not.
                    if let Some(seen) = seen {
                        tree.insert(Name(path), seen);
                    }
                    continue;
                }
                What::Link(target) => Node::Link { target, owner },
                What::Folder => Node::Folder { mode, owner },
                What::Ignored { born: when } => {
                    born = when;
                    unkept(Why::Ignored)
                }
                What::Unkept(why) => unkept(why),
            };
            let taken = 0;
            let seen = Seen {
                stamp,
                node,
                taken,
                born,
            };
            tree.insert(Name(path), seen);
        }
        Ok(Self(tree))
    }
}

impl Seen {
    /// Whether a file with this stamp has the bytes that were read then.
    fn holds(&self, stamp: &Stamp, store: &Store) -> bool {
        let settled = self.stamp.changed.saturating_add(TICK) < self.taken;
        let kept = matches!(&self.node, Node::File { hash, .. } if store.has(hash));
        settled && kept && self.stamp == *stamp
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// Keeps one file; `None` if there is none any more.
fn read(
    root: BorrowedFd<'_>,
    path: &Path,
    store: &mut Store,
    keeping: Keeping,
) -> Result<Option<Seen>, Error> {
    let taken = now();
    let opened = place::parent(root, path).and_then(|(folder, name)| {
        let stamp = place::stat(&folder, name)?;
        let file = place::open(&folder, name);
        Ok((stamp, file))
    });
    let (stamp, file) = match opened {
        Ok((Some(stamp), file)) => (stamp, file),
        Ok((None, _)) => return Ok(None),
        Err(error) if place::is_absence(&error) => return Ok(None),
        Err(error) => return Err(Error::Workspace(path.to_owned(), error)),
    };
    let seen = |stamp: Stamp, node| {
        Ok(Some(Seen {
            stamp,
            node,
            taken,
            born: None,
        }))
    };
    let unkept = |stamp, why| seen(stamp, Node::Unkept { why, stamp });
    let file = match file {
        Ok(file) => file,
        Err(error) if place::is_absence(&error) => return Ok(None),
        Err(_) => return unkept(stamp, Why::Unreadable),
    };
    let Ok(stamp) = place::stat_open(&file) else {
        return unkept(stamp, Why::Unreadable);
    };
    if place::file_type(&stamp) != FileType::RegularFile {
        return unkept(stamp, Why::Special);
    }
    match (store.keep(&file, stamp.size), keeping) {
        (Ok((hash, size)), _) => {
            let (mode, owner) = (stamp.permissions(), stamp.owner);
            let node = Node::File {
                hash,
                size,
                mode,
                owner,
            };
            seen(stamp, node)
        }
        (Err(KeepError::Source), _) => unkept(stamp, Why::Unreadable),
        (Err(KeepError::Store(_)), Keeping::May) => unkept(stamp, Why::NoRoom),
        (Err(KeepError::Store(error)), Keeping::Must) => Err(Error::Store(error)),
    }
}

/// What is at a path now. With a store, a file is kept.
///
/// # Errors
/// When there is no telling.
pub fn look(
    root: BorrowedFd<'_>,
    path: &Path,
    limits: &Limits,
    store: Option<(&mut Store, Keeping)>,
) -> Result<Node, Error> {
    match look_closely(root, path, limits, store) {
        // Somebody has shut a folder above it.
        Err(Error::Workspace(_, error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (why, stamp) = (Why::Unreadable, Stamp::default());
            Ok(Node::Unkept { why, stamp })
        }
        other => other,
    }
}

fn look_closely(
    root: BorrowedFd<'_>,
    path: &Path,
    limits: &Limits,
    store: Option<(&mut Store, Keeping)>,
) -> Result<Node, Error> {
    let failed = |error| Error::Workspace(path.to_owned(), error);
    let (folder, name) = if path.as_os_str().is_empty() {
        let root = place::folder(root, path).map_err(failed)?;
        let stamp = place::stat_open(&root).map_err(failed)?;
        let (mode, owner) = (stamp.permissions(), stamp.owner);
        return Ok(Node::Folder { mode, owner });
    } else {
        match place::parent(root, path) {
            Ok(found) => found,
            Err(error) if place::is_absence(&error) => return Ok(Node::Absent),
            Err(error) => return Err(failed(error)),
        }
    };
    let Some(stamp) = place::stat(&folder, name).map_err(failed)? else {
        return Ok(Node::Absent);
    };
    let unkept = |why| Ok(Node::Unkept { why, stamp });
    let (mode, owner) = (stamp.permissions(), stamp.owner);
    match place::file_type(&stamp) {
        FileType::Directory => {
            use std::os::fd::AsFd;
            match place::folder(folder.as_fd(), Path::new(name)) {
                Ok(_) => Ok(Node::Folder { mode, owner }),
                Err(_) => unkept(Why::Unreadable),
            }
        }
        FileType::Symlink => {
            let target = place::read_link(&folder, name).map_err(failed)?;
            Ok(Node::Link { target, owner })
        }
        FileType::RegularFile if stamp.size > limits.file_bytes => unkept(Why::Large),
        FileType::RegularFile => {
            if let Some((store, keeping)) = store {
                let seen = read(root, path, store, keeping)?;
                return Ok(seen.map_or(Node::Absent, |seen| seen.node));
            }
            let hashed = place::open(&folder, name).and_then(|file| super::store::hash(&file));
            match hashed {
                Ok((hash, size)) => Ok(Node::File {
                    hash,
                    size,
                    mode,
                    owner,
                }),
                Err(_) => unkept(Why::Unreadable),
            }
        }
        _ => unkept(Why::Special),
    }
}

/// Reads what was written down of a tree.
pub fn parse(bytes: &[u8]) -> io::Result<Written> {
    Ok(serde_json::from_slice(bytes)?)
}

/// A tree on disk, with the rules that it was taken by.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Written {
    pub rules: super::scan::RulesText,
    pub tree: Tree,
}
