//! What came of undoing or redoing, as data and as lines.

use std::path::PathBuf;

use super::name;

/// What was done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is as it was, or as the turn had made it.
    Restored,
    Removed,
}

/// Why a path is not overwritten without a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is not as the turn left it.
    Changed,
    /// Its content can't be kept (a reason), and so would be lost.
    Lost(String),
    /// The turn was cut off: whose change this is, is not known.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Which turn: a number that grows.
    pub turn: u64,
    /// The beginning of what the user asked for in it.
    pub label: String,
    /// The names of the calls whose changes these are.
    pub calls: Vec<u64>,
    pub done: Vec<(PathBuf, Act)>,
    /// What could not be brought back, and why.
    pub left: Vec<(PathBuf, String)>,
    /// Where somebody else's changes would be overwritten, or were.
    pub conflicts: Vec<(PathBuf, Conflict)>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such turn.
    Nothing,
    /// Nothing was changed.
    Conflicts(Report),
    Done(Report),
}

/// Lines of one list.
const SHOWN: usize = 20;

impl Report {
    /// Each path on a line that is safe for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let done = self.done.iter().map(|(path, act)| match act {
            Act::Restored => format!("  restored {}", name(path)),
            Act::Removed => format!("  removed {}", name(path)),
        });
        cut(&mut lines, done.collect());
        let left = self.left.iter();
        let left = left.map(|(path, why)| format!("  left {}: {why}", name(path)));
        cut(&mut lines, left.collect());
        lines
    }

    /// The same for what stands in the way.
    pub fn conflict_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let all = self.conflicts.iter().map(|(path, conflict)| {
            let path = name(path);
            match conflict {
                Conflict::Changed => format!("  {path} was changed since"),
                Conflict::Lost(why) => format!("  {path} could not be brought back ({why})"),
                Conflict::Unknown => {
                    format!("  {path}: the turn was cut off, it may be changed since")
                }
            }
        });
        cut(&mut lines, all.collect());
        lines
    }
}

fn cut(lines: &mut Vec<String>, all: Vec<String>) {
    let more = all.len().saturating_sub(SHOWN);
    lines.extend(all.into_iter().take(SHOWN));
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
}
