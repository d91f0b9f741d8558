//! The type-erased engine: a model on a backend, without either type's name.

use std::any::Any;
use std::ops::ControlFlow;

use super::measure::Measure;
use super::persist::Persist;
use crate::backend::{HeadAudit, SampleSpec, TokenStats};

/// What the floors above may know about a loaded model.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    pub vocab: usize,
    /// Fused layers; also the number of expert choices per token.
    pub layers: usize,
    pub experts: usize,
    /// Backend and activation type, e.g. "cpu, f32 activations".
    pub backend: String,
    /// What decides the bits of its results: caches and replays belong to it.
    pub numerics: String,
    /// What the user should know about how it was loaded, a line each.
    pub notices: Vec<String>,
}

/// The state of one sequence: its tokens and what the model computed for them.
/// A value: `fork` is cheap and copies on write.
pub struct Cache {
    pub(super) tokens: Vec<u32>,
    pub(super) state: Box<dyn CacheState>,
}

pub(super) trait CacheState: Any + Send {
    fn fork(&self) -> Box<dyn CacheState>;
    fn mark(&mut self);
    fn as_any(&mut self) -> &mut dyn Any;
}

impl Cache {
    /// The ids that were run, in order.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The sequence as it is now, to come back to.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.fork())
    }

    /// Makes this the sequence that was snapshotted, whatever happened since.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        *self = snapshot.0.fork();
    }

    /// An independent copy; shares memory until one side changes.
    pub fn fork(&self) -> Self {
        Self {
            tokens: self.tokens.clone(),
            state: self.state.fork(),
        }
    }

    /// Keeps the state at this position, so that a later truncation to here
    /// replays nothing. The oldest of more than a few marks is dropped.
    pub fn mark(&mut self) {
        self.state.mark();
    }
}

/// A sequence put aside by [`Cache::snapshot`].
pub struct Snapshot(Cache);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("token id {0} is outside the vocabulary of {1}")]
    UnknownToken(u32, usize),
    #[error("a cache of another engine was given to this one")]
    ForeignCache,
    #[error("the engine gave no result for a row")]
    NoResult,
    #[error("the {0} backend failed: {1}")]
    Backend(&'static str, String),
}

/// Hears how many of how many tokens are done; `Break` stops.
pub type Progress<'a> = dyn FnMut(usize, usize) -> ControlFlow<()> + Send + 'a;

/// A prefill stopped by its observer; the cache holds what was run so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// One sequence's part in a step.
pub struct StepRow<'a> {
    pub cache: &'a mut Cache,
    /// The id to run: the newest one, not yet in the cache.
    pub token: u32,
    pub spec: SampleSpec,
}

/// What a step gave one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub stats: TokenStats,
    /// Class chosen at each layer while predicting this token; the number of
    /// experts means "skipped".
    pub routes: Vec<u16>,
}

/// A loaded model. Deterministic: the same bits for any thread count, chunk
/// size and batch.
pub trait Engine: Send {
    fn info(&self) -> &EngineInfo;

    fn new_cache(&self) -> Cache;

    /// Runs `tokens` after what the cache holds, in chunks. `progress(done,
    /// total)` is called before each layer of each chunk and after the last;
    /// `Break` stops there, with the whole chunks before it in the cache.
    fn prefill(
        &self,
        cache: &mut Cache,
        tokens: &[u32],
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<Interrupted>, Error>;

    /// Runs one token of each sequence and samples the next of each.
    fn step(&self, rows: &mut [StepRow<'_>]) -> Result<Vec<Step>, Error>;

    /// Forgets all but the first `len` tokens. Exact. Returns how many tokens
    /// were run again to rebuild the convolution state: at most twice the layers.
    fn truncate(&self, cache: &mut Cache, len: usize) -> Result<usize, Error>;

    /// The calling thread will be the one that runs this engine, and has little
    /// else to do: it may be given a processor.
    fn adopt_thread(&self) {}

    /// What a store of caches needs, of engines whose caches can be written down.
    fn persist(&self) -> Option<&dyn Persist> {
        None
    }

    /// What a benchmark needs, of engines that can be measured.
    fn measure(&self) -> Option<&dyn Measure> {
        None
    }

    /// Logits `[tokens, vocab]` (row-major) of all of `tokens`, run after what
    /// the cache holds. For checking, not for generating.
    fn logits(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>, Error>;

    /// What the head did since loading, if it does not always compute all rows.
    fn head_audit(&self) -> Option<HeadAudit> {
        None
    }
}
