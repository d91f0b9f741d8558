//! Sampling from one row of logits, on the host: the reference for every
//! backend's own.

use std::sync::Arc;

/// Ids that may be sampled, one bit each.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenMask {
    bits: Vec<u64>,
}

impl TokenMask {
    pub fn new(vocab: usize, allowed: impl Fn(u32) -> bool) -> Self {
        let mut bits = vec![0u64; vocab.div_ceil(64)];
        for id in 0..vocab {
            if allowed(id as u32) {
                bits[id / 64] |= 1 << (id % 64);
            }
        }
        Self { bits }
    }

    pub fn allows(&self, id: u32) -> bool {
        self.bits
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

/// What one row's sampler needs. Filters apply in the order: mask, penalties,
/// temperature, top-k, min-p, top-p.
#[derive(Clone, Debug)]
pub struct SampleSpec {
    /// 0 takes the most likely id.
    pub temperature: f32,
    /// 0 is off.
    pub top_k: usize,
    /// 1 is off.
    pub top_p: f32,
    /// 0 is off.
    pub min_p: f32,
    /// 1 is off; logits of penalised ids are divided (if positive) or multiplied by it.
    pub repetition_penalty: f32,
    /// 0 is off; subtracted once from each penalised id's logit.
    pub presence_penalty: f32,
    /// Ids the penalties apply to.
    pub penalised: Vec<u32>,
    pub seed: u64,
    /// Absolute position of the token being sampled.
    pub position: u64,
    /// Ids that may be sampled; `None` allows all.
    pub allowed: Option<Arc<TokenMask>>,
    /// Take this id whatever the logits say; the statistics are still real.
    pub forced: Option<u32>,
}

impl Default for SampleSpec {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            penalised: Vec::new(),
            seed: 0,
            position: 0,
            allowed: None,
            forced: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
    pub id: u32,
    pub logprob: f32,
}

/// The sampled id and what the model thought of it. Log-probabilities (nats) and
/// entropy are the model's own: temperature 1, before any filter or penalty.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenStats {
    pub id: u32,
    pub logprob: f32,
    pub entropy: f32,
    /// The most likely ids, best first; five of them where the vocabulary has as many.
    pub top: Vec<Alternative>,
}

/// Samples one row. Deterministic in (logits, spec).
pub fn sample_row(_logits: &[f32], _spec: &SampleSpec) -> TokenStats {
    todo!()
}
