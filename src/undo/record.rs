//! Turns on disk: one file each, written before the first thing that the turn
//! changes and again with what became of it. Its name says which state the turn is
//! in, so a turn that a crash cut off is found without reading the others.

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Going on, or cut off.
    #[default]
    Open,
    Done,
    Undone,
    /// On a branch of a session that was left for another.
    Left,
}

impl State {
    const ALL: [Self; 4] = [Self::Open, Self::Done, Self::Undone, Self::Left];

    fn prefix(self) -> &'static str {
        match self {
            Self::Open => "open-",
            Self::Done => "done-",
            Self::Undone => "undone-",
            Self::Left => "left-",
        }
    }
}

/// A call whose end was not seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenCall {
    /// It writes these and what they say was there.
    Paths(Vec<(Name, Node)>),
    /// It may do anything; the workspace is in the index of this number.
    Workspace(u64),
}

/// What one call changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The call's name; `None` for what happened between calls, while a command ran in
    /// the background.
    pub call: Option<u64>,
    /// As in [`Turn`].
    pub cut_off: bool,
    pub changes: Changes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub id: u64,
    /// The number of the user's turn that this belongs to, which may be split; 0 in
    /// records of an earlier version.
    #[serde(default)]
    pub of: u64,
    /// What the user asked for, shortened.
    pub label: String,
    #[serde(skip)]
    pub state: State,
    /// The end was not seen: what others changed since is in here, too.
    pub cut_off: bool,
    /// Of all parts together.
    pub changes: Changes,
    /// In their order.
    #[serde(default)]
    pub parts: Vec<Part>,
    pub call: Option<OpenCall>,
    /// The name of `call`.
    #[serde(default)]
    pub name: Option<u64>,
}

impl Turn {
    /// Adds what the open call has changed.
    pub fn add(&mut self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        self.changes.then(&changes);
        self.parts.push(Part {
            call: self.name,
            cut_off: self.cut_off,
            changes,
        });
    }

    /// Has these be the parts.
    pub fn set_parts(&mut self, parts: Vec<Part>) {
        self.changes = Changes::default();
        parts
            .iter()
            .for_each(|part| self.changes.then(&part.changes));
        self.parts = parts;
    }

    /// Names of calls that changed something.
    pub fn calls(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().filter_map(|part| part.call)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let parts = self.parts.iter().map(|part| &part.changes);
        let all = std::iter::once(&self.changes).chain(parts);
        let changed = all.flat_map(|changes| changes.nodes.values());
        let open = match &self.call {
            Some(OpenCall::Paths(paths)) => paths.as_slice(),
            _ => &[],
        };
        changed
            .flat_map(|change| [&change.before, &change.after])
            .chain(open.iter().map(|(_, node)| node))
    }

    /// Contents that this turn needs.
    fn hashes(&self, into: &mut HashSet<Hash>) {
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

    /// Numbers of the turns in a state, oldest first.
    pub fn ids(&self, state: State) -> io::Result<Vec<u64>> {
        self.numbers(state.prefix())
    }

    pub fn save(&self, turn: &Turn) -> io::Result<()> {
        let path = self.path(turn.state.prefix(), turn.id);
        store::write(&path, &serde_json::to_vec(turn)?)
    }

    /// Has a turn that was saved be in another state.
    pub fn change(&self, turn: &mut Turn, state: State) -> io::Result<()> {
        let [from, to] = [turn.state, state].map(|state| self.path(state.prefix(), turn.id));
        fs::rename(from, to)?;
        turn.state = state;
        Ok(())
    }

    pub fn remove(&self, state: State, id: u64) -> io::Result<()> {
        match fs::remove_file(self.path(state.prefix(), id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// `None` for one that can't be read; it is nobody's any more.
    pub fn turn(&self, state: State, id: u64) -> io::Result<Option<Turn>> {
        let text = fs::read(self.path(state.prefix(), id))?;
        match serde_json::from_slice::<Turn>(&text) {
            Ok(turn) => Ok(Some(Turn { id, state, ..turn })),
            Err(_) => {
                self.remove(state, id)?;
                Ok(None)
            }
        }
    }

    /// The number of the newest turn; 0 if there is none.
    pub fn last_id(&self) -> io::Result<u64> {
        let mut last = 0;
        for state in State::ALL {
            last = last.max(self.ids(state)?.last().copied().unwrap_or(0));
        }
        Ok(last)
    }

    /// Contents that turns need.
    pub fn hashes(&self, into: &mut HashSet<Hash>) -> io::Result<()> {
        for state in State::ALL {
            for id in self.ids(state)? {
                if let Some(turn) = self.turn(state, id)? {
                    turn.hashes(into);
                }
            }
        }
        Ok(())
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
