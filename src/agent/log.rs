//! The session log: entries in memory, and, where a file is given, each on disk
//! as one line before anything acts on it.

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::{Entry, Kind};
use super::machine::{Machine, Rules};

/// An append-only log.
#[derive(Debug)]
pub struct Journal {
    id: String,
    entries: Vec<Entry>,
    file: Option<File>,
}

impl Journal {
    /// A log that lives in memory.
    pub fn in_memory() -> Self {
        Self {
            id: session_id(),
            entries: Vec::new(),
            file: None,
        }
    }

    /// A log that is also written to a new file.
    ///
    /// # Errors
    /// When the file can't be made, or exists already.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Self {
            file: Some(file),
            ..Self::in_memory()
        })
    }

    /// What names this session.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry after the last one.
    ///
    /// # Errors
    /// When the line could not be written. The entry is in memory all the same,
    /// and the file is not written any further: a log with a hole is no log.
    pub fn append(&mut self, kind: Kind) -> io::Result<()> {
        let parent = self.entries.last().map(|entry| entry.id);
        let entry = Entry {
            id: parent.unwrap_or(0) + 1,
            parent,
            kind,
        };
        let written = self.file.as_mut().map_or(Ok(()), |file| {
            let mut line = serde_json::to_vec(&entry)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.flush()
        });
        if written.is_err() {
            self.file = None;
        }
        self.entries.push(entry);
        written
    }
}

/// The entries of a log's text. A last line that was cut off is left out, since
/// nothing acted on it.
///
/// # Errors
/// With the line number, when any other line is not an entry.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(n, line)| {
            serde_json::from_str(line).map_err(|e| format!("line {}: not an entry: {e}", n + 1))
        })
        .collect()
}

/// A log and the machine folded from it, kept in step: append, then apply.
#[derive(Debug)]
pub struct Session {
    journal: Journal,
    machine: Machine,
}

impl Session {
    pub fn new(journal: Journal, rules: Rules) -> Self {
        let machine = Machine::fold(rules, journal.entries());
        Self { journal, machine }
    }

    pub fn id(&self) -> &str {
        self.journal.id()
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// # Errors
    /// When the log's file could not be written; the session goes on in memory.
    pub fn record(&mut self, kind: Kind) -> io::Result<()> {
        let written = self.journal.append(kind);
        if let Some(entry) = self.journal.entries().last() {
            self.machine.apply(entry);
        }
        written
    }
}

/// Twelve characters: seconds since 1970, then randomness, both in base 32, so
/// that ids sort by age.
fn session_id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let random = hasher.finish();
    let digit = |value: u64, place: u32| char::from(DIGITS[(value >> (5 * place)) as usize % 32]);
    (0..7)
        .rev()
        .map(|place| digit(seconds, place))
        .chain((0..5).map(|place| digit(random, place)))
        .collect()
}
