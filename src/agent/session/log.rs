//! The journal of a session: entries in memory, and, once there are some and a
//! folder is given, each on disk as one line before anything acts on it. Entries
//! form a tree; the last one written is its head, and what counts is the path
//! from the head to the root.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::folder::Sessions;
use super::header::Header;
use super::line;
use super::record::Noted;
use super::trace::{Span, Trace};
use crate::agent::entry::{Entry, Kind};

/// Where entries go besides memory.
#[derive(Debug)]
enum Keeper {
    Nowhere,
    /// Into a session that is made with its first entry.
    New(Box<Header>, Sessions),
    File(Open),
}

/// A log that this process has locked.
#[derive(Debug)]
pub(super) struct Open {
    pub file: File,
    /// Bytes of whole lines.
    pub end: u64,
}

/// An append-only log.
#[derive(Debug)]
pub struct Journal {
    id: String,
    entries: Vec<Entry>,
    keeper: Keeper,
    /// Lines that could not be written yet.
    waiting: Vec<u8>,
    /// Whether the last write failed.
    failing: bool,
    trace: Trace,
}

impl Journal {
    /// A log that lives in memory.
    pub fn in_memory() -> Self {
        Self::with(super::id::draw(), Keeper::Nowhere)
    }

    /// A log that is made in a folder when it has something to keep.
    pub fn in_folder(header: Header, folder: Sessions) -> Self {
        Self::with(header.id.clone(), Keeper::New(Box::new(header), folder))
    }

    /// A log that exists.
    pub(super) fn opened(id: String, entries: Vec<Entry>, open: Open, trace: Trace) -> Self {
        Self {
            entries,
            trace,
            ..Self::with(id, Keeper::File(open))
        }
    }

    fn with(id: String, keeper: Keeper) -> Self {
        Self {
            id,
            entries: Vec::new(),
            keeper,
            waiting: Vec::new(),
            failing: false,
            trace: Trace::nowhere(),
        }
    }

    /// What names this session.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All of them, other branches included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that the next one follows.
    pub fn head(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.id)
    }

    /// The entries from the root to the head.
    pub fn path(&self) -> Vec<&Entry> {
        path_to(&self.entries, self.head())
    }

    /// An entry, on whichever branch.
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        self.entries.get(at)
    }

    /// The tokens of an answer, as far as they were kept.
    pub fn tokens(&self, span: Span) -> Vec<Noted> {
        self.trace.tokens(span)
    }

    /// Generated tokens are noted here as they come.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// Adds an entry after the head.
    ///
    /// # Errors
    /// When the line could not be written, unless the one before could not either:
    /// it is said once. The entry is in memory all the same, and is written with the
    /// next one that can be: a log has no holes.
    pub fn append(&mut self, kind: Kind) -> io::Result<()> {
        self.append_after(self.head(), kind)
    }

    /// Adds an entry after another one than the head, which begins a branch.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_after(&mut self, parent: Option<u64>, kind: Kind) -> io::Result<()> {
        let entry = Entry {
            id: self.entries.len() as u64 + 1,
            parent,
            kind,
        };
        let written = self.write(&entry);
        self.entries.push(entry);
        let news = written.is_err() && !self.failing;
        self.failing = written.is_err();
        match news {
            true => written,
            false => Ok(()),
        }
    }

    /// Writes to another file from here on.
    #[cfg(test)]
    pub(super) fn set_file(&mut self, open: Open) {
        self.keeper = Keeper::File(open);
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        if matches!(self.keeper, Keeper::Nowhere) {
            return Ok(());
        }
        self.waiting.extend(line::write(entry)?);
        if let Keeper::New(header, folder) = &self.keeper {
            let (open, trace) = folder.create(header)?;
            self.trace = trace;
            self.keeper = Keeper::File(open);
        }
        if let Keeper::File(open) = &mut self.keeper {
            open.write(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }
}

impl Open {
    /// Adds whole lines; where that fails, none.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self
            .file
            .write_all(lines)
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            // What is left of a line would be repaired when the log is next opened.
            let _ = self.file.set_len(self.end);
            return written;
        }
        self.end += lines.len() as u64;
        Ok(())
    }
}

/// The entries from the root to `head`. `entries` are in the order of their ids,
/// which count from 1.
pub fn path_to(entries: &[Entry], head: Option<u64>) -> Vec<&Entry> {
    let mut path = Vec::new();
    let mut next = head;
    while let Some(id) = next {
        let entry = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let Some(entry) = entry.and_then(|at| entries.get(at)) else {
            break;
        };
        // Parents have smaller ids, so this ends.
        next = entry.parent.filter(|parent| *parent < id);
        path.push(entry);
    }
    path.reverse();
    path
}
