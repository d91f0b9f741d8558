//! The one stream that every front end reads.

use serde_json::{Map, Value};

use super::context::Meter;
use super::entry::Entry;
use super::exit::Reason;
use crate::generate::{PromptUsage, Token};
use crate::sandbox::Rule;
use crate::tools;

/// Something that happened in a turn, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    TurnStarted,
    /// Prompt tokens run so far, of those that have to be.
    Prefill {
        done: usize,
        total: usize,
    },
    /// A piece of reasoning.
    Reasoning {
        text: String,
    },
    /// A piece of the answer.
    Text {
        text: String,
    },
    /// A generated token with what the model thought of it, markup included.
    Token(Token),
    /// A call is taken up.
    ToolCall {
        id: String,
        name: String,
        arguments: Map<String, Value>,
        /// How far it reaches.
        sandbox: String,
    },
    /// A piece of what a running command prints, before its result: whole characters, as
    /// printed. `id` is the call's, or [`Agent::SHELL`](super::Agent::SHELL).
    ToolOutput {
        id: String,
        text: String,
    },
    /// What a call has changed in a file, as a unified diff; comes before its result.
    Change {
        id: String,
        diff: String,
    },
    ToolResult {
        id: String,
        ok: bool,
        output: String,
        truncated: bool,
        sandbox: String,
    },
    /// What the prompt of a model call is made of; comes before the call.
    Context(Meter),
    /// What one model call cost.
    Usage {
        prompt: PromptUsage,
        generated: usize,
    },
    /// An entry has been added to the session's log.
    Logged(Entry),
    /// A line for the user that is no part of the conversation.
    Notice {
        text: String,
    },
    Error {
        message: String,
    },
    /// The last event of a turn.
    Done(Done),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub reason: Reason,
    /// The whole final answer.
    pub text: String,
    /// Id of the session; empty when there was none.
    pub session: String,
}

/// A call that needs a yes.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub id: String,
    pub name: String,
    pub effect: tools::Effect,
    /// What the call would do, as lines that are safe for a terminal.
    pub preview: String,
    /// Rules that would answer this and calls like it for always, the narrowest
    /// first.
    pub always: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    Yes,
    /// Yes, and the rule is kept in the user's config.
    Always(Rule),
    /// Yes, and to all changes of files from now on.
    AcceptEdits,
    No,
    /// No, and the model is told why.
    NoBecause(String),
    /// No, and end the turn.
    Stop,
}

/// What a front end is to the agent.
pub trait Front {
    fn event(&mut self, event: &Event);

    /// Asks whoever is in charge. Blocks.
    fn approve(&mut self, question: &Question) -> Approval;
}
