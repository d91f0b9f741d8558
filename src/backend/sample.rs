//! Sampling from one row of logits, on the host: the reference for every
//! backend's own.

use std::cmp::Ordering;
use std::sync::Arc;

use super::uniform;

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

    /// From one bit per id, the lowest first; ids beyond are not allowed.
    pub fn from_bits(bits: Vec<u64>) -> Self {
        Self { bits }
    }

    pub fn allows(&self, id: u32) -> bool {
        self.bits
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Bits of the 16 ids from `16 * block` on, the lowest first.
    pub(super) fn sixteen(&self, block: usize) -> u16 {
        self.bits
            .get(block / 4)
            .map_or(0, |word| (word >> (block % 4 * 16)) as u16)
    }

    /// The lowest id that may be sampled.
    pub(super) fn first(&self) -> Option<u32> {
        let word = self.bits.iter().position(|&w| w != 0)?;
        Some(word as u32 * 64 + self.bits[word].trailing_zeros())
    }
}

/// What one row's sampler needs. Filters apply in the order: mask, penalties,
/// temperature, top-k, min-p, top-p.
#[derive(Clone, Debug, PartialEq)]
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

impl SampleSpec {
    /// What the penalties make of a penalised id's logit.
    pub(super) fn penalty(&self, x: f32) -> f32 {
        let scaled = if x > 0.0 {
            x / self.repetition_penalty
        } else {
            x * self.repetition_penalty
        };
        scaled - self.presence_penalty
    }

    /// Whether the penalties change anything.
    pub(super) fn penalises(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0
    }
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
    /// False if log-probabilities and entropy come from a total that was partly
    /// estimated; ids and the order of `top` are exact in any case.
    pub exact: bool,
    /// The most likely ids, best first; five of them where the vocabulary has as many.
    pub top: Vec<Alternative>,
}

/// Samples one row. Deterministic in (logits, spec).
pub fn sample_row(logits: &[f32], spec: &SampleSpec) -> TokenStats {
    let distribution = Distribution::of(logits);
    let id = match spec.forced {
        Some(id) => id,
        None => choose(&adjusted(logits, spec), spec),
    };
    TokenStats {
        id,
        logprob: distribution.logprob(logits, id),
        entropy: distribution.entropy,
        exact: true,
        top: top(logits, REPORTED_ALTERNATIVES)
            .into_iter()
            .map(|id| Alternative {
                id,
                logprob: distribution.logprob(logits, id),
            })
            .collect(),
    }
}

pub(super) const REPORTED_ALTERNATIVES: usize = 5;

/// How many of the most likely candidates top-p looks at before it sorts all.
const NUCLEUS_FIRST_LOOK: usize = 1024;

/// Normaliser and entropy of a softmax.
struct Distribution {
    log_total: f64,
    entropy: f32,
}

impl Distribution {
    fn of(logits: &[f32]) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
        if !max.is_finite() {
            return Self {
                log_total: f64::NAN,
                entropy: f32::NAN,
            };
        }
        let (mut total, mut weighted) = (0.0f64, 0.0f64);
        for &x in logits.iter().filter(|x| x.is_finite()) {
            let shifted = x as f64 - max;
            let e = shifted.exp();
            total += e;
            weighted += e * shifted;
        }
        Self {
            log_total: max + total.ln(),
            entropy: (total.ln() - weighted / total).max(0.0) as f32,
        }
    }

    fn logprob(&self, logits: &[f32], id: u32) -> f32 {
        logits
            .get(id as usize)
            .map_or(f32::NEG_INFINITY, |&x| (x as f64 - self.log_total) as f32)
    }
}

/// Higher logit first, then lower id; NaN last.
pub(super) fn by_rank(a: (f32, u32), b: (f32, u32)) -> Ordering {
    let key = |x: f32| if x.is_nan() { f32::NEG_INFINITY } else { x };
    key(b.0).total_cmp(&key(a.0)).then(a.1.cmp(&b.1))
}

/// The ids of the `n` largest logits, best first.
fn top(logits: &[f32], n: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(n + 1);
    for (id, &x) in logits.iter().enumerate() {
        let candidate = (x, id as u32);
        if best.len() == n && by_rank(candidate, best[n - 1]).is_gt() {
            continue;
        }
        let at = best.partition_point(|&b| by_rank(b, candidate).is_lt());
        best.insert(at, candidate);
        best.truncate(n);
    }
    best.into_iter().map(|(_, id)| id).collect()
}

/// The logits that may be sampled, after mask and penalties.
fn adjusted(logits: &[f32], spec: &SampleSpec) -> Vec<(f32, u32)> {
    let mut candidates: Vec<(f32, u32)> = logits
        .iter()
        .enumerate()
        .map(|(id, &x)| (x, id as u32))
        .collect();
    if spec.penalises() {
        let mut penalised = spec.penalised.clone();
        penalised.sort_unstable();
        penalised.dedup();
        for id in penalised {
            if let Some((x, _)) = candidates.get_mut(id as usize) {
                *x = spec.penalty(*x);
            }
        }
    }
    if let Some(mask) = &spec.allowed {
        candidates.retain(|&(_, id)| mask.allows(id));
    }
    candidates.retain(|(x, _)| x.is_finite());
    candidates
}

/// The id that `spec` takes of candidates in the order of their ids. Those that
/// the filters drop may be left out, unless top-p is the only filter.
pub(super) fn choose(candidates: &[(f32, u32)], spec: &SampleSpec) -> u32 {
    let Some(best) = candidates
        .iter()
        .copied()
        .reduce(|a, b| if by_rank(b, a).is_lt() { b } else { a })
    else {
        // Nothing finite is allowed: the first allowed id keeps the run going,
        // and its log-probability (NaN or -inf) shows what happened.
        return spec.allowed.as_ref().and_then(|m| m.first()).unwrap_or(0);
    };
    if spec.temperature <= 0.0 || spec.top_k == 1 {
        return best.1;
    }
    let scale = |x: f32| ((x - best.0) as f64 / spec.temperature as f64).exp();
    let mut kept: Vec<(f32, u32)> = candidates.to_vec();
    if spec.top_k > 0 && spec.top_k < kept.len() {
        kept.select_nth_unstable_by(spec.top_k - 1, |&a, &b| by_rank(a, b));
        kept.truncate(spec.top_k);
        // Sums are in the order of ids, whatever else was among the candidates.
        kept.sort_unstable_by_key(|&(_, id)| id);
    }
    if spec.min_p > 0.0 {
        kept.retain(|&(x, _)| scale(x) >= spec.min_p as f64);
    }
    if spec.top_p < 1.0 {
        keep_nucleus(&mut kept, spec.top_p as f64, scale);
    }
    draw(&mut kept, best, spec)
}

/// One of the candidates that the filters kept, by its probability among them.
pub(super) fn draw(kept: &mut [(f32, u32)], best: (f32, u32), spec: &SampleSpec) -> u32 {
    let scale = |x: f32| ((x - best.0) as f64 / spec.temperature as f64).exp();
    // One order whatever the filters left it in, so that equal sets draw alike.
    kept.sort_unstable_by_key(|&(_, id)| id);
    let total: f64 = kept.iter().map(|&(x, _)| scale(x)).sum();
    let mut left = uniform(spec.seed, spec.position) * total;
    for &(x, id) in kept.iter() {
        left -= scale(x);
        if left < 0.0 {
            return id;
        }
    }
    best.1
}

/// Keeps the fewest most likely candidates whose probability reaches `top_p`.
fn keep_nucleus(kept: &mut Vec<(f32, u32)>, top_p: f64, scale: impl Fn(f32) -> f64) {
    let goal = top_p * kept.iter().map(|&(x, _)| scale(x)).sum::<f64>();
    let mut looked_at = NUCLEUS_FIRST_LOOK.min(kept.len());
    loop {
        if looked_at < kept.len() {
            kept.select_nth_unstable_by(looked_at, |&a, &b| by_rank(a, b));
        }
        kept[..looked_at].sort_unstable_by(|&a, &b| by_rank(a, b));
        let mut sum = 0.0;
        let reached = kept[..looked_at].iter().position(|&(x, _)| {
            sum += scale(x);
            sum >= goal
        });
        if let Some(last) = reached {
            kept.truncate(last + 1);
            return;
        }
        if looked_at == kept.len() {
            return;
        }
        looked_at = kept.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(logits: &[f32], spec: &SampleSpec) -> Vec<u32> {
        let mut counts = vec![0; logits.len()];
        for position in 0..20_000 {
            let spec = SampleSpec {
                position,
                ..spec.clone()
            };
            counts[sample_row(logits, &spec).id as usize] += 1;
        }
        counts
    }

    fn hot() -> SampleSpec {
        SampleSpec {
            temperature: 1.0,
            seed: 11,
            ..SampleSpec::default()
        }
    }

    #[test]
    fn greedy_takes_the_lowest_of_equal_ids() {
        let stats = sample_row(&[1.0, 3.0, 3.0, f32::NAN], &SampleSpec::default());
        assert_eq!(stats.id, 1);
        assert_eq!(
            stats.top[..2].iter().map(|a| a.id).collect::<Vec<_>>(),
            [1, 2]
        );
    }

    #[test]
    fn statistics_are_those_of_the_softmax() {
        let logits = [0.0, (2.0f32).ln(), (5.0f32).ln()];
        let stats = sample_row(
            &logits,
            &SampleSpec {
                temperature: 9.0,
                forced: Some(0),
                ..hot()
            },
        );
        assert_eq!(stats.id, 0);
        assert!((stats.logprob - (0.125f32).ln()).abs() < 1e-6);
        let entropy: f32 = [0.125f32, 0.25, 0.625].iter().map(|p| -p * p.ln()).sum();
        assert!((stats.entropy - entropy).abs() < 1e-6);
        assert_eq!(
            stats.top.iter().map(|a| a.id).collect::<Vec<_>>(),
            [2, 1, 0]
        );
    }

    #[test]
    fn plain_sampling_follows_the_probabilities() {
        let logits: Vec<f32> = [1.0f32, 2.0, 5.0, 2.0].iter().map(|p| p.ln()).collect();
        let counts = draw(&logits, &hot());
        for (count, p) in counts.iter().zip([0.1, 0.2, 0.5, 0.2]) {
            assert!((*count as f64 / 20_000.0 - p).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn filters_cut_exactly_what_they_name() {
        let logits: Vec<f32> = [40.0f32, 30.0, 20.0, 10.0].iter().map(|p| p.ln()).collect();
        let alive = |spec: SampleSpec| {
            draw(&logits, &spec)
                .iter()
                .map(|&n| n > 0)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            alive(SampleSpec { top_k: 2, ..hot() }),
            [true, true, false, false]
        );
        assert_eq!(
            alive(SampleSpec {
                top_p: 0.65,
                ..hot()
            }),
            [true, true, false, false]
        );
        assert_eq!(
            alive(SampleSpec {
                top_p: 0.75,
                ..hot()
            }),
            [true, true, true, false]
        );
        assert_eq!(
            alive(SampleSpec {
                min_p: 0.4,
                ..hot()
            }),
            [true, true, true, false]
        );
        let mask = Arc::new(TokenMask::new(4, |id| id >= 2));
        assert_eq!(
            alive(SampleSpec {
                allowed: Some(mask),
                ..hot()
            }),
            [false, false, true, true]
        );
    }

    #[test]
    fn penalties_lower_what_was_said() {
        let spec = SampleSpec {
            repetition_penalty: 2.0,
            penalised: vec![1, 1],
            ..SampleSpec::default()
        };
        assert_eq!(sample_row(&[1.5, 2.0, 0.0], &spec).id, 0);
        let spec = SampleSpec {
            presence_penalty: 1.0,
            penalised: vec![1],
            ..SampleSpec::default()
        };
        assert_eq!(sample_row(&[1.5, 2.0, 0.0], &spec).id, 0);
        assert_eq!(sample_row(&[0.5, 2.0, 0.0], &spec).id, 1);
    }

    #[test]
    fn the_nucleus_is_right_when_it_needs_more_than_the_first_look() {
        let logits = vec![0.0f32; 5000];
        let mut kept: Vec<(f32, u32)> = logits
            .iter()
            .enumerate()
            .map(|(i, &x)| (x, i as u32))
            .collect();
        keep_nucleus(&mut kept, 0.5, |x| (x as f64).exp());
        assert_eq!(kept.len(), 2500);
    }

    #[test]
    fn hopeless_logits_still_give_an_allowed_id() {
        let mask = Arc::new(TokenMask::new(3, |id| id == 2));
        let spec = SampleSpec {
            allowed: Some(mask),
            ..hot()
        };
        assert_eq!(sample_row(&[f32::NAN; 3], &spec).id, 2);
    }
}
