//! What became of the workspace between two moments, and what several such changes
//! are together.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use super::index::{Seen, Tree};
use super::node::{Name, Node, Why};
use super::place;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub before: Node,
    pub after: Node,
}

/// Something ignored that came elsewhere, mostly with the folder around it. Nobody
/// kept it, so it is moved back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub from: Name,
    pub to: Name,
    pub inode: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub nodes: BTreeMap<Name, Change>,
    pub moves: Vec<Move>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.moves.is_empty()
    }

    /// Adds what happened to a path after all that is here.
    pub fn add(&mut self, path: Name, change: Change) {
        let known = self.nodes.entry(path.clone()).or_insert_with(|| Change {
            before: change.before.clone(),
            after: change.before.clone(),
        });
        // Somebody else changed it in between: theirs is what undo comes back to.
        if !known.after.agrees(&change.before) {
            known.before = change.before;
        }
        known.after = change.after;
        if known.before.agrees(&known.after) {
            self.nodes.remove(&path);
        }
    }

    /// Adds what happened after all that is here.
    pub fn then(&mut self, later: &Self) {
        for (path, change) in &later.nodes {
            self.add(path.clone(), change.clone());
        }
        later.moves.iter().for_each(|m| self.add_move(m.clone()));
    }

    fn add_move(&mut self, new: Move) {
        match self
            .moves
            .iter()
            .position(|old| old.to == new.from && old.inode == new.inode)
        {
            Some(at) if self.moves[at].from == new.to => {
                self.moves.remove(at);
            }
            Some(at) => self.moves[at].to = new.to,
            None => self.moves.push(new),
        }
    }

    /// Adds what happened between two moments; `born` says when something was made
    /// that is there at the second.
    pub fn add_between(&mut self, before: &Tree, after: &Tree, born: &Born<'_>) {
        let moves = moved(before, after, born);
        let new = after.0.keys().filter(|path| before.get(&path.0).is_none());
        // What was moved there is no copy, and is moved back as it is.
        let new = new.filter(|path| !moves.iter().any(|m| path.0.starts_with(&m.to.0)));
        for path in before.0.keys().chain(new) {
            self.compare(path, before, after);
        }
        moves.into_iter().for_each(|new| self.add_move(new));
    }

    fn compare(&mut self, path: &Name, before: &Tree, after: &Tree) {
        let (old, new) = (before.get(&path.0), after.get(&path.0));
        if let (Some(old), Some(new)) = (old, new) {
            let unread = |seen: &Seen| matches!(seen.node, Node::Unkept { .. });
            if old.stamp == new.stamp && (unread(old) || unread(new)) {
                return;
            }
        }
        let [before, after] = [(old, before), (new, after)].map(|(seen, tree)| match seen {
            Some(seen) => seen.node.clone(),
            None => around(&path.0, tree),
        });
        let restorable = !matches!(
            before,
            Node::Unkept {
                why: Why::Ignored,
                ..
            }
        );
        let is_nobodys = matches!(
            after,
            Node::Unkept {
                why: Why::Ignored,
                ..
            }
        ) && matches!(before, Node::Absent);
        // Where nobody looked before, nothing is known to be new.
        let is_known = old.is_some() || matches!(before, Node::Absent);
        if restorable && is_known && !is_nobodys && !before.agrees(&after) {
            self.add(path.clone(), Change { before, after });
        }
    }
}

/// What is to be said of a path that a tree has nothing at: it is absent, unless
/// nobody looked into a folder above it.
fn around(path: &Path, tree: &Tree) -> Node {
    let above = path.ancestors().skip(1).find_map(|path| tree.get(path));
    match above.map(|seen| &seen.node) {
        Some(node @ Node::Unkept { stamp, .. })
            if place::file_type(stamp) == FileType::Directory =>
        {
            node.clone()
        }
        _ => Node::Absent,
    }
}

/// When what is at a path was made.
pub type Born<'a> = dyn Fn(&Path) -> Option<i64> + 'a;

/// Ignored things that are elsewhere. The number of a deleted file is soon given to
/// another, so the time of its making counts, too.
fn moved(before: &Tree, after: &Tree, born: &Born<'_>) -> Vec<Move> {
    let gone = before.0.iter().filter(|(path, seen)| {
        let ignored = matches!(
            seen.node,
            Node::Unkept {
                why: Why::Ignored,
                ..
            }
        );
        ignored && after.get(&path.0).is_none()
    });
    let gone: HashMap<u64, (&Name, Option<i64>)> = gone
        .map(|(path, seen)| (seen.stamp.inode, (path, seen.born)))
        .collect();
    let new = after
        .0
        .iter()
        .filter(|(path, _)| before.get(&path.0).is_none());
    new.filter_map(|(to, seen)| {
        let (from, when) = gone.get(&seen.stamp.inode)?;
        let same = when.is_some() && *when == seen.born.or_else(|| born(&to.0));
        same.then(|| Move {
            from: (*from).clone(),
            to: to.clone(),
            inode: seen.stamp.inode,
        })
    })
    .collect()
}
