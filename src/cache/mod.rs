//! The state of one sequence, layer by layer: keys and values, and what CCA
//! carries from token to token. Forking shares memory. Keys and values can be
//! cut anywhere, but the CCA state exists only where it was kept, so truncation
//! is exact at a mark and otherwise says which tokens must be replayed.

pub mod disk;

use std::collections::VecDeque;

use crate::backend::{Backend, KvStore};

/// Marks kept per sequence; the oldest goes first.
const MARKS: usize = 8;

/// State of one layer.
pub struct LayerState<B: Backend> {
    pub kv: B::Kv,
    pub cca: B::CcaState,
}

impl<B: Backend> Clone for LayerState<B> {
    fn clone(&self) -> Self {
        Self {
            kv: self.kv.clone(),
            cca: self.cca.clone(),
        }
    }
}

/// The CCA states of all layers after `len` tokens.
struct Mark<B: Backend> {
    len: usize,
    cca: Vec<B::CcaState>,
}

impl<B: Backend> Clone for Mark<B> {
    fn clone(&self) -> Self {
        Self {
            len: self.len,
            cca: self.cca.clone(),
        }
    }
}

/// State of all layers. `clone` is a fork: cheap, copying on write; a clone that
/// is put aside is a snapshot, and assigning it back restores it.
pub struct SequenceState<B: Backend> {
    pub layers: Vec<LayerState<B>>,
    /// The CCA state before the first token.
    initial: B::CcaState,
    marks: VecDeque<Mark<B>>,
}

impl<B: Backend> Clone for SequenceState<B> {
    fn clone(&self) -> Self {
        Self {
            layers: self.layers.clone(),
            initial: self.initial.clone(),
            marks: self.marks.clone(),
        }
    }
}

/// What is left to do after [`SequenceState::truncate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// The state is that of a sequence of this length.
    Exact,
    /// Keys and values are right. Run the tokens from `from` to the new end
    /// again, attending to what is stored and appending nothing; then the CCA
    /// state is right as well.
    Replay { from: usize },
}

impl<B: Backend> SequenceState<B> {
    /// An empty sequence. `kv` makes one layer's empty store.
    pub fn new(layers: usize, initial: B::CcaState, kv: impl Fn() -> B::Kv) -> Self {
        let layers = (0..layers)
            .map(|_| LayerState {
                kv: kv(),
                cca: initial.clone(),
            })
            .collect();
        Self {
            layers,
            initial,
            marks: VecDeque::new(),
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.kv.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The CCA states of all layers, as they are now.
    pub fn cca(&self) -> Vec<B::CcaState> {
        self.layers.iter().map(|layer| layer.cca.clone()).collect()
    }

    /// Makes this the sequence of `len` tokens whose CCA states were `cca`.
    pub fn rewind(&mut self, len: usize, cca: Vec<B::CcaState>) {
        for (layer, cca) in self.layers.iter_mut().zip(cca) {
            layer.kv.truncate(len);
            layer.cca = cca;
        }
        self.marks.retain(|m| m.len <= len);
    }

    /// Keeps the CCA state at this length.
    pub fn mark(&mut self) {
        self.mark_at(self.len(), self.cca());
    }

    /// Keeps the CCA states that belong to the first `len` tokens.
    pub fn mark_at(&mut self, len: usize, cca: Vec<B::CcaState>) {
        if len == 0 || self.marks.iter().any(|m| m.len == len) {
            return;
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { len, cca });
    }

    /// Cuts the sequence to its first `len` tokens. `span` is how many tokens a
    /// replay from an unknown state needs before the state is exact: twice the
    /// layers for two convolutions of two taps, as each layer's state at `p`
    /// depends on its inputs at `p - 1` and `p - 2` only.
    pub fn truncate(&mut self, len: usize, span: usize) -> Truncation {
        if len >= self.len() {
            return Truncation::Exact;
        }
        self.cut(len);
        self.settle(span)
    }

    /// Forgets keys, values and marks from `len` on. The CCA states are then those of
    /// no length, until [`SequenceState::settle`].
    pub fn cut(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.kv.truncate(len);
        }
        self.marks.retain(|m| m.len <= len);
    }

    /// The CCA states after `len` tokens, if they are here: those of now, or a mark's.
    pub fn cca_at(&self, len: usize) -> Option<Vec<B::CcaState>> {
        if len == self.len() {
            return Some(self.cca());
        }
        let mark = self.marks.iter().find(|mark| mark.len == len)?;
        Some(mark.cca.clone())
    }

    /// Makes the CCA states those of the sequence's length, where keys and values have
    /// just been cut or appended to: from the nearest mark, else by a replay over `span`
    /// tokens, as for [`SequenceState::truncate`].
    pub fn settle(&mut self, span: usize) -> Truncation {
        let len = self.len();
        let earliest = len.saturating_sub(span);
        let nearest = self
            .marks
            .iter()
            .filter(|m| m.len > earliest)
            .max_by_key(|m| m.len);
        let from = match nearest {
            Some(mark) => {
                for (layer, cca) in self.layers.iter_mut().zip(&mark.cca) {
                    layer.cca = cca.clone();
                }
                mark.len
            }
            None => {
                for layer in &mut self.layers {
                    layer.cca = self.initial.clone();
                }
                earliest
            }
        };
        if from == len {
            Truncation::Exact
        } else {
            Truncation::Replay { from }
        }
    }
}
