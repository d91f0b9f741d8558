//! A model's output, as it comes, to events. Reasoning is split off first, tool
//! calls are taken out of the rest, and only then is text visible. No more is
//! held back than what could still become a tag, and how the output is cut into
//! pieces makes no difference.
//!
//! Where a marker is a token of the bundle its id alone decides: the same
//! characters spelled out by other tokens never start anything.

use super::markers::{
    CALL, CALL_CLOSE, HIDDEN, HIDDEN_IN_REASONING, LONGEST, MarkerIds, THINK, THINK_CLOSE,
};
use super::reasoning::{Newlines, Start};
use super::visible::{Shown, ceil, floor};
use super::zaya_xml::{self, End};
use super::{ChatEvent, ToolCall, ToolSpec};

/// Bytes looked at in one go.
const MAX_PIECE: usize = 256;
/// Bytes of one call, room for a value of a megabyte; a runaway call is an
/// error, not a memory problem.
const MAX_CALL: usize = 2 << 20;
/// Bytes of a malformed call that are kept.
const MAX_RAW: usize = 4096;

#[derive(Clone, Debug)]
pub struct ParserOptions {
    /// Schemas to type values by, and the names that calls may have without a
    /// wrapper.
    pub tools: Vec<ToolSpec>,
    pub start: Start,
    pub markers: MarkerIds,
    /// The number in the id of the first call; ids count up from there.
    pub first_call: usize,
}

impl Default for ParserOptions {
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            start: Start::Content,
            markers: MarkerIds::default(),
            first_call: 1,
        }
    }
}

#[derive(Debug)]
enum State {
    Reasoning,
    Content,
    /// Within a wrapper.
    Call,
    /// Within a function that has no wrapper; `scanned` bytes of the body are
    /// known not to end it.
    Bare {
        scanned: usize,
        in_parameter: bool,
    },
    /// Within a call that was given up.
    Skip,
}

/// Whether the pending text may still grow.
#[derive(Clone, Copy, PartialEq)]
enum More {
    MayCome,
    Ended,
}

pub struct Parser {
    tools: Vec<ToolSpec>,
    markers: MarkerIds,
    next_call: usize,
    state: State,
    /// Text that isn't decided yet.
    pending: String,
    /// The call that is being collected, after its opener.
    body: String,
    newlines: Newlines,
    /// The visible text so far ends at the start of a line.
    line_start: bool,
    /// After a spelled-out opener that means nothing, until its closer.
    quoted: bool,
    shown: Shown,
    shown_reasoning: Shown,
    unclosed_reasoning: bool,
    cut_off_call: bool,
    events: Vec<ChatEvent>,
}

impl Parser {
    pub fn new(options: ParserOptions) -> Self {
        Self {
            tools: options.tools,
            markers: options.markers,
            next_call: options.first_call,
            state: match options.start {
                Start::Reasoning => State::Reasoning,
                Start::Content => State::Content,
            },
            pending: String::new(),
            body: String::new(),
            newlines: Newlines::Keep,
            line_start: true,
            quoted: false,
            shown: Shown::new(&HIDDEN),
            shown_reasoning: Shown::new(&HIDDEN_IN_REASONING),
            unclosed_reasoning: false,
            cut_off_call: false,
            events: Vec::new(),
        }
    }

    /// The next piece of output: the token's id, if there is one, and the text
    /// that came with it.
    pub fn push(&mut self, id: Option<u32>, text: &str) -> Vec<ChatEvent> {
        match id.and_then(|id| self.markers.text_of(id)) {
            Some(marker) => {
                // A broken character may have been completed by this token.
                self.pending
                    .push_str(text.strip_suffix(marker).unwrap_or(""));
                self.drain(More::Ended);
                self.marker(marker);
            }
            None => {
                let mut rest = text;
                while !rest.is_empty() {
                    // Removing from the front is cheap while little is pending.
                    let (piece, after) = rest.split_at(ceil(rest, MAX_PIECE));
                    self.pending.push_str(piece);
                    self.drain(More::MayCome);
                    rest = after;
                }
            }
        }
        std::mem::take(&mut self.events)
    }

    /// The end of the output.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        self.drain(More::Ended);
        match self.state {
            State::Reasoning => self.unclosed_reasoning = true,
            State::Call | State::Bare { .. } => self.close_call(End::CutOff),
            State::Content | State::Skip => {}
        }
        std::mem::take(&mut self.events)
    }

    /// Whether the output ended within reasoning; known after `finish`.
    pub fn unclosed_reasoning(&self) -> bool {
        self.unclosed_reasoning
    }

    /// Whether the last call's last value had no end, so that it may be
    /// incomplete.
    pub fn cut_off_call(&self) -> bool {
        self.cut_off_call
    }

    /// Where the next parser of the same conversation counts on.
    pub fn next_call(&self) -> usize {
        self.next_call
    }

    fn drain(&mut self, more: More) {
        loop {
            let progress = match self.state {
                State::Reasoning | State::Content => self.drain_text(more),
                State::Call => self.drain_call(),
                State::Bare { .. } => self.drain_bare(more),
                State::Skip => self.drain_skip(more),
            };
            if !progress {
                break;
            }
        }
    }

    /// Emits up to the next tag and handles it. False when nothing is left or
    /// what is left is undecided.
    fn drain_text(&mut self, more: More) -> bool {
        let Some(at) = self.pending.find('<') else {
            let text = std::mem::take(&mut self.pending);
            self.emit(&text);
            return false;
        };
        let text: String = self.pending.drain(..at).collect();
        self.emit(&text);
        let hidden: &[&str] = match self.state {
            State::Reasoning => &HIDDEN_IN_REASONING,
            _ => &HIDDEN,
        };
        if let Some(tag) = hidden.iter().find(|tag| self.pending.starts_with(**tag)) {
            self.pending.drain(..tag.len());
            if self.markers.spelled(tag) {
                self.marker(tag);
            } else if matches!(self.state, State::Content) {
                self.quoted = match *tag {
                    CALL => true,
                    CALL_CLOSE => false,
                    _ => self.quoted,
                };
            }
            return true;
        }
        let mut undecided = hidden.iter().any(|tag| tag.starts_with(&*self.pending));
        if matches!(self.state, State::Content) && self.line_start && !self.quoted {
            match bare_function(&self.pending, &self.tools) {
                Some(Bare::Function) => {
                    self.state = State::Bare {
                        scanned: zaya_xml::FUNCTION.len(),
                        in_parameter: false,
                    };
                    return true;
                }
                Some(Bare::Undecided) => undecided = true,
                None => {}
            }
        }
        if undecided && more == More::MayCome {
            return false;
        }
        self.pending.drain(..1);
        self.emit("<");
        true
    }

    fn marker(&mut self, marker: &str) {
        match (&self.state, marker) {
            (State::Content, THINK) => {
                self.state = State::Reasoning;
                self.newlines = Newlines::DropOne;
            }
            (State::Reasoning | State::Content, THINK_CLOSE) => {
                self.state = State::Content;
                self.newlines = Newlines::DropAll;
                self.line_start = true;
            }
            (State::Reasoning | State::Content, CALL) => self.state = State::Call,
            // A function without a wrapper can't contain one.
            (State::Bare { .. }, CALL) => {
                self.close_call(End::CutOff);
                self.state = State::Call;
            }
            (State::Call | State::Bare { .. }, CALL_CLOSE) => self.close_call(End::Closed),
            (State::Skip, CALL_CLOSE) => self.resume(),
            // Within a call other markers are part of a value.
            (State::Call | State::Bare { .. }, marker) => {
                self.pending.push_str(marker);
                self.body.push_str(&std::mem::take(&mut self.pending));
            }
            _ => {}
        }
    }

    fn drain_call(&mut self) -> bool {
        let from = self.body.len();
        self.body.push_str(&self.pending);
        self.pending.clear();
        if self.markers.spelled(CALL_CLOSE) {
            let from = floor(&self.body, from.saturating_sub(LONGEST));
            if let Some(at) = { self.body[from..].find(CALL_CLOSE) }.map(|at| from + at)
                && at <= MAX_CALL
            {
                self.pending = self.body.split_off(at).split_off(CALL_CLOSE.len());
                self.close_call(End::Closed);
                return true;
            }
            // A closer that begins within the limit must have had its chance.
            if self.body.len() < MAX_CALL + LONGEST {
                return false;
            }
        }
        self.give_up_if_too_long()
    }

    fn drain_bare(&mut self, more: More) -> bool {
        let State::Bare {
            mut scanned,
            mut in_parameter,
        } = self.state
        else {
            return false;
        };
        self.body.push_str(&self.pending);
        self.pending.clear();
        let ends = loop {
            let Some(at) = { self.body[scanned..].find('<') }.map(|at| scanned + at) else {
                scanned = self.body.len();
                break None;
            };
            scanned = at;
            let rest = &self.body[at..];
            let starts = |tag: &str| rest.starts_with(tag);
            if starts(CALL_CLOSE) && self.markers.spelled(CALL_CLOSE) {
                break Some((at, CALL_CLOSE.len()));
            } else if starts(zaya_xml::FUNCTION_CLOSE) && !in_parameter {
                let end = at + zaya_xml::FUNCTION_CLOSE.len();
                break Some((end, 0));
            } else if starts(zaya_xml::PARAMETER_CLOSE) {
                in_parameter = false;
            } else if starts(zaya_xml::PARAMETER) || starts(zaya_xml::PARAMETER_BARE) {
                in_parameter = true;
            } else if more == More::MayCome
                && [
                    CALL_CLOSE,
                    zaya_xml::FUNCTION_CLOSE,
                    zaya_xml::PARAMETER_CLOSE,
                    zaya_xml::PARAMETER,
                    zaya_xml::PARAMETER_BARE,
                ]
                .iter()
                .any(|tag| tag.starts_with(rest))
            {
                break None;
            }
            scanned = at + 1;
        };
        self.state = State::Bare {
            scanned,
            in_parameter,
        };
        match ends {
            Some((end, tag)) if end <= MAX_CALL => {
                self.pending = self.body.split_off(end).split_off(tag);
                self.close_call(End::Closed);
                true
            }
            _ if self.body.len() < MAX_CALL + LONGEST => false,
            _ => self.give_up_if_too_long(),
        }
    }

    fn drain_skip(&mut self, more: More) -> bool {
        if !self.markers.spelled(CALL_CLOSE) {
            self.pending.clear();
            return false;
        }
        if let Some(at) = self.pending.find(CALL_CLOSE) {
            self.pending.drain(..at + CALL_CLOSE.len());
            self.resume();
            return true;
        }
        let keep = match more {
            More::MayCome => LONGEST,
            More::Ended => 0,
        };
        let from = floor(&self.pending, self.pending.len().saturating_sub(keep));
        self.pending.drain(..from);
        false
    }

    fn give_up_if_too_long(&mut self) -> bool {
        if self.body.len() <= MAX_CALL {
            return false;
        }
        self.pending = self.body.split_off(floor(&self.body, MAX_CALL));
        self.malformed(format!("the call is longer than {MAX_CALL} bytes"));
        self.body.clear();
        self.state = State::Skip;
        true
    }

    fn close_call(&mut self, end: End) {
        self.cut_off_call = false;
        for call in zaya_xml::read(&self.body, &self.tools, end) {
            match call {
                Ok(call) => {
                    self.cut_off_call = call.cut_off;
                    let id = format!("call_{}", self.next_call);
                    self.next_call += 1;
                    self.events.push(ChatEvent::ToolCall(ToolCall {
                        id,
                        name: call.name,
                        arguments: call.arguments,
                    }));
                }
                Err(reason) => self.malformed(reason),
            }
        }
        self.resume();
    }

    fn malformed(&mut self, reason: String) {
        let mut raw = self.body[..floor(&self.body, MAX_RAW)].to_owned();
        if raw.len() < self.body.len() {
            raw.push_str("...");
        }
        self.events.push(ChatEvent::Malformed { raw, reason });
    }

    fn resume(&mut self) {
        self.body.clear();
        self.state = State::Content;
        self.newlines = Newlines::Keep;
        self.line_start = true;
        self.quoted = false;
    }

    fn emit(&mut self, text: &str) {
        let text = self.newlines.trim(text);
        if text.is_empty() {
            return;
        }
        let event = match self.state {
            State::Reasoning => ChatEvent::Reasoning(self.shown_reasoning.add(text)),
            _ => {
                let text = self.shown.add(text);
                self.line_start = self.shown.ends_line();
                ChatEvent::Text(text)
            }
        };
        if let ChatEvent::Reasoning(text) | ChatEvent::Text(text) = &event
            && !text.is_empty()
        {
            self.events.push(event);
        }
    }
}

enum Bare {
    Function,
    Undecided,
}

/// Does `text` start a declared function, or may it yet?
fn bare_function(text: &str, tools: &[ToolSpec]) -> Option<Bare> {
    if tools.is_empty() {
        return None;
    }
    let Some(rest) = text.strip_prefix(zaya_xml::FUNCTION) else {
        return zaya_xml::FUNCTION
            .starts_with(text)
            .then_some(Bare::Undecided);
    };
    let mut undecided = false;
    for tool in tools {
        if let Some(after) = rest.strip_prefix(tool.name.as_str()) {
            match after.chars().next() {
                Some('>' | '\n') => return Some(Bare::Function),
                Some(_) => {}
                None => undecided = true,
            }
        } else {
            undecided |= tool.name.starts_with(rest);
        }
    }
    undecided.then_some(Bare::Undecided)
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
