//! Caches as bytes: what is kept on disk between runs. Rows are keys and values of
//! positions, layer after layer, as they are stored; a state is the CCA states of all
//! layers at one position. What comes back is checked before it is believed.

use std::ops::Range;

use super::engine::{Cache, Error};
use super::run::ZayaEngine;
use super::sequence::Sequence;
use crate::backend::{Backend, KvDtype};

/// Some positions of a cache, on their way back into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub tokens: Vec<u32>,
    /// As [`Persist::rows`] gave them.
    pub rows: Vec<u8>,
    /// The state after the last of the tokens, where it was kept.
    pub state: Option<Vec<u8>>,
}

/// What [`Persist::append`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Tokens run again to rebuild the state: at most twice the layers.
    pub replayed: usize,
    /// A piece could not be believed; neither it nor what follows it is in the cache.
    pub refused: bool,
}

/// An engine whose caches can be written down. Rows and states belong to one
/// `EngineInfo::numerics` of one bundle.
pub trait Persist {
    /// Bytes of the rows of one position.
    fn row_len(&self) -> usize;

    /// Bytes of a state.
    fn state_len(&self) -> usize;

    /// Rows of some of the cache's positions: for each layer keys `[positions,
    /// kv_heads * head_dim]`, then values.
    fn rows(&self, cache: &mut Cache, positions: Range<usize>) -> Result<Vec<u8>, Error>;

    /// The state after `len` tokens, if the cache has it: at its end, or at a mark.
    fn state(&self, cache: &mut Cache, len: usize) -> Result<Option<Vec<u8>>, Error>;

    /// Makes the cache its first `range.start` tokens and what the pieces hold, up to
    /// one that is of the wrong size, has ids that there are none of, or numbers that
    /// are not finite; of all that no more than `range.end` tokens. Then rebuilds the
    /// state where no piece near the end has it.
    fn append(
        &self,
        cache: &mut Cache,
        range: Range<usize>,
        pieces: &mut dyn Iterator<Item = Piece>,
    ) -> Result<Imported, Error>;
}

impl<B: Backend> ZayaEngine<B> {
    /// Bytes of one layer's rows of a position.
    fn layer_row(&self) -> usize {
        let shape = self.model.shape();
        2 * shape.kv_heads * shape.head_dim * self.kv.size()
    }

    fn believable(&self, piece: &Piece) -> bool {
        let rows = piece.tokens.len() * self.row_len();
        let finite = match self.kv {
            KvDtype::F16 => finite_halves(&piece.rows),
            KvDtype::F32 => finite_singles(&piece.rows),
        };
        let state = |state: &Vec<u8>| state.len() == self.state_len() && finite_singles(state);
        piece.rows.len() == rows
            && finite
            && piece.state.as_ref().is_none_or(state)
            && self.check(&piece.tokens).is_ok()
    }

    fn states(&self, bytes: &[u8]) -> Vec<B::CcaState> {
        let shape = self.model.shape();
        let numbers: Vec<f32> = singles(bytes).collect();
        let layers = numbers.chunks_exact(shape.state_len().max(1));
        layers
            .map(|numbers| self.backend.write_cca(shape, numbers))
            .collect()
    }
}

impl<B: Backend> Persist for ZayaEngine<B> {
    fn row_len(&self) -> usize {
        self.info.layers * self.layer_row()
    }

    fn state_len(&self) -> usize {
        self.info.layers * self.model.shape().state_len() * size_of::<f32>()
    }

    fn rows(&self, cache: &mut Cache, positions: Range<usize>) -> Result<Vec<u8>, Error> {
        let positions = positions.start..positions.end.min(cache.len());
        let sequence = Sequence::<B>::of(cache)?;
        let backend = &self.backend;
        let rows = backend.enter(move || {
            let layers = sequence.kv();
            layers.fold(Vec::new(), |mut rows, kv| {
                rows.extend(backend.read_kv(kv, positions.clone()));
                rows
            })
        });
        self.sound()?;
        Ok(rows)
    }

    fn state(&self, cache: &mut Cache, len: usize) -> Result<Option<Vec<u8>>, Error> {
        let sequence = Sequence::<B>::of(cache)?;
        let Some(states) = sequence.cca_at(len) else {
            return Ok(None);
        };
        let backend = &self.backend;
        let numbers: Vec<f32> =
            backend.enter(move || states.iter().flat_map(|s| backend.read_cca(s)).collect());
        self.sound()?;
        Ok(Some(numbers.iter().flat_map(|x| x.to_ne_bytes()).collect()))
    }

    fn append(
        &self,
        cache: &mut Cache,
        range: Range<usize>,
        pieces: &mut dyn Iterator<Item = Piece>,
    ) -> Result<Imported, Error> {
        let backend = &self.backend;
        let span = self.model.replay_span();
        let mut imported = Imported::default();
        Sequence::<B>::of(cache)?;
        let mut tokens = std::mem::take(&mut cache.tokens);
        let state = Sequence::<B>::of(cache)?.settled();
        state.cut(range.start);
        tokens.truncate(state.len());
        // Of the states that come only those near the end are of use.
        let mut kept = Vec::new();
        for piece in pieces {
            if !self.believable(&piece) {
                imported.refused = true;
                break;
            }
            let count = piece.tokens.len();
            let layer = count * self.layer_row();
            backend.enter(|| {
                let rows = piece.rows.chunks_exact(layer.max(1));
                for (layer, rows) in state.layers.iter_mut().zip(rows) {
                    backend.write_kv(&mut layer.kv, count, rows);
                }
            });
            tokens.extend(piece.tokens);
            let end = tokens.len().min(range.end);
            kept.retain(|(len, _)| len + span > end);
            let state = piece.state.filter(|_| tokens.len() == end);
            kept.extend(state.map(|state| (end, state)));
        }
        state.cut(range.end);
        tokens.truncate(range.end);
        for (len, bytes) in kept {
            let states = backend.enter(|| self.states(&bytes));
            state.mark_at(len, states);
        }
        let truncation = state.settle(span);
        cache.tokens = tokens;
        self.sound().inspect_err(|_| self.clear(cache))?;
        imported.replayed = self.replay(cache, truncation)?;
        Ok(imported)
    }
}

fn singles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (singles, _) = bytes.as_chunks::<4>();
    singles.iter().map(|&bytes| f32::from_ne_bytes(bytes))
}

fn finite_singles(bytes: &[u8]) -> bool {
    singles(bytes).all(f32::is_finite)
}

fn finite_halves(bytes: &[u8]) -> bool {
    const EXPONENT: u16 = 0x7c00;
    let (halves, _) = bytes.as_chunks::<2>();
    halves
        .iter()
        .all(|&bytes| u16::from_ne_bytes(bytes) & EXPONENT != EXPONENT)
}
