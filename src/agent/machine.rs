//! The turn loop as a pure state machine: `apply` folds log entries into a
//! state, `next` says what that state wants done. No I/O, so a crash at any
//! entry is tested by folding a prefix, and resuming is nothing but folding.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::conversation::{Conversation, Piece, Said};
use super::effect::Effect;
use super::entry::{
    Answer, Entry, FileText, Finish, Kind, Opening, Restored, Shell, ToolResult, Verdict,
};
use super::exit::Reason;
use crate::chat::{Message, Owner, Role, ToolCall};
use crate::tools;

/// The model reads this when a call's outcome is not known after a crash.
pub const UNKNOWN_OUTCOME: &str = "error: interrupted; whether the command took effect is unknown";
/// This of one in an answer that the user cut short.
const STEERED: &str = "error: not run: the user said something before this call";
/// And this of one that a turn ended before.
pub(super) const NOT_RUN: &str = "error: not run: the turn ended before this call";
/// Bytes of a malformed call's diagnosis that the model reads.
const DIAGNOSIS: usize = 300;

/// What bounds a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Answers of the model per turn.
    pub steps: usize,
    /// The n-th identical call in a row is answered with an error instead of
    /// being run, and the one after it ends the turn.
    pub identical_calls: usize,
    /// Answers without a readable call, one after the other.
    pub malformed: usize,
    /// Tokens of one answer.
    pub reply_tokens: usize,
    /// Tokens of all answers of a turn.
    pub turn_tokens: usize,
    /// Hundredths of the window from which on older messages make room.
    pub compact_at: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 24,
            identical_calls: 3,
            malformed: 3,
            reply_tokens: 8192,
            turn_tokens: 32_768,
            compact_at: 80,
        }
    }
}

/// What the machine is told once: limits, what each tool does, and what the
/// model reads when a permission is refused.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub limits: Limits,
    pub tools: BTreeMap<String, tools::Effect>,
    pub denied: String,
    /// What the model reads ahead of a conversation's first message: what differs
    /// between workspaces, and so can't be in the system prompt that all share.
    pub preamble: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Idle,
    Generate,
    Calls,
    Ending(Reason),
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    New,
    Allowed,
    Denied(String),
    Started,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Call(ToolCall),
    Malformed(String),
}

/// A call of the current answer that has no result yet.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    id: String,
    item: Item,
    stage: Stage,
}

/// What is counted from one user message to the end of its turn.
#[derive(Clone, Debug, Default, PartialEq)]
struct Turn {
    steps: usize,
    generated: usize,
    malformed: usize,
    refused: bool,
    last_call: Option<(String, Map<String, Value>)>,
    identical: usize,
    answer: String,
}

/// State of a session: a fold over its log.
#[derive(Clone, Debug)]
pub struct Machine {
    rules: Rules,
    conversation: Conversation,
    pending: VecDeque<Pending>,
    phase: Phase,
    turn: Turn,
    calls: usize,
    /// What the user did to earlier turns' changes and the model does not know yet.
    notes: Vec<Note>,
    /// What the user ran, which it does not know either.
    ran: Vec<Shell>,
    /// Project memory that goes along with the next message.
    memory: Vec<FileText>,
    /// Paths of all project memory so far.
    remembered: Vec<String>,
    /// What the turn's next answer begins with.
    opening: Option<Opening>,
}

/// A turn's changes, undone or redone.
#[derive(Clone, Debug, PartialEq)]
struct Note {
    what: Restored,
    undone: bool,
}

impl Machine {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            conversation: Conversation::default(),
            pending: VecDeque::new(),
            phase: Phase::Idle,
            turn: Turn::default(),
            calls: 0,
            notes: Vec::new(),
            ran: Vec::new(),
            memory: Vec::new(),
            remembered: Vec::new(),
            opening: None,
        }
    }

    /// State after a whole log.
    pub fn fold<'a>(rules: Rules, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut machine = Self::new(rules);
        entries.into_iter().for_each(|entry| machine.apply(entry));
        machine
    }

    /// The conversation so far, without the system message.
    pub fn messages(&self) -> &[Message] {
        self.conversation.messages()
    }

    /// The same with where it comes from.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Paths of the project memory that this session has.
    pub fn remembered(&self) -> &[String] {
        &self.remembered
    }

    /// Text of the turn's last answer.
    pub fn answer(&self) -> &str {
        &self.turn.answer
    }

    /// What the next answer begins with, if it is a fork of another.
    pub fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// Tokens that the model has written in this turn.
    pub fn generated(&self) -> usize {
        self.turn.generated
    }

    /// Calls made in this session: the next one gets this number plus one.
    pub fn calls(&self) -> usize {
        self.calls
    }

    pub fn apply(&mut self, entry: &Entry) {
        match &entry.kind {
            Kind::User { text, attached } => {
                // They belong to what came before.
                self.close_calls(entry.id.saturating_sub(1), NOT_RUN);
                self.turn = Turn::default();
                self.opening = None;
                let memory = std::mem::take(&mut self.memory);
                let ran = std::mem::take(&mut self.ran);
                let ran = { ran.iter() }.map(|shell| (Owner::ToolOutput, shell.as_note()));
                let memory = memory.iter().map(|file| (Owner::Memory, file.as_memory()));
                let before = { self.preamble().into_iter() }
                    .chain(memory)
                    .chain(self.told_notes())
                    .chain(ran)
                    .collect();
                self.conversation.user(entry.id, text, before, attached);
                self.phase = Phase::Generate;
            }
            Kind::Steer { text, attached } => {
                self.close_calls(entry.id.saturating_sub(1), STEERED);
                self.conversation.steer(entry.id, text, attached);
                self.phase = Phase::Generate;
            }
            Kind::Assistant(answer) => self.answered(entry.id, answer),
            Kind::Permission {
                call_id,
                verdict,
                word,
            } => {
                if let Some(pending) = self.find(call_id) {
                    pending.stage = match verdict {
                        Verdict::Allowed => Stage::Allowed,
                        Verdict::Denied => Stage::Denied(word.clone()),
                    };
                }
            }
            Kind::ToolStarted { call, .. } => {
                if let Some(pending) = self.find(&call.id) {
                    pending.stage = Stage::Started;
                }
            }
            Kind::ToolResult(result) => self.resulted(entry.id, result),
            Kind::Interrupted => self.end(Reason::Interrupted),
            Kind::Failed { .. } => self.end(Reason::Failed),
            Kind::TurnEnded { .. } => {
                self.close_calls(entry.id, NOT_RUN);
                self.phase = Phase::Idle;
                self.opening = None;
            }
            Kind::Fork {
                opening: Some(opening),
                ..
            } => self.opening = Some(opening.clone()),
            Kind::Usage { .. } | Kind::Fork { opening: None, .. } | Kind::CacheMark { .. } => {}
            Kind::Settings(chosen) => self.rules.limits.clone_from(&chosen.limits),
            Kind::Undo(what) => self.note(what, true),
            Kind::Redo(what) => self.note(what, false),
            Kind::Shell(shell) => self.ran.push(shell.clone()),
            Kind::Memory { files } => {
                let paths = files.iter().map(|file| file.path.clone());
                self.remembered.extend(paths);
                if self.phase == Phase::Idle || !self.conversation.remember(files) {
                    self.memory.extend(files.iter().cloned());
                }
            }
            Kind::Compaction(what) => self.conversation.compact(entry.id, what),
            Kind::Pin { entry } => self.conversation.pin(*entry),
            Kind::Unpin { entry } => self.conversation.unpin(*entry),
        }
    }

    /// What this state wants done. A call that was started and has no result
    /// here was cut off: a driver that runs it does not ask in between.
    pub fn next(&self) -> Effect {
        match &self.phase {
            Phase::Idle => Effect::Wait,
            Phase::Ending(reason) => ended(*reason),
            Phase::Generate => self.next_answer(),
            Phase::Calls => match self.pending.front() {
                None => self.next_answer(),
                Some(pending) => self.next_call(pending),
            },
        }
    }

    fn next_answer(&self) -> Effect {
        let limits = &self.rules.limits;
        if self.turn.steps >= limits.steps {
            return ended(Reason::Steps);
        }
        match limits.turn_tokens.saturating_sub(self.turn.generated) {
            0 => ended(Reason::MaxTokens),
            left => Effect::Generate {
                max_tokens: left.min(limits.reply_tokens),
            },
        }
    }

    fn next_call(&self, pending: &Pending) -> Effect {
        let failed = |output: String, refused| {
            Effect::Record(Kind::ToolResult(ToolResult {
                call_id: pending.id.clone(),
                ok: false,
                output,
                refused,
                ..ToolResult::default()
            }))
        };
        let call = match &pending.item {
            Item::Malformed(diagnosis) => {
                return failed(
                    format!(
                        "error: the tool call could not be read: {}; \
                         call one tool in the given format",
                        head(diagnosis, DIAGNOSIS)
                    ),
                    false,
                );
            }
            Item::Call(call) => call,
        };
        match &pending.stage {
            Stage::Started => failed(UNKNOWN_OUTCOME.into(), false),
            Stage::Denied(word) if word.is_empty() => failed(self.rules.denied.clone(), true),
            Stage::Denied(word) => failed(format!("{}: {word}", self.rules.denied), true),
            Stage::New if self.identical(call) >= self.rules.limits.identical_calls => failed(
                format!(
                    "error: the same call {} times in a row; do something else or answer",
                    self.identical(call)
                ),
                false,
            ),
            Stage::New => match self.rules.tools.get(&call.name) {
                Some(effect @ (tools::Effect::Write | tools::Effect::Run)) => Effect::Ask {
                    call: call.clone(),
                    effect: *effect,
                },
                // An unknown tool is run, too: the toolbox says what exists.
                Some(tools::Effect::Read) | None => Effect::RunTool { call: call.clone() },
            },
            Stage::Allowed => Effect::RunTool { call: call.clone() },
        }
    }

    /// How many times in a row this call will have been made, itself included.
    fn identical(&self, call: &ToolCall) -> usize {
        match &self.turn.last_call {
            Some((name, arguments)) if *name == call.name && *arguments == call.arguments => {
                self.turn.identical + 1
            }
            _ => 1,
        }
    }

    fn answered(&mut self, entry: u64, answer: &Answer) {
        self.close_calls(entry, NOT_RUN);
        self.opening = None;
        self.turn.steps += 1;
        self.turn.generated += answer.ids.len();
        self.turn.answer.clone_from(&answer.text);
        self.calls += answer.calls.len();
        let message = Message {
            role: Role::Assistant,
            content: answer.text.clone(),
            reasoning_content: answer.reasoning.clone(),
            tool_calls: answer.calls.clone(),
            tool_call_id: None,
        };
        self.conversation.push(entry, Said::Assistant, message);
        self.pending = answer
            .calls
            .iter()
            .map(|call| Pending {
                id: call.id.clone(),
                item: Item::Call(call.clone()),
                stage: Stage::New,
            })
            .collect();
        self.phase = match answer.finish {
            Finish::MaxTokens => Phase::Ending(Reason::MaxTokens),
            Finish::Context => Phase::Ending(Reason::Context),
            Finish::Loop => Phase::Ending(Reason::Loop),
            Finish::Cancelled => Phase::Ending(Reason::Interrupted),
            Finish::Stop => self.after_stop(answer),
            Finish::Steered => {
                self.close_calls(entry, STEERED);
                Phase::Generate
            }
        };
    }

    fn after_stop(&mut self, answer: &Answer) -> Phase {
        if !answer.malformed.is_empty() && answer.calls.is_empty() {
            self.turn.malformed += 1;
        } else {
            self.turn.malformed = 0;
        }
        if self.turn.malformed >= self.rules.limits.malformed.max(1) {
            return Phase::Ending(Reason::MalformedCalls);
        }
        let step = self.turn.steps;
        self.pending.extend(
            answer
                .malformed
                .iter()
                .enumerate()
                .map(|(i, diagnosis)| Pending {
                    id: format!("malformed_{step}_{i}"),
                    item: Item::Malformed(diagnosis.clone()),
                    stage: Stage::New,
                }),
        );
        match (self.pending.is_empty(), self.turn.refused) {
            (false, _) => Phase::Calls,
            (true, true) => Phase::Ending(Reason::Refused),
            (true, false) => Phase::Ending(Reason::Done),
        }
    }

    fn resulted(&mut self, entry: u64, result: &ToolResult) {
        let Some(at) = self.pending.iter().position(|p| p.id == result.call_id) else {
            return;
        };
        let Some(pending) = self.pending.remove(at) else {
            return;
        };
        self.turn.refused |= result.refused;
        if let Item::Call(call) = pending.item {
            self.turn.identical = self.identical(&call);
            self.turn.last_call = Some((call.name, call.arguments));
        }
        self.output(entry, result.output.clone(), result.call_id.clone());
        if matches!(self.phase, Phase::Ending(_)) {
            return;
        }
        self.phase = if self.turn.identical > self.rules.limits.identical_calls {
            Phase::Ending(Reason::RepeatedCall)
        } else if self.pending.is_empty() {
            Phase::Generate
        } else {
            Phase::Calls
        };
    }

    fn end(&mut self, reason: Reason) {
        if self.phase != Phase::Idle {
            self.phase = Phase::Ending(reason);
        }
    }

    /// What was undone and redone, or the other way round, is as it was.
    fn note(&mut self, what: &Restored, undone: bool) {
        let opposite = |note: &Note| note.what.turn == what.turn && note.undone != undone;
        match self.notes.iter().rposition(opposite) {
            Some(at) => {
                self.notes.remove(at);
            }
            None if what.files > 0 => self.notes.push(Note {
                what: what.clone(),
                undone,
            }),
            None => {}
        }
    }

    /// What the model must know before a message to believe its own eyes.
    fn told_notes(&mut self) -> Option<(Owner, String)> {
        let notes = self.notes.drain(..).map(|Note { what, undone }| {
            let mut names = what.named.join(", ");
            if what.files > what.named.len() {
                names.push_str(&format!(" and {} more", what.files - what.named.len()));
            }
            match undone {
                true => format!(
                    "[The user undid file changes of an earlier turn. Not changed any more: {names}]\n"
                ),
                false => format!("[The user redid file changes of an earlier turn: {names}]\n"),
            }
        });
        let notes: String = notes.collect();
        (!notes.is_empty()).then(|| (Owner::History, format!("{notes}\n")))
    }

    /// What every session's first message begins with.
    fn preamble(&self) -> Option<Piece> {
        let first = self.conversation.messages().is_empty() && !self.rules.preamble.is_empty();
        first.then(|| (Owner::History, format!("{}\n\n", self.rules.preamble)))
    }

    /// Gives every call without a result one, so that the conversation stays
    /// well formed: the model is told what happened to it, which for one that was not
    /// started is `why`.
    fn close_calls(&mut self, entry: u64, why: &str) {
        while let Some(pending) = self.pending.pop_front() {
            if let Item::Call(call) = pending.item {
                let output = match pending.stage {
                    Stage::Started => UNKNOWN_OUTCOME,
                    _ => why,
                };
                self.output(entry, output.into(), call.id);
            }
        }
    }

    fn output(&mut self, entry: u64, content: String, call_id: String) {
        let message = Message {
            role: Role::Tool,
            content,
            reasoning_content: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: Some(call_id),
        };
        self.conversation.push(entry, Said::Tool, message);
    }

    fn find(&mut self, call_id: &str) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|p| p.id == call_id)
    }
}

fn ended(reason: Reason) -> Effect {
    Effect::Record(Kind::TurnEnded {
        exit: reason.exit(),
        reason,
    })
}

/// At most `limit` bytes of the beginning, cut between characters.
fn head(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}
