//! What a session log holds: one entry per line of JSON, each naming the entry
//! it follows. The log is the machine's journal, so everything that changes the
//! machine's state is an entry.

use serde::{Deserialize, Serialize};

use super::exit::{Exit, Reason};
use super::session::{Chosen, Span};
use crate::chat::ToolCall;
pub use crate::generate::FinishReason as Finish;
use crate::generate::{Nudge, PromptUsage};
use crate::tools::Outcome;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 within a session.
    pub id: u64,
    /// The entry this one follows; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// A user's message; starts a turn.
    User {
        text: String,
        /// Files that it named with `@`, as they were read then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attached: Vec<FileText>,
    },
    /// What the user said while the turn went on; it is part of it.
    Steer {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attached: Vec<FileText>,
    },
    /// One answer of the model.
    Assistant(Answer),
    /// What that answer cost.
    Usage {
        #[serde(flatten)]
        prompt: PromptUsage,
        generated: usize,
    },
    /// The user's, or the policy's, word on a call.
    Permission {
        call_id: String,
        verdict: Verdict,
        /// Why it was denied, where that was said.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        word: String,
    },
    /// Written before the call is run: without a result after it, the outcome
    /// is unknown and the call is never run again.
    ToolStarted {
        call: ToolCall,
        /// Names to undo what the call changes; `None` for one that only reads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<u64>,
    },
    ToolResult(ToolResult),
    /// The user stopped the turn.
    Interrupted,
    /// The program could not go on.
    Failed {
        message: String,
    },
    /// Closes a turn.
    TurnEnded {
        exit: Exit,
        reason: Reason,
    },
    /// The user took back what a turn had changed in the workspace.
    Undo(Restored),
    /// And brought it back again.
    Redo(Restored),
    /// The user ran a command by hand.
    Shell(Shell),
    /// A branch begins here, after an entry that others follow already, or is gone on
    /// with. `from` was the head before.
    Fork {
        from: u64,
        /// What the next answer begins with, where one is forked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening: Option<Opening>,
    },
    /// From here on these are in force.
    Settings(Chosen),
    /// So many tokens of the sequence, from its beginning, lie in the cache on disk.
    CacheMark {
        tokens: usize,
    },
    /// Project memory that the model is given.
    Memory {
        files: Vec<FileText>,
    },
    /// Messages left the prompt to make room.
    Compaction(Compaction),
    /// A user's message, by its entry, stays in the prompt whatever leaves it.
    Pin {
        entry: u64,
    },
    Unpin {
        entry: u64,
    },
}

/// What an answer begins with: the beginning of another one, then tokens that were
/// chosen in place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The entry of the other answer.
    pub of: u64,
    /// Its leading tokens that stay.
    pub kept: usize,
    /// Ids that come after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u32>,
}

/// A file, or some lines of it, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileText {
    pub path: String,
    /// Which lines, where it is not all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lines: String,
    pub text: String,
    /// The middle is left out, and the text says so.
    #[serde(default)]
    pub truncated: bool,
}

impl FileText {
    /// As the model reads it below a message.
    pub fn as_attachment(&self) -> String {
        let lines = match self.lines.as_str() {
            "" => String::new(),
            lines => format!(", {lines}"),
        };
        let Self { path, text, .. } = self;
        format!("\n\n[Attached by the user: {path}{lines}]\n{text}\n[End of {path}]")
    }

    /// As the model reads it before a message.
    pub fn as_memory(&self) -> String {
        let Self { path, text, .. } = self;
        format!("[Notes on this project, from {path}]\n{text}\n[End of {path}]\n\n")
    }
}

/// A command of the user's own, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    pub command: String,
    /// What it printed, bounded, and how it ended.
    pub output: String,
    pub ok: bool,
}

impl Shell {
    /// As the model reads it before a message.
    pub fn as_note(&self) -> String {
        let Self {
            command, output, ..
        } = self;
        format!("[The user ran: {command}]\n{output}\n\n")
    }
}

/// How room was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The model wrote a summary.
    Summarised,
    /// The oldest turns were left out.
    DroppedOldest,
    /// Outputs of tools were cut to head and tail.
    Shortened,
}

/// What left the prompt, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    pub how: How,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The summary's token ids as generated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u32>,
    /// What the user wanted the summary to dwell on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub focus: String,
    /// What came up to this entry is left out, but for what is pinned; 0: nothing is.
    #[serde(default)]
    pub upto: u64,
    /// What is left out, a line each.
    #[serde(default)]
    pub dropped: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortened: Vec<Shortened>,
}

/// What is left of a tool's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortened {
    /// The entry of the result.
    pub entry: u64,
    pub text: String,
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The turn, by the number that undo gave it.
    pub turn: u64,
    /// The first paths.
    pub named: Vec<String>,
    /// How many paths.
    pub files: usize,
    /// Whose changes these were, by what [`Kind::ToolStarted`] calls them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<u64>,
}

impl Restored {
    /// Paths that are named.
    pub const NAMED: usize = 8;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// What was wrong with each call that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<String>,
    /// Generated token ids, a stop id included.
    #[serde(default)]
    pub ids: Vec<u32>,
    pub finish: Finish,
    /// What the user did to its reasoning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nudges: Vec<Nudge>,
    /// Where the side file has its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Span>,
}

/// Result of one call, or of one call that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    pub call_id: String,
    pub ok: bool,
    pub output: String,
    #[serde(default)]
    pub truncated: bool,
    /// A permission was refused.
    #[serde(default)]
    pub refused: bool,
    /// What it has changed in a file, as a unified diff for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change: String,
}

impl ToolResult {
    /// What came of a call that was run.
    pub fn of(call_id: String, outcome: Outcome) -> Self {
        let Outcome {
            ok,
            output,
            truncated,
            refused,
            change,
        } = outcome;
        Self {
            call_id,
            ok,
            output,
            truncated,
            refused,
            change,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allowed,
    Denied,
}
