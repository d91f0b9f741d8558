//! Whose each token of a prompt is. A second rendering carries marks, which are
//! noncharacters like the break marks, around everything that somebody said;
//! what the template writes between is counted with what it belongs to. Tokens
//! are then told apart by where their first byte lies.

use serde_json::{Map, Value};

use super::marks::MARK;
use super::prompt::Prompt;
use super::{Error, Message, RenderOptions, Renderer, Role, ToolSpec};
use crate::bundle::Tokenizer;

/// Who has put a part of the prompt there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    System,
    Tools,
    /// Project memory.
    Memory,
    /// Files that the user attached.
    Files,
    /// What the user and the model said, calls included.
    History,
    Reasoning,
    ToolOutput,
}

impl Owner {
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::Tools,
        Self::Memory,
        Self::Files,
        Self::History,
        Self::Reasoning,
        Self::ToolOutput,
    ];

    fn open(self) -> char {
        OPEN[self as usize]
    }
}

/// Where something of an owner begins, in the order of [`Owner::ALL`].
const OPEN: [char; 7] = [
    '\u{fdd1}', '\u{fdd2}', '\u{fdd3}', '\u{fdd4}', '\u{fdd5}', '\u{fdd6}', '\u{fdd7}',
];
/// Where it ends.
const CLOSE: char = '\u{fdd8}';

/// Consecutive pieces of a message's content by owner and length in bytes.
/// Nothing here means that all of it is its role's.
pub type Parts = [(Owner, usize)];

/// A prompt's text, cut by owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    text: String,
    /// Where a stretch ends, and whose it is. The last ends with the text.
    runs: Vec<(usize, Owner)>,
}

impl Renderer {
    /// The same rendering as [`Renderer::render`], cut by owner. `parts` go with
    /// `messages`; there may be fewer.
    ///
    /// # Errors
    /// As [`Renderer::render`].
    pub fn owned<'a>(
        &self,
        messages: &[Message],
        parts: impl IntoIterator<Item = &'a Parts>,
        tools: &[ToolSpec],
        options: RenderOptions,
    ) -> Result<Owned, Error> {
        let parts = parts.into_iter().chain(std::iter::repeat::<&Parts>(&[]));
        let marked = messages.iter().zip(parts);
        let marked = marked.map(|(message, parts)| self.tagged(message, parts));
        let rendered = self.render_values(marked.collect(), tools, options)?;
        let (text, spans) = spans(&rendered);
        let with_tools = match tools {
            [] => Owner::System,
            _ => Owner::Tools,
        };
        let runs = runs(&text, &spans, self.end_of_turn(), with_tools);
        Ok(Owned { text, runs })
    }

    fn tagged(&self, message: &Message, parts: &Parts) -> Value {
        let mut value = self.message(message);
        let Some(object) = value.as_object_mut() else {
            return value;
        };
        let role = match message.role {
            Role::System => Owner::System,
            Role::User | Role::Assistant => Owner::History,
            Role::Tool => Owner::ToolOutput,
        };
        let mut rest = message.content.as_str();
        let mut content = String::new();
        for (owner, length) in parts {
            if let Some((part, more)) = rest.split_at_checked(*length) {
                content.push_str(&self.tag(*owner, part));
                rest = more;
            }
        }
        content.push_str(&self.tag(role, rest));
        object.insert("content".into(), content.into());
        if let Some(reasoning) = object.get_mut("reasoning_content") {
            *reasoning = self
                .tag(Owner::Reasoning, &message.reasoning_content)
                .into();
        }
        let calls = object.get_mut("tool_calls").and_then(Value::as_array_mut);
        for (value, call) in calls.into_iter().flatten().zip(&message.tool_calls) {
            let function = &mut value["function"];
            function["name"] = self.tag(Owner::History, &call.name).into();
            let arguments = call.arguments.iter().map(|(key, value)| {
                let value = match value {
                    Value::String(text) => self.tag(Owner::History, text).into(),
                    other => self.marker.mark_value(other),
                };
                (self.marker.mark(key), value)
            });
            function["arguments"] = Value::Object(arguments.collect::<Map<_, _>>());
        }
        value
    }

    /// Marks go inside the white space around a text: templates trim. An empty text
    /// gets none: templates leave it out.
    fn tag(&self, owner: Owner, text: &str) -> String {
        let core = text.trim();
        if core.is_empty() {
            return self.marker.mark(text);
        }
        let from = text.len() - text.trim_start().len();
        let (before, after) = (&text[..from], &text[from + core.len()..]);
        let core = self.marker.mark(core);
        format!("{before}{}{core}{CLOSE}{after}", owner.open())
    }
}

/// Takes all marks out: the text, and from where to where it is whose.
fn spans(rendered: &str) -> (String, Vec<(usize, usize, Owner)>) {
    let mut text = String::with_capacity(rendered.len());
    let mut spans = Vec::new();
    let mut open = None;
    for c in rendered.chars() {
        if let Some(at) = OPEN.iter().position(|mark| *mark == c) {
            open = Some((text.len(), Owner::ALL[at]));
        } else if c == CLOSE {
            spans.extend(open.take().map(|(from, owner)| (from, text.len(), owner)));
        } else if c != MARK {
            text.push(c);
        }
    }
    (text, spans)
}

/// What the template writes between two of them belongs to the first up to the end
/// of its turn, and the rest to the second.
fn runs(
    text: &str,
    spans: &[(usize, usize, Owner)],
    end_of_turn: &str,
    with_tools: Owner,
) -> Vec<(usize, Owner)> {
    let last = (text.len(), text.len(), Owner::History);
    let (mut at, mut before) = (0, with_tools);
    let mut runs = Vec::new();
    for (from, to, owner) in spans.iter().copied().chain([last]) {
        let gap = &text[at..from];
        let turn = gap.rfind(end_of_turn).map_or(0, |at| {
            let end = at + end_of_turn.len();
            end + usize::from(gap[end..].starts_with('\n'))
        });
        runs.extend([(at + turn, before), (to, owner)]);
        at = to;
        before = match owner {
            Owner::System => with_tools,
            owner => owner,
        };
    }
    runs
}

impl Owned {
    /// The prompt's ids, as [`Prompt::ids`] gives them, and whose each is. `prompt` is
    /// this text or its end.
    pub fn tokens(&self, prompt: &Prompt, tokenizer: &Tokenizer) -> (Vec<u32>, Vec<Owner>) {
        // A template that tells marked text from plain text: all of it is history.
        let foreign = [(usize::MAX, Owner::History)];
        let (before, runs) = match self.text.strip_suffix(prompt.text()) {
            Some(before) => (before.len(), self.runs.as_slice()),
            None => (0, foreign.as_slice()),
        };
        let (mut ids, mut owners) = (Vec::new(), Vec::new());
        let mut at = before;
        for piece in prompt.pieces() {
            let (more, starts) = tokenizer.encode_with_starts(piece);
            ids.extend(more);
            owners.extend(starts.iter().map(|start| {
                let run = runs.partition_point(|(end, _)| *end <= at + start);
                runs.get(run).map_or(Owner::History, |(_, owner)| *owner)
            }));
            at += piece.len();
        }
        (ids, owners)
    }
}
