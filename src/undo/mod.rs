//! Taking back what a turn did to the workspace. Before a tool changes anything,
//! what it may change is kept outside the workspace; after it, what it did change is
//! noted. So a turn can be undone, and brought back, to the byte, however it ended;
//! and what somebody else changed meanwhile is noticed before it is overwritten.

mod branch;
mod changes;
mod cover;
mod history;
mod index;
mod node;
mod place;
mod record;
mod report;
mod restore;
mod scan;
mod since;
mod store;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use history::History;
pub use report::{Act, Answer, Conflict, Report};
pub use since::{Content, Since};

/// What a call may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touches {
    /// One path beneath the workspace, and folders that are missing above it.
    Path(PathBuf),
    /// Anything in the workspace.
    Workspace,
}

/// What to do about changes that are not the turn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Nothing is changed; the answer names them.
    No,
    /// They are kept, and overwritten: undoing or redoing once more brings them back.
    Yes,
}

/// How much is kept. Beyond it things are not covered, which is said beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files of the workspace.
    pub total_bytes: u64,
    /// Files, folders and links.
    pub entries: usize,
    /// Turns that can be undone; older ones are forgotten.
    pub turns: usize,
    /// Bytes of all that is kept for one workspace; beyond, older turns are forgotten.
    pub store_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            total_bytes: 2 << 30,
            entries: 200_000,
            turns: 50,
            store_bytes: 6 << 30,
        }
    }
}

/// Why something was not kept, or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("undo's own files: {}", plain(.0))]
    Store(io::Error),
    #[error("{}: {}", name(.0), plain(.1))]
    Workspace(PathBuf, io::Error),
    #[error("interrupted")]
    Stopped,
    #[error("another cairn is at work in this folder")]
    Busy,
    #[error("undo would keep its copies inside the folder that it covers")]
    Inside,
}

/// The system's own words, without Rust's " (os error 13)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A path on one line of a terminal.
fn name(path: &std::path::Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".into(),
        false => crate::sandbox::sanitize::for_line(&path.to_string_lossy()).into_owned(),
    }
}
