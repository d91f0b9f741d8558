//! What a benchmark asks of an engine beyond running it: bytes that a step
//! touches, a cache of any length without the time to compute it, and where a
//! step's time goes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Cache, Error};
use crate::backend::HeadReads;
use crate::backend::cpu::HeadMode;

/// An engine that can be measured.
pub trait Measure {
    /// Makes the cache longer by `tokens` positions whose keys and values are
    /// made up, without running the model where the backend knows how. For
    /// measuring speed at some context, which does not depend on what is stored;
    /// what the model says after it means nothing.
    fn fill(&self, cache: &mut Cache, tokens: usize) -> Result<(), Error>;

    /// What the model's parts weigh.
    fn traffic(&self) -> &Traffic;

    /// How heads of later steps are computed, where there is a choice.
    fn set_head(&self, mode: HeadMode);

    /// What the head has read since this was last asked; `None` where heads are
    /// always read whole.
    fn head_reads(&self) -> Option<HeadReads>;

    /// The clock that steps keep; `None` if operations are only queued while a
    /// step runs, so that the host can't time them.
    fn clock(&self) -> Option<&Clock>;
}

/// Bytes of the tensors by part, as the backend reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// One row of the embedding.
    pub embedding: u64,
    /// Projections to queries, keys and values, all layers.
    pub qkv: u64,
    pub convolutions: u64,
    /// Projections out of attention, all layers.
    pub output: u64,
    pub router: u64,
    /// All of the head.
    pub head: u64,
    /// Norms, merges and biases.
    pub vectors: u64,
    /// `[layer][expert]`
    pub experts: Vec<Vec<u64>>,
    /// Keys and values of one position, all layers.
    pub position: u64,
}

/// Bytes that a step reads, by part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepBytes {
    pub experts: f64,
    pub attention: f64,
    pub head: f64,
    pub router: f64,
    pub convolutions: f64,
    pub kv: f64,
    pub other: f64,
    /// Different experts in a layer, mean over the layers.
    pub distinct: f64,
}

impl StepBytes {
    pub fn total(&self) -> f64 {
        let weights = self.experts + self.attention + self.head + self.router;
        weights + self.convolutions + self.kv + self.other
    }

    /// The mean of several steps.
    pub fn mean(steps: &[Self]) -> Self {
        let mean = |part: fn(&Self) -> f64| {
            steps.iter().map(part).sum::<f64>() / steps.len().max(1) as f64
        };
        Self {
            experts: mean(|s| s.experts),
            attention: mean(|s| s.attention),
            head: mean(|s| s.head),
            router: mean(|s| s.router),
            convolutions: mean(|s| s.convolutions),
            kv: mean(|s| s.kv),
            other: mean(|s| s.other),
            distinct: mean(|s| s.distinct),
        }
    }
}

impl Traffic {
    /// Bytes that a step of sequences reads that took these routes (one per layer
    /// each) and attended to these numbers of positions. Weights count once.
    pub fn step(&self, routes: &[&[u16]], positions: &[usize]) -> StepBytes {
        let (mut experts, mut distinct) = (0, 0);
        for (layer, bytes) in self.experts.iter().enumerate() {
            let taken: BTreeSet<u16> = routes
                .iter()
                .filter_map(|r| r.get(layer).copied())
                .collect();
            let read = taken.iter().filter_map(|&e| bytes.get(usize::from(e)));
            experts += read.clone().sum::<u64>();
            distinct += read.count();
        }
        let rows = positions.len() as u64;
        let positions: usize = positions.iter().sum();
        StepBytes {
            experts: experts as f64,
            attention: (self.qkv + self.output) as f64,
            head: self.head as f64,
            router: self.router as f64,
            convolutions: self.convolutions as f64,
            kv: (self.position * positions as u64) as f64,
            other: (self.vectors + self.embedding * rows) as f64,
            distinct: distinct as f64 / self.experts.len().max(1) as f64,
        }
    }

    /// Bytes of all weights.
    pub fn weights(&self) -> u64 {
        let experts: u64 = self.experts.iter().flatten().sum();
        let attention = self.qkv + self.output + self.convolutions;
        experts + attention + self.router + self.head + self.vectors
    }
}

/// What a step consists of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Embed,
    /// Norms and residual merges.
    Norms,
    Qkv,
    Cca,
    Attend,
    Output,
    Router,
    Experts,
    /// Logits and sampling.
    Head,
}

impl Stage {
    pub const ALL: [Self; 9] = [
        Self::Embed,
        Self::Norms,
        Self::Qkv,
        Self::Cca,
        Self::Attend,
        Self::Output,
        Self::Router,
        Self::Experts,
        Self::Head,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Norms => "norms",
            Self::Qkv => "qkv",
            Self::Cca => "cca",
            Self::Attend => "attend",
            Self::Output => "o",
            Self::Router => "router",
            Self::Experts => "experts",
            Self::Head => "head",
        }
    }
}

/// Adds up the time between marks. Off until it is started; a mark then costs
/// one look at a flag.
#[derive(Debug, Default)]
pub struct Clock {
    on: AtomicBool,
    state: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    current: Option<(Stage, Instant)>,
    totals: [Duration; Stage::ALL.len()],
}

impl Times {
    fn switch(&mut self, to: Option<Stage>) {
        let now = Instant::now();
        if let Some((stage, since)) = self.current.take() {
            self.totals[stage as usize] += now - since;
        }
        self.current = to.map(|stage| (stage, now));
    }
}

impl Clock {
    pub fn start(&self) {
        *self.lock() = Times::default();
        self.on.store(true, Ordering::Relaxed);
    }

    /// Time of each stage since the start.
    pub fn stop(&self) -> Vec<(Stage, Duration)> {
        self.on.store(false, Ordering::Relaxed);
        let mut times = self.lock();
        times.switch(None);
        Stage::ALL.into_iter().zip(times.totals).collect()
    }

    /// From here on it is this stage.
    #[inline]
    pub(super) fn mark(&self, stage: Stage) {
        if self.on.load(Ordering::Relaxed) {
            self.lock().switch(Some(stage));
        }
    }

    /// From here on it is none.
    #[inline]
    pub(super) fn pause(&self) {
        if self.on.load(Ordering::Relaxed) {
            self.lock().switch(None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        Traffic {
            embedding: 1,
            qkv: 10,
            convolutions: 100,
            output: 20,
            router: 1000,
            head: 10_000,
            vectors: 3,
            experts: vec![vec![5, 6, 7], vec![8, 9, 10]],
            position: 2,
        }
    }

    #[test]
    fn an_expert_counts_once_and_skipping_costs_nothing() {
        let step = traffic().step(&[&[0, 2], &[0, 1], &[3, 3]], &[4, 5, 6]);
        assert_eq!(step.experts, 5.0 + 10.0 + 9.0);
        assert_eq!(step.distinct, 1.5);
        assert_eq!((step.kv, step.other), (30.0, 6.0));
        assert_eq!(step.attention, 30.0);
        assert_eq!(step.total(), 24.0 + 30.0 + 11_100.0 + 30.0 + 6.0);
        let mean = StepBytes::mean(&[step, StepBytes::default()]);
        assert_eq!(mean.total(), step.total() / 2.0);
        assert_eq!(traffic().weights(), 45 + 130 + 11_000 + 3);
    }

    #[test]
    fn the_clock_runs_between_marks_and_only_when_started() {
        let clock = Clock::default();
        clock.mark(Stage::Head);
        clock.start();
        clock.mark(Stage::Qkv);
        std::thread::sleep(Duration::from_millis(5));
        clock.mark(Stage::Norms);
        clock.pause();
        let times = clock.stop();
        let of = |stage| times.iter().find(|(s, _)| *s == stage).unwrap().1;
        assert!(of(Stage::Qkv) >= Duration::from_millis(5));
        assert_eq!(of(Stage::Head), Duration::ZERO);
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, index);
        }
    }
}
