//! A walk over the workspace that looks at everything and reads nothing: what is
//! there, and what of it can't be kept. What `.gitignore` files say is taken down
//! at the first walk of a turn and holds for its later ones, so that a command
//! can't take files out of undo's sight by writing such a file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ignore::gitignore::Gitignore;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use super::Limits;
use super::node::{Name, Stamp, Why};
use super::place;
use crate::sandbox::{MAX_DEPTH, MAX_IGNORE_BYTES, is_ignored, parse_rules};

/// What a walk finds at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Not read yet.
    File,
    Link(OsString),
    Folder,
    /// `born` tells one that was moved from one that was made anew.
    Ignored {
        born: Option<i64>,
    },
    Unkept(Why),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub stamp: Stamp,
    pub what: What,
}

pub type Listing = BTreeMap<PathBuf, Found>;

/// What was excluded at some time.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Of ignore files, by the folder that they are relative to.
    texts: BTreeMap<PathBuf, Vec<u8>>,
    parsed: BTreeMap<PathBuf, Gitignore>,
    /// Of `.git/info/exclude`.
    outermost: Option<Gitignore>,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

/// Rules as they are written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RulesText {
    files: Vec<(Name, String)>,
    outermost: Option<String>,
}

impl Rules {
    /// Rules that nothing was read for yet.
    fn reading(root: BorrowedFd<'_>) -> Self {
        let folder = place::folder(root, Path::new(".git/info"));
        let text = folder.ok().and_then(|folder| small(&folder, "exclude"));
        let mut rules = Self::default();
        if let Some(text) = text {
            rules.outermost = parse_rules(&text, Path::new(""));
            rules.texts.insert(PathBuf::from(EXCLUDE), text);
        }
        rules
    }

    fn read(&mut self, folder: &OwnedFd, path: &Path) {
        if let Some(text) = small(folder, ".gitignore") {
            self.add(path.to_owned(), text);
        }
    }

    fn add(&mut self, base: PathBuf, text: Vec<u8>) {
        if let Some(parsed) = parse_rules(&text, &base) {
            self.parsed.insert(base.clone(), parsed);
        }
        self.texts.insert(base, text);
    }

    fn ignore(&self, path: &Path, folder: bool) -> bool {
        let inner = path
            .ancestors()
            .skip(1)
            .filter_map(|base| self.parsed.get(base));
        is_ignored(inner.chain(&self.outermost), path, folder)
    }

    pub fn write(&self) -> RulesText {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let files = self
            .texts
            .iter()
            .filter(|(base, _)| *base != Path::new(EXCLUDE));
        RulesText {
            files: files
                .map(|(base, bytes)| (Name(base.clone()), text(bytes)))
                .collect(),
            outermost: self.texts.get(Path::new(EXCLUDE)).map(|bytes| text(bytes)),
        }
    }

    pub fn of(text: &RulesText) -> Self {
        let mut rules = Self::default();
        if let Some(text) = &text.outermost {
            rules.outermost = parse_rules(text.as_bytes(), Path::new(""));
            rules
                .texts
                .insert(PathBuf::from(EXCLUDE), text.clone().into_bytes());
        }
        for (base, text) in &text.files {
            rules.add(base.0.clone(), text.clone().into_bytes());
        }
        rules
    }
}

const EXCLUDE: &str = ".git/info/exclude";

/// An ignore file's text; a link is none.
fn small(folder: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    let file = place::open(folder, OsStr::new(name)).ok()?;
    let stamp = place::stat_open(&file).ok()?;
    let mut bytes = Vec::new();
    if place::file_type(&stamp) == FileType::RegularFile {
        file.take(MAX_IGNORE_BYTES).read_to_end(&mut bytes).ok()?;
    }
    Some(bytes)
}

/// By which rules a walk passes things over.
pub enum By<'a> {
    /// Those that stand in the workspace now.
    Live,
    /// Those of an earlier walk, and what it covered is covered whatever they say.
    Earlier(&'a Rules, &'a dyn Fn(&Path) -> bool),
}

struct Walk<'a> {
    limits: &'a Limits,
    by: By<'a>,
    live: Rules,
    listing: Listing,
    bytes: u64,
}

/// Looks at everything below `root`, which is listed as the empty path. Returns the
/// rules that were read, if they were.
///
/// # Errors
/// When the workspace itself can't be read.
pub fn walk(root: BorrowedFd<'_>, by: By<'_>, limits: &Limits) -> io::Result<(Listing, Rules)> {
    let folder = place::folder(root, Path::new(""))?;
    let live = match by {
        By::Live => Rules::reading(root),
        By::Earlier(..) => Rules::default(),
    };
    let mut walk = Walk {
        limits,
        by,
        live,
        listing: Listing::new(),
        bytes: 0,
    };
    let stamp = place::stat_open(&folder)?;
    walk.folder(folder, PathBuf::new(), stamp, 0)?;
    Ok((walk.listing, walk.live))
}

impl Walk<'_> {
    fn note(&mut self, path: PathBuf, stamp: Stamp, what: What) {
        self.listing.insert(path, Found { stamp, what });
    }

    fn ignored(&self, path: &Path, folder: bool) -> bool {
        // A repository's own files are git's to bring back.
        if path
            .file_name()
            .is_some_and(|name| name.eq_ignore_ascii_case(".git"))
        {
            return true;
        }
        match &self.by {
            By::Live => self.live.ignore(path, folder),
            By::Earlier(rules, covered) => rules.ignore(path, folder) && !covered(path),
        }
    }

    fn folder(
        &mut self,
        folder: OwnedFd,
        path: PathBuf,
        stamp: Stamp,
        depth: usize,
    ) -> io::Result<()> {
        let room = self.limits.entries.saturating_sub(self.listing.len());
        let names = match depth {
            MAX_DEPTH => None,
            _ => place::names(&folder, room)?,
        };
        let Some(names) = names else {
            self.note(path, stamp, What::Unkept(Why::Many));
            return Ok(());
        };
        if matches!(self.by, By::Live) {
            self.live.read(&folder, &path);
        }
        self.note(path.clone(), stamp, What::Folder);
        for name in names {
            // Others work here, too: what is gone is gone.
            if let Some(stamp) = place::stat(&folder, &name)? {
                self.entry(&folder, &name, path.join(&name), stamp, depth)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        stamp: Stamp,
        depth: usize,
    ) -> io::Result<()> {
        let kind = place::file_type(&stamp);
        if self.ignored(&path, kind == FileType::Directory) {
            let born = place::born(folder, name);
            self.note(path, stamp, What::Ignored { born });
            return Ok(());
        }
        let what = match kind {
            FileType::Directory => match place::folder(folder.as_fd(), Path::new(name)) {
                Ok(below) => match self.folder(below, path.clone(), stamp, depth + 1) {
                    Ok(()) => return Ok(()),
                    Err(_) => What::Unkept(Why::Unreadable),
                },
                Err(error) if place::is_absence(&error) => return Ok(()),
                Err(_) => What::Unkept(Why::Unreadable),
            },
            FileType::Symlink => match place::read_link(folder, name) {
                Ok(target) => What::Link(target),
                Err(_) => What::Unkept(Why::Unreadable),
            },
            FileType::RegularFile => self.file(folder, name, &stamp),
            _ => What::Unkept(Why::Special),
        };
        self.note(path, stamp, what);
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, name: &OsStr, stamp: &Stamp) -> What {
        if stamp.size > self.limits.file_bytes {
            return What::Unkept(Why::Large);
        }
        if self.bytes.saturating_add(stamp.size) > self.limits.total_bytes {
            return What::Unkept(Why::Total);
        }
        if !place::is_readable(folder, name, stamp) {
            return What::Unkept(Why::Unreadable);
        }
        self.bytes += stamp.size;
        What::File
    }
}
