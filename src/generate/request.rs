//! What a run is asked to do, and what it reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::{Grammar, Nudge, ThinkingKeys};
use crate::backend::Alternative;

/// How to pick tokens; the names are the field's (see `backend::SampleSpec`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    pub temperature: f32,
    pub top_k: usize,
    pub top_p: f32,
    pub min_p: f32,
    /// Both penalties apply to the ids generated in this run.
    pub repetition_penalty: f32,
    pub presence_penalty: f32,
    pub seed: u64,
}

impl Sampling {
    /// Always the most likely id.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        seed: 0,
    };
}

/// When to force a reasoning span closed.
#[derive(Clone, Debug, PartialEq)]
pub struct ThinkingBudget {
    /// Id that opens a span, and the one that closes it.
    pub open: u32,
    pub close: u32,
    /// Id that opens a tool call, which ends a span as well.
    pub tool_call: Option<u32>,
    /// Whether the prompt ends inside an open span.
    pub starts_open: bool,
    /// Tokens of reasoning after which `closing` is forced.
    pub tokens: usize,
    /// Ids that close the span: the marker and what the template puts after it.
    pub closing: Vec<u32>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub prompt: Vec<u32>,
    /// Ids of the answer that are known already, from a run of the same request
    /// that was cut off: they count as generated, and no event is sent for them.
    pub given: Vec<u32>,
    /// Ids that come next, whatever the model thinks of them: each is run like one that
    /// was sampled and sent with what the model thought of it. One that a call's grammar
    /// forbids ends the grammar's hold on that call.
    pub forced: Vec<u32>,
    /// What followed `given` in another answer. Nothing of it is generated; but blocks
    /// on disk are named by all their tokens, so the one that `given` ends within is
    /// found by these.
    pub after: Vec<u32>,
    pub sampling: Sampling,
    pub stop_ids: Vec<u32>,
    pub max_tokens: usize,
    /// Positions the model may use; reaching it ends the run with
    /// [`FinishReason::Context`].
    pub context: usize,
    pub thinking: Option<ThinkingBudget>,
    /// What the user is known to do to the reasoning, in the order of its tokens.
    pub nudges: Vec<Nudge>,
    /// What the user does to it meanwhile.
    pub keys: ThinkingKeys,
    /// Lengths of beginnings of the prompt that other prompts will share: what the model
    /// is told first. Where caches are kept, they are kept up to exactly there.
    pub boundaries: Vec<usize>,
    /// Ends the run after the token it is at, with [`FinishReason::Steered`].
    pub pause: Cancel,
    /// What tool calls may be; `None` leaves them to the model. A prompt whose last
    /// id opens a call starts within one.
    pub constraint: Option<Arc<Grammar>>,
}

/// What a prompt cost: `prompt == reused + prefilled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptUsage {
    pub prompt: usize,
    /// Tokens of the longest common id prefix with the caches in memory and on disk.
    /// The last prompt token is never reused: the first answer comes from running it.
    pub reused: usize,
    /// How many of the reused ones came from disk.
    #[serde(default)]
    pub loaded: usize,
    pub prefilled: usize,
    /// Tokens run again only to rebuild convolution state.
    pub replayed: usize,
}

/// One generated token and what the model thought of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub id: u32,
    /// Text completed by this token: whole UTF-8, empty while a character is
    /// still incomplete.
    pub text: String,
    /// Absolute position in the sequence.
    pub position: usize,
    /// Natural logarithm of the model's probability, temperature 1, unfiltered.
    pub logprob: f32,
    /// Nats, of the same distribution.
    pub entropy: f32,
    /// False if log-probabilities and entropy are partly estimated (a screened
    /// head); the ids are exact in any case.
    pub exact_logprobs: bool,
    pub top: Vec<Alternative>,
    /// Expert chosen at each layer while predicting it; the number of experts
    /// means "skipped".
    pub experts: Vec<u16>,
    /// Put there by the request, by the thinking budget, or by the grammar to close a
    /// call in time, rather than sampled.
    pub forced: bool,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// A stop id was sampled; it is the last of the run's ids.
    #[default]
    Stop,
    MaxTokens,
    /// The context is full.
    Context,
    /// The same phrase was repeated over and over.
    Loop,
    Cancelled,
    /// The user has something to say to what is being written.
    Steered,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Prompt tokens run so far, of those that had to be run.
    Prefill { done: usize, total: usize },
    /// Something for the user to read, in one line.
    Notice(String),
    /// The prompt is in the cache.
    Started(PromptUsage),
    /// The user did something to the reasoning; comes before the token that it is for,
    /// and not for what the request knew.
    Nudged(Nudge),
    /// Not sent for stop ids.
    Token(Token),
    /// The last event of a run. `tail` is what remained of an incomplete
    /// character, as U+FFFD. `ids` are all generated ids, a stop id included.
    Finished {
        reason: FinishReason,
        tail: String,
        ids: Vec<u32>,
    },
    /// The last event of a run that failed.
    Failed(String),
}

/// Stops a run from another thread or a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
