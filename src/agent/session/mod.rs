//! Sessions: a log of entries whose fold is the machine's state, on disk as one
//! folder per session, so that a conversation is resumed, forked and replayed.

mod export;
mod folder;
mod header;
mod id;
mod line;
mod log;
mod read;
mod record;
mod trace;

#[cfg(test)]
mod tests;

use std::io;

pub use export::{json, markdown, token as token_json};
pub use folder::{Forked, Opened, SessionError, Sessions, Summary};
pub use header::{BundleName, Chosen, ForkedFrom, Header, VERSION};
pub(in crate::agent) use line::now;
pub use log::{Journal, path_to};
pub use read::{Damage, Error as ReadError, Log, parse};
pub use record::{Begin, Noted};
pub use trace::{Partial, Span, Trace};

use super::entry::{Kind, Opening};
use super::machine::{Machine, Rules};
use super::opening::Beginning;

/// A log and the machine folded from it, kept in step: append, then apply.
#[derive(Debug)]
pub struct Session {
    journal: Journal,
    machine: Machine,
    rules: Rules,
}

/// What the next answer follows from, and where its tokens are noted.
pub(super) struct Place<'a> {
    pub machine: &'a Machine,
    /// The entry it follows.
    pub head: Option<u64>,
    pub beginning: Beginning,
    pub trace: &'a mut Trace,
}

impl Session {
    pub fn new(journal: Journal, rules: Rules) -> Self {
        let machine = Machine::fold(rules.clone(), journal.path());
        Self {
            journal,
            machine,
            rules,
        }
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

    pub(super) fn place(&mut self) -> Place<'_> {
        let opening = self.machine.opening();
        let beginning = opening.map_or_else(Beginning::default, |opening| {
            Beginning::of(opening, &self.journal)
        });
        Place {
            machine: &self.machine,
            head: self.journal.head(),
            beginning,
            trace: self.journal.trace(),
        }
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

    /// Goes back to an entry, or to the beginning: what follows is a branch, whose next
    /// answer may have an opening.
    ///
    /// # Errors
    /// As [`Session::record`].
    pub fn branch(&mut self, after: Option<u64>, opening: Option<Opening>) -> io::Result<()> {
        let from = self.journal.head().unwrap_or(0);
        let fork = Kind::Fork { from, opening };
        let written = self.journal.append_after(after, fork);
        self.machine = Machine::fold(self.rules.clone(), self.journal.path());
        written
    }
}
