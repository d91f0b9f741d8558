//! Turns on disk: one file each, written before the first thing that the turn
//! changes and again with what became of it. A turn that a crash cut off is there
//! with all that it would have changed.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::index::{Tree, Written};
use super::node::{Hash, Name, Node};
use super::scan::Rules;
use super::store;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Going on, or cut off.
    Open,
    Done,
    Undone,
}

/// A call whose end was not seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenCall {
    /// It writes these and what they say was there.
    Paths(Vec<(Name, Node)>),
    /// It may do anything; the workspace is in the index of this number.
    Workspace(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub id: u64,
    /// What the user asked for, shortened.
    pub label: String,
    pub state: State,
    /// The end was not seen: what others changed since is in here, too.
    pub cut_off: bool,
    pub changes: Changes,
    pub call: Option<OpenCall>,
}

impl Turn {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let changed = self.changes.nodes.values();
        let open = match &self.call {
            Some(OpenCall::Paths(paths)) => paths.as_slice(),
            _ => &[],
        };
        changed
            .flat_map(|change| [&change.before, &change.after])
            .chain(open.iter().map(|(_, node)| node))
    }

    /// Contents that this turn needs.
    pub fn hashes(&self, into: &mut HashSet<Hash>) {
        into.extend(self.nodes().filter_map(|node| match node {
            Node::File { hash, .. } => Some(*hash),
            _ => None,
        }));
    }
}

/// The folder with turns and indexes.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
}

const TURN: &str = "turn-";
const INDEX: &str = "index-";

impl Records {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn path(&self, kind: &str, number: u64) -> PathBuf {
        self.folder.join(format!("{kind}{number:010}"))
    }

    /// Numbers of a kind, in order.
    fn numbers(&self, kind: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(kind));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub fn save(&self, turn: &Turn) -> io::Result<()> {
        store::write(&self.path(TURN, turn.id), &serde_json::to_vec(turn)?)
    }

    pub fn remove(&self, id: u64) -> io::Result<()> {
        match fs::remove_file(self.path(TURN, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub fn turn(&self, id: u64) -> io::Result<Turn> {
        Ok(serde_json::from_slice(&fs::read(self.path(TURN, id))?)?)
    }

    /// Oldest first. One that can't be read is nobody's any more.
    pub fn turns(&self) -> io::Result<Vec<Turn>> {
        let mut turns = Vec::new();
        for id in self.numbers(TURN)? {
            match self.turn(id) {
                Ok(turn) => turns.push(turn),
                Err(_) => self.remove(id)?,
            }
        }
        Ok(turns)
    }

    pub fn last_id(&self) -> io::Result<u64> {
        Ok(self.numbers(TURN)?.last().copied().unwrap_or(0))
    }

    /// The number of the newest index.
    pub fn newest(&self) -> io::Result<Option<u64>> {
        Ok(self.numbers(INDEX)?.last().copied())
    }

    pub fn index(&self, number: u64) -> io::Result<(Tree, Rules)> {
        let written: Written = super::index::parse(&fs::read(self.path(INDEX, number))?)?;
        Ok((written.tree, Rules::of(&written.rules)))
    }

    /// Writes another index; returns its number.
    pub fn add_index(&self, tree: &Tree, rules: &Rules) -> io::Result<u64> {
        #[derive(Serialize)]
        struct Writing<'a> {
            rules: super::scan::RulesText,
            tree: &'a Tree,
        }
        let number = self.newest()?.unwrap_or(0) + 1;
        let rules = rules.write();
        let text = serde_json::to_vec(&Writing { rules, tree })?;
        store::write(&self.path(INDEX, number), &text)?;
        Ok(number)
    }

    /// Removes the indexes older than this one.
    pub fn remove_older(&self, number: u64) -> io::Result<()> {
        for old in self.numbers(INDEX)? {
            if old < number {
                fs::remove_file(self.path(INDEX, old))?;
            }
        }
        Ok(())
    }
}
