//! One sequence on one backend: its state, and the step that may have been
//! started ahead of what its owner has asked for. Such a step is a guess: it is
//! handed out if the owner then asks for exactly that, and otherwise undone, so
//! nobody can tell whether there was one.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::{Cache, CacheState, Error};
use crate::backend::{Backend, SampleSpec};
use crate::cache::SequenceState;

/// A step whose results have not been read.
pub(super) struct Queued<B: Backend> {
    pub ids: B::Ids,
    pub stats: B::Stats,
    pub routes: Vec<B::Routes>,
}

/// A queued step, shared by the sequences that are its rows.
type Shared<B> = Arc<Mutex<Option<Queued<B>>>>;

/// One sequence's part in a step that was started ahead.
struct Ahead<B: Backend> {
    step: Shared<B>,
    /// This sequence's row, and how many rows there are.
    place: (usize, usize),
    /// What the step assumed: the id that it runs, and how it samples.
    token: u32,
    spec: SampleSpec,
    /// The CCA states before it.
    before: Vec<B::CcaState>,
}

impl<B: Backend> Clone for Ahead<B> {
    fn clone(&self) -> Self {
        Self {
            step: Arc::clone(&self.step),
            place: self.place,
            token: self.token,
            spec: self.spec.clone(),
            before: self.before.clone(),
        }
    }
}

pub(super) struct Sequence<B: Backend> {
    state: SequenceState<B>,
    ahead: Option<Ahead<B>>,
}

impl<B: Backend> Sequence<B> {
    pub fn new(state: SequenceState<B>) -> Self {
        Self { state, ahead: None }
    }

    /// The state of what the owner has asked for; a step ahead is undone.
    pub fn settled(&mut self) -> &mut SequenceState<B> {
        if let Some(ahead) = self.ahead.take() {
            self.state.rewind(self.state.len() - 1, ahead.before);
        }
        &mut self.state
    }

    /// Keys and values of each layer. A step ahead may have added a position at the end.
    pub fn kv(&self) -> impl Iterator<Item = &B::Kv> {
        self.state.layers.iter().map(|layer| &layer.kv)
    }

    /// The CCA states after `len` tokens, if they are here. A step ahead is left to be
    /// handed out.
    pub fn cca_at(&self, len: usize) -> Option<Vec<B::CcaState>> {
        match &self.ahead {
            Some(ahead) if len + 1 == self.state.len() => Some(ahead.before.clone()),
            Some(_) if len == self.state.len() => None,
            _ => self.state.cca_at(len),
        }
    }

    pub fn of(cache: &mut Cache) -> Result<&mut Self, Error> {
        cache
            .state
            .as_any()
            .downcast_mut()
            .ok_or(Error::ForeignCache)
    }

    /// Whether the step ahead is row `place` of a step that does just this.
    fn expects(&self, place: (usize, usize), token: u32, spec: &SampleSpec) -> Option<&Shared<B>> {
        let ahead = self.ahead.as_ref()?;
        (ahead.place == place && ahead.token == token && ahead.spec == *spec).then_some(&ahead.step)
    }
}

impl<B: Backend> CacheState for Sequence<B> {
    fn fork(&self) -> Box<dyn CacheState> {
        let mut fork = Self {
            state: self.state.clone(),
            ahead: self.ahead.clone(),
        };
        fork.settled();
        Box::new(fork)
    }

    fn mark(&mut self) {
        match &self.ahead {
            Some(ahead) => {
                let before = ahead.before.clone();
                self.state.mark_at(self.state.len() - 1, before);
            }
            None => self.state.mark(),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The step that was started ahead for these sequences, if it is the one that
/// is now asked for.
pub(super) fn take_ahead<B: Backend>(
    sequences: &mut [&mut Sequence<B>],
    asked: &[(u32, SampleSpec)],
) -> Option<Queued<B>> {
    let count = sequences.len();
    let mut step: Option<Shared<B>> = None;
    for (row, (sequence, (token, spec))) in sequences.iter().zip(asked).enumerate() {
        let own = sequence.expects((row, count), *token, spec)?;
        if !Arc::ptr_eq(own, step.get_or_insert_with(|| Arc::clone(own))) {
            return None;
        }
    }
    let queued = step?.lock().unwrap_or_else(PoisonError::into_inner).take();
    if queued.is_some() {
        for sequence in sequences {
            sequence.ahead = None;
        }
    }
    queued
}

/// The states of sequences without steps ahead.
pub(super) fn settled<'a, B: Backend>(
    sequences: &'a mut [&mut Sequence<B>],
) -> Vec<&'a mut SequenceState<B>> {
    sequences.iter_mut().map(|s| s.settled()).collect()
}

/// Notes that a step has been started ahead. `before` are each sequence's CCA
/// states before it, `assumed` what it runs and how it samples.
pub(super) fn put_ahead<B: Backend>(
    sequences: &mut [&mut Sequence<B>],
    queued: Queued<B>,
    before: Vec<Vec<B::CcaState>>,
    assumed: Vec<(u32, SampleSpec)>,
) {
    let step = Arc::new(Mutex::new(Some(queued)));
    let count = sequences.len();
    let parts = before.into_iter().zip(assumed);
    for (row, (sequence, (before, (token, spec)))) in sequences.iter_mut().zip(parts).enumerate() {
        sequence.ahead = Some(Ahead {
            step: Arc::clone(&step),
            place: (row, count),
            token,
            spec,
            before,
        });
    }
}
