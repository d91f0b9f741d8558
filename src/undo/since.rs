//! What has become of the workspace since a moment: what turns after it changed first,
//! against what is there now.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use super::Error;
use super::changes::Changes;
use super::history::{History, in_store};
use super::index::look;
use super::node::Node;
use super::record::State;
use crate::sandbox::Workspace;

/// Bytes of a file that are compared.
const MOST: u64 = 1 << 20;

/// One path that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    pub path: PathBuf,
    pub before: Content,
    pub now: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Absent,
    Text(String),
    /// Something that is not compared, in a word or two.
    Other(String),
}

impl History {
    /// A moment, for [`History::since`]: now.
    ///
    /// # Errors
    /// When the history can't be read.
    pub fn moment(&self) -> Result<u64, Error> {
        in_store(self.records.last_id())
    }

    /// Paths that turns after a moment changed, and that are not as they were before.
    ///
    /// # Errors
    /// When the history can't be read.
    pub fn since(&self, workspace: &Workspace, moment: u64) -> Result<Vec<Since>, Error> {
        let mut changes = Changes::default();
        for id in in_store(self.records.ids(State::Done))? {
            if id > moment
                && let Some(turn) = in_store(self.records.turn(State::Done, id))?
            {
                changes.then(&turn.changes);
            }
        }
        let mut all = Vec::new();
        for (path, change) in changes.nodes {
            let now = look(workspace.handle(), &path.0, &self.limits, None)?;
            if change.before.agrees(&now) {
                continue;
            }
            let found = match &now {
                Node::File { size, .. } if *size <= MOST => {
                    let shown = path.0.to_string_lossy();
                    workspace
                        .read(&shown, MOST)
                        .map_or_else(|error| Content::Other(error.to_string()), text)
                }
                other => named(other),
            };
            all.push(Since {
                before: self.kept(&change.before),
                now: found,
                path: path.0,
            });
        }
        Ok(all)
    }

    fn kept(&self, node: &Node) -> Content {
        match node {
            Node::File { hash, size, .. } if *size <= MOST => {
                let read = || -> io::Result<Vec<u8>> {
                    let mut bytes = Vec::new();
                    let file = fs::File::open(self.store.path(hash))?;
                    file.take(MOST).read_to_end(&mut bytes)?;
                    Ok(bytes)
                };
                read().map_or_else(|error| Content::Other(error.to_string()), text)
            }
            other => named(other),
        }
    }
}

fn text(bytes: Vec<u8>) -> Content {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Content::Text(text),
        _ => Content::Other("a binary file".to_owned()),
    }
}

/// What is not compared.
fn named(node: &Node) -> Content {
    match node {
        Node::Absent => Content::Absent,
        Node::File { size, .. } => Content::Other(format!("a file of {size} bytes")),
        Node::Link { target, .. } => {
            Content::Other(format!("a link to {}", target.to_string_lossy()))
        }
        Node::Folder { .. } => Content::Other("a folder".to_owned()),
        Node::Unkept { .. } => Content::Other("something that is not kept".to_owned()),
    }
}
