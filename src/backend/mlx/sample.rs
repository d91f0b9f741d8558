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
                // Neither below zero nor a negative zero; NaN stays.
                entropy: values[1].clamp(0.0, f32::INFINITY) + 0.0,
                exact: true,
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

/// Whether all of this can be sampled on the device. An id that is forced and no
/// id at all could not even be looked up there.
pub fn possible(specs: &[SampleSpec], vocab: usize) -> bool {
    specs.iter().all(|spec| {
        let penalised = spec.repetition_penalty != 1.0 || spec.presence_penalty != 0.0;
        !penalised && spec.forced.is_none_or(|id| (id as usize) < vocab)
    })
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
    let finite = ops::select(logits.is_finite()?, logits, number(f32::NEG_INFINITY))?;
    let mut ids = Vec::with_capacity(specs.len());
    for (row, spec) in specs.iter().enumerate() {
        let row = raw::slice(&finite, &[row, 0], &[row + 1, vocab])?.reshape(&[int(vocab)])?;
        ids.push(choose(masks, row, spec)?.reshape(&[1])?);
    }
    let ids = match ids.len() {
        1 => ids.remove(0),
        _ => ops::concatenate(&ids, 0)?,
    };
    let stats = statistics(logits, &finite, &ids, vocab)?;
    Ok((Ids(ids), Stats::Device(stats)))
}

fn number(x: f32) -> Array {
    Array::from_f32(x)
}

/// The model's own distribution, temperature 1, whatever was sampled. NaN where
/// the logits have none: an infinite one, or none that is finite.
fn statistics(logits: &Array, finite: &Array, ids: &Array, vocab: usize) -> Result<Lazy> {
    let count = REPORTED.min(vocab);
    let rows = logits.dim(0);
    // A NaN is not the largest of anything.
    let rank = ops::select(logits.is_nan()?, number(f32::MIN), logits)?;
    let usable = rank.max_axis(-1, true)?.lt(number(f32::INFINITY))?;
    let highest = finite.max_axis(-1, true)?;
    let usable = usable.logical_and(highest.gt(number(f32::NEG_INFINITY))?)?;
    let total = row_sums(&ops::exp(finite.subtract(&highest)?)?)?.log()?;
    let total = ops::select(usable, total, number(f32::NAN))?;
    // From the highest down: large logits would swallow the difference.
    let logprob = |logits: &Array| logits.subtract(&highest)?.subtract(&total);
    let p_log = logprob(finite)?;
    let p = ops::exp(&p_log)?;
    let weighted = ops::select(p.eq(number(0.0))?, number(0.0), p.multiply(&p_log)?)?;
    let entropy = row_sums(&weighted)?.negative()?;
    let logprobs = logprob(logits)?;
    let column = ids.reshape(&[rows, 1])?;
    let mut values = vec![
        ops::indexing::take_along_axis(&logprobs, &column, -1)?,
        entropy,
    ];
    let mut top = Vec::with_capacity(count);
    let all = Array::arange::<i32, u32>(0, int(vocab), None)?;
    // What has been reported ranks below what can't be.
    let mut left = ops::maximum(rank, number(f32::MIN))?;
    // A handful of scans; sorting all would take longer than the rest of a step.
    for _ in 0..count {
        let best = ops::indexing::argmax_axis(&left, -1, true)?;
        values.push(ops::indexing::take_along_axis(&logprobs, &best, -1)?);
        left = ops::select(all.eq(&best)?, number(f32::NEG_INFINITY), left)?;
        top.push(best);
    }
    Ok(Lazy {
        ids: ids.clone(),
        values: ops::concatenate(&values, 1)?,
        top: ops::concatenate(&top, 1)?,
    })
}

/// The id for one row, `[vocab]`: minus infinity where nothing can be sampled.
fn choose(masks: &Masks, row: Array, spec: &SampleSpec) -> Result<Array> {
    if let Some(id) = spec.forced {
        return Ok(Array::from_slice(&[id], &[1]));
    }
    let vocab = row.dim(0) as usize;
    let row = match &spec.allowed {
        Some(mask) => row.add(masks.of(mask, vocab))?,
        None => row,
    };
    let best = ops::indexing::argmax_axis(&row, 0, true)?;
    let highest = row.take_axis(&best, 0)?;
    let best = match spec.allowed.as_ref().and_then(|mask| mask.first()) {
        Some(first) => {
            let hopeless = highest.eq(number(f32::NEG_INFINITY))?;
            ops::select(hopeless, Array::from_slice(&[first], &[1]), best)?
        }
        None => best,
    };
    if spec.temperature <= 0.0 || spec.top_k == 1 {
        return Ok(best);
    }
    // Zero, infinity and what a GPU takes for zero would make a NaN of 0 / T or T / T.
    let temperature = spec.temperature.clamp(f32::MIN_POSITIVE, f32::MAX);
    // In units of the temperature, relative to the best: its weight is 1. Without
    // a best, nothing has any.
    let highest = ops::maximum(highest, number(f32::MIN))?;
    let weigh = |logits: &Array| {
        let x = logits.subtract(&highest)?.divide(number(temperature))?;
        ops::exp(x)
    };
    let mut weights = weigh(&row)?;
    if (spec.top_k > 0 && spec.top_k < vocab) || spec.top_p < 1.0 {
        let sorted = descending(&row)?;
        let count = prefix(&sorted, weigh, spec)?;
        weights = ops::select(first_ranks(&row, &sorted, &count)?, weights, number(0.0))?;
    } else if spec.min_p > 0.0 {
        weights = at_least(&weights, spec.min_p)?;
    }
    let sums = running_sums(&weights)?;
    let draw = last(&sums)?.multiply(number(uniform(spec.seed, spec.position) as f32))?;
    // An id without weight is never drawn, however the sums were rounded.
    let hit = sums.gt(draw)?.logical_and(weights.gt(number(0.0))?)?;
    let hit = hit.as_dtype(Dtype::Float32)?;
    let id = ops::indexing::argmax_axis(&hit, 0, true)?;
    // Rounding can let the draw reach the total.
    let found = hit.take_axis(&id, 0)?.gt(number(0.0))?;
    ops::select(found, id, best)
}

fn at_least(weights: &Array, least: f32) -> Result<Array> {
    ops::select(weights.ge(number(least))?, weights, number(0.0))
}

/// How many of the most likely ids pass top-k, min-p and top-p: u32, `[1]`.
fn prefix(
    sorted: &Array,
    weigh: impl Fn(&Array) -> Result<Array>,
    spec: &SampleSpec,
) -> Result<Array> {
    let vocab = sorted.dim(0) as usize;
    let k = match spec.top_k {
        0 => vocab,
        k => k.min(vocab),
    };
    let mut weights = weigh(&raw::slice(sorted, &[0], &[k])?)?;
    if spec.min_p > 0.0 {
        weights = at_least(&weights, spec.min_p)?;
    }
    if spec.top_p < 1.0 {
        // As many as it takes: those before which the goal is not reached.
        let sums = running_sums(&weights)?;
        let goal = last(&sums)?.multiply(number(spec.top_p))?;
        let needed = sums.subtract(&weights)?.lt(goal)?;
        weights = ops::select(needed, weights, number(0.0))?;
    }
    let kept = weights.gt(number(0.0))?.as_dtype(Dtype::Uint32)?;
    kept.sum_axis(0, true)?.as_dtype(Dtype::Uint32)
}

/// Which of `row` are its `count` highest; of equal ones, those of the lowest ids.
fn first_ranks(row: &Array, sorted: &Array, count: &Array) -> Result<Array> {
    let one = Array::from_slice(&[1u32], &[1]);
    let position = ops::maximum(count, &one)?.subtract(&one)?;
    let least = sorted.take_axis(position, 0)?;
    let above = row.gt(&least)?;
    let equal = row.eq(&least)?;
    let taken = above.as_dtype(Dtype::Uint32)?.sum_axis(0, true)?;
    let turn = equal.as_dtype(Dtype::Uint32)?.cumsum(0, None, None)?;
    let fits = turn.add(taken)?.le(count)?;
    above.logical_or(equal.logical_and(fits)?)
}

fn descending(values: &Array) -> Result<Array> {
    ops::sort_axis(values.negative()?, 0)?.negative()
}

fn last(values: &Array) -> Result<Array> {
    let len = values.dim(0) as usize;
    raw::slice(values, &[len - 1], &[len])
}

/// Numbers that are added up one after the other. One chain of fp32 additions
/// over a vocabulary would lose what the many unlikely ids weigh together.
const BLOCK: usize = 512;

/// `[rows, n]` as `[rows, blocks, BLOCK]`, filled up with zeros.
fn blocks(values: &Array) -> Result<Array> {
    let (rows, len) = (values.dim(0) as usize, values.dim(1) as usize);
    let blocks = len.div_ceil(BLOCK);
    let padding = super::faults::zeros(&[rows, blocks * BLOCK - len]);
    ops::concatenate(&[values, &padding], 1)?.reshape(&[int(rows), int(blocks), int(BLOCK)])
}

/// `[rows, n]` to `[rows, 1]`.
fn row_sums(values: &Array) -> Result<Array> {
    if values.dim(1) as usize <= BLOCK {
        return values.sum_axis(-1, true);
    }
    blocks(values)?.sum_axis(-1, false)?.sum_axis(-1, true)
}

/// Sums up to and including each number, `[n]`.
fn running_sums(values: &Array) -> Result<Array> {
    let len = values.dim(0) as usize;
    if len <= BLOCK {
        return values.cumsum(0, None, None);
    }
    let inner = blocks(&ops::expand_dims(values, 0)?)?.cumsum(2, None, None)?;
    let count = inner.dim(1) as usize;
    let totals = raw::slice(&inner, &[0, 0, BLOCK - 1], &[1, count, BLOCK])?;
    let before = totals.cumsum(1, None, false)?;
    let sums = inner.add(before)?.reshape(&[int(count * BLOCK)])?;
    raw::slice(&sums, &[0], &[len])
}
