//! Sampling without the host: ids stay on the device as the next step's input,
//! statistics wait there to be read. The same filters in the same order as
//! `backend::sample_row`, in fp32. Penalties need the ids so far, which the host
//! has: a call with any is sampled there.

use std::sync::{Arc, Mutex, PoisonError};

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, ops};

use super::raw;
use super::tensor::int;
use crate::backend::{Alternative, SampleSpec, TokenMask, TokenStats, uniform};

type Result<T> = std::result::Result<T, Exception>;

/// Ids on the device: u32, `[rows]`.
#[derive(Clone)]
pub struct Ids(pub(super) Array);

/// What a step's sampling says about it.
pub enum Stats {
    Host(Vec<TokenStats>),
    Device(Lazy),
}

impl From<Vec<TokenStats>> for Stats {
    fn from(stats: Vec<TokenStats>) -> Self {
        Self::Host(stats)
    }
}

/// Statistics that are being computed.
pub struct Lazy {
    /// u32 `[rows]`
    ids: Array,
    /// f32 `[rows, 2 + n]`: log-probability of the id, entropy, then the
    /// log-probabilities of the most likely ids.
    values: Array,
    /// u32 `[rows, n]`
    top: Array,
}

impl Lazy {
    pub fn arrays(&self) -> [&Array; 3] {
        [&self.ids, &self.values, &self.top]
    }

    /// Waits for them.
    pub fn read(&self) -> Result<Vec<TokenStats>> {
        let ids = host::<u32>(&self.ids)?;
        let (values, top) = (host::<f32>(&self.values)?, host::<u32>(&self.top)?);
        let count = self.top.dim(1) as usize;
        Ok(ids
            .iter()
            .zip(values.chunks_exact(count + 2))
            .zip(top.chunks_exact(count))
            .map(|((&id, values), top)| TokenStats {
                id,
                logprob: values[0],
                entropy: values[1].max(0.0),
                top: top
                    .iter()
                    .zip(&values[2..])
                    .map(|(&id, &logprob)| Alternative { id, logprob })
                    .collect(),
            })
            .collect())
    }
}

/// The numbers of an array that was made row by row.
pub fn host<T: mlx_rs::ArrayElement + Clone>(array: &Array) -> Result<Vec<T>> {
    array
        .to_vec_exact()
        .map_err(|error| Exception::custom(error.to_string()))
}

/// Whether all of this can be sampled on the device.
pub fn possible(specs: &[SampleSpec]) -> bool {
    specs
        .iter()
        .all(|spec| spec.repetition_penalty == 1.0 && spec.presence_penalty == 0.0)
}

/// Most likely ids that are reported.
const REPORTED: usize = 5;

/// Masks on the device. There is one in use, as a rule.
#[derive(Default)]
pub struct Masks(Mutex<Option<(Arc<TokenMask>, Array)>>);

impl Masks {
    /// 0 for ids that may be sampled, minus infinity for the others: `[vocab]`.
    fn of(&self, mask: &Arc<TokenMask>, vocab: usize) -> Array {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, array)) = last.as_ref().filter(|(m, _)| Arc::ptr_eq(m, mask)) {
            return array.clone();
        }
        let values: Vec<f32> = (0..vocab as u32)
            .map(|id| {
                if mask.allows(id) {
                    0.0
                } else {
                    f32::NEG_INFINITY
                }
            })
            .collect();
        let array = Array::from_slice(&values, &[int(vocab)]);
        *last = Some((Arc::clone(mask), array.clone()));
        array
    }
}

/// Samples each row of `logits`, `[rows, vocab]`.
pub fn sample(masks: &Masks, logits: &Array, specs: &[SampleSpec]) -> Result<(Ids, Stats)> {
    let vocab = logits.dim(1) as usize;
    // Neither NaN nor plus infinity can be sampled or weighed.
    let finite = logits.is_finite()?;
    let logits = ops::select(finite, logits, Array::from_f32(f32::NEG_INFINITY))?;
    let mut ids = Vec::with_capacity(specs.len());
    for (row, spec) in specs.iter().enumerate() {
        let row = raw::slice(&logits, &[row, 0], &[row + 1, vocab])?.reshape(&[int(vocab)])?;
        ids.push(choose(masks, &row, spec)?.reshape(&[1])?);
    }
    let ids = match ids.len() {
        1 => ids.remove(0),
        _ => ops::concatenate(&ids, 0)?,
    };
    let stats = statistics(&logits, &ids, vocab)?;
    Ok((Ids(ids), Stats::Device(stats)))
}

/// The model's own distribution, temperature 1, whatever was sampled.
fn statistics(logits: &Array, ids: &Array, vocab: usize) -> Result<Lazy> {
    let count = REPORTED.min(vocab);
    let rows = logits.dim(0);
    let logprobs = logits.subtract(logits.logsumexp_axis(-1, true)?)?;
    let p = ops::exp(&logprobs)?;
    let none = Array::from_f32(0.0);
    let weighted = ops::select(p.gt(&none)?, p.multiply(&logprobs)?, &none)?;
    let entropy = weighted.sum_axis(-1, true)?.negative()?;
    let column = ids.reshape(&[rows, 1])?;
    let mut values = vec![
        ops::indexing::take_along_axis(&logprobs, &column, -1)?,
        entropy,
    ];
    let mut top = Vec::with_capacity(count);
    let mut left = logprobs.clone();
    // A handful of scans; sorting all would take longer than the rest of a step.
    for _ in 0..count {
        let best = ops::indexing::argmax_axis(&left, -1, true)?.as_dtype(Dtype::Uint32)?;
        values.push(ops::indexing::take_along_axis(&logprobs, &best, -1)?);
        let all = Array::arange::<i32, u32>(0, int(vocab), None)?;
        left = ops::select(all.eq(&best)?, Array::from_f32(f32::NEG_INFINITY), left)?;
        top.push(best);
    }
    Ok(Lazy {
        ids: ids.clone(),
        values: ops::concatenate(&values, 1)?,
        top: ops::concatenate(&top, 1)?,
    })
}

/// The id for one row, `[vocab]`.
fn choose(masks: &Masks, row: &Array, spec: &SampleSpec) -> Result<Array> {
    let vocab = row.dim(0) as usize;
    if let Some(id) = spec.forced {
        return Ok(Array::from_slice(&[id], &[1]));
    }
    let row = match &spec.allowed {
        Some(mask) => row.add(masks.of(mask, vocab))?,
        None => row.clone(),
    };
    let best = ops::indexing::argmax_axis(&row, 0, true)?.as_dtype(Dtype::Uint32)?;
    if spec.temperature <= 0.0 || spec.top_k == 1 {
        return Ok(best);
    }
    // In units of the temperature, relative to the best: its weight is 1.
    let x = row
        .subtract(row.take_axis(&best, 0)?)?
        .divide(Array::from_f32(spec.temperature))?;
    let mut weights = ops::exp(x)?;
    let none = Array::from_f32(0.0);
    let from = |weights: &Array, least: Array| ops::select(weights.ge(least)?, weights, &none);
    if spec.top_k > 0 && spec.top_k < vocab {
        let least = kth(&descending(&weights)?, spec.top_k - 1)?;
        weights = from(&weights, least)?;
    }
    if spec.min_p > 0.0 {
        weights = from(&weights, Array::from_f32(spec.min_p))?;
    }
    if spec.top_p < 1.0 {
        let sorted = descending(&weights)?;
        let sums = sorted.cumsum(0, None, None)?;
        let goal = kth(&sums, vocab - 1)?.multiply(Array::from_f32(spec.top_p))?;
        // As many as it takes: those whose sum before them is below the goal.
        let before = sums.subtract(&sorted)?.lt(goal)?;
        let least = ops::select(before, &sorted, Array::from_f32(f32::INFINITY))?.min(None)?;
        weights = from(&weights, least)?;
    }
    let sums = weights.cumsum(0, None, None)?;
    let total = kth(&sums, vocab - 1)?;
    let draw = total.multiply(Array::from_f32(uniform(spec.seed, spec.position) as f32))?;
    let past = sums.le(draw)?.as_dtype(Dtype::Uint32)?.sum(None)?;
    // Rounding can let the draw reach the total.
    let inside = past.lt(Array::from_slice(&[vocab as u32], &[1]))?;
    ops::select(inside, past, best)?.as_dtype(Dtype::Uint32)
}

fn descending(values: &Array) -> Result<Array> {
    ops::sort_axis(values.negative()?, 0)?.negative()
}

fn kth(values: &Array, k: usize) -> Result<Array> {
    raw::slice(values, &[k], &[k + 1])
}
