//! Sampling from logits of which only those are computed that matter. The id and
//! the five alternatives are the same as with all logits computed; totals are
//! expectations where rows are estimated, and say so.

use super::logits::{Filter, Logits, MARGIN, Source, largest};
use super::sums::{Sums, Weights, all};
use super::weight::Screening;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::panels::PANEL;
use crate::backend::sample::{REPORTED_ALTERNATIVES, by_rank, choose, draw};
use crate::backend::{Alternative, SampleSpec, TokenStats, sample_row, uniform};

/// How far the total that top-p takes its share of may be off, relatively.
pub const NUCLEUS_ERROR: f64 = 1e-3;

/// Steps by which top-p looks further down, in multiples of the temperature, and
/// how many before it looks at everything.
const NUCLEUS_STEP: f32 = 3.0;
const NUCLEUS_STEPS: usize = 6;

/// Which rows a sampler needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The best.
    Greedy,
    /// Those that pass a filter which needs no total.
    Filtered {
        top_k: Option<usize>,
        min_p: Option<f32>,
    },
    /// The best, and the total of all.
    Nucleus,
    /// All.
    Whole,
}

impl Sampling {
    pub fn of(spec: &SampleSpec, rows: usize) -> Self {
        let top_k = (spec.top_k > 0 && spec.top_k < rows).then_some(spec.top_k);
        let min_p = (spec.min_p > 0.0).then_some(spec.min_p);
        if spec.forced.is_some() || spec.temperature <= 0.0 || spec.top_k == 1 {
            Self::Greedy
        } else if top_k.is_some() || min_p.is_some() {
            Self::Filtered { top_k, min_p }
        } else if spec.top_p < 1.0 {
            Self::Nucleus
        } else {
            Self::Whole
        }
    }
}

/// What was sampled.
pub struct Picked {
    pub stats: TokenStats,
    /// Logarithm of the total that top-p took its share of.
    pub nucleus_total: Option<f64>,
}

/// Samples one row.
pub struct Picker<'a> {
    pub cx: &'a Context,
    /// Where rows are computed; `None` if all are.
    pub source: Option<Source<'a>>,
    pub screening: Option<&'a Screening>,
}

impl Picker<'_> {
    pub fn pick(&self, logits: &mut Logits, spec: &SampleSpec) -> Picked {
        let rows = logits.rows();
        let mut penalised = match spec.penalises() {
            true => spec.penalised.clone(),
            false => Vec::new(),
        };
        penalised.retain(|id| (*id as usize) < rows);
        penalised.sort_unstable();
        penalised.dedup();
        let filter = Filter {
            mask: spec.allowed.as_deref(),
            penalised,
            spec,
        };
        if !logits.is_exact() {
            let forced = spec.forced.filter(|id| (*id as usize) < rows);
            let ids = filter.penalised.iter().copied().chain(forced);
            let odd = self.screening.map_or(&[][..], |screening| &screening.odd);
            let panels = ids
                .map(|id| id as usize / PANEL)
                .chain(odd.iter().map(|p| *p as usize));
            logits.compute(self.cx, self.source, panels);
        }
        let top = self.alternatives(logits);
        let (id, nucleus_total) = match (spec.forced, top.first()) {
            (Some(id), _) => (id, None),
            (None, Some(best)) if best.0.is_finite() => self.choose(logits, &filter),
            _ => return self.reference(logits, spec),
        };
        let Some(best) = top.first().filter(|best| best.0.is_finite()) else {
            return self.reference(logits, spec);
        };
        let sums = self.sums(logits, &logits.values, best.0, 1.0);
        let Sums {
            total,
            moment,
            wild,
            ..
        } = all(&sums);
        if wild {
            return self.reference(logits, spec);
        }
        let log_total = f64::from(best.0) + total.ln();
        let logprob = |id: u32| {
            let x = logits.values[..rows].get(id as usize);
            x.map_or(f32::NEG_INFINITY, |x| (f64::from(*x) - log_total) as f32)
        };
        let stats = TokenStats {
            id,
            logprob: logprob(id),
            entropy: (total.ln() - moment / total).max(0.0) as f32,
            exact: logits.is_exact(),
            top: top
                .iter()
                .map(|&(_, id)| Alternative {
                    id,
                    logprob: logprob(id),
                })
                .collect(),
        };
        Picked {
            stats,
            nucleus_total,
        }
    }

    /// The best of all, best first.
    fn alternatives(&self, logits: &mut Logits) -> Vec<(f32, u32)> {
        let cut = logits.kth(self.cx, self.source, REPORTED_ALTERNATIVES, None);
        logits.ensure(self.cx, self.source, cut, None);
        let found = logits.from(cut, None).into_iter();
        let mut top = largest(found, REPORTED_ALTERNATIVES);
        top.sort_unstable_by(|a, b| by_rank(*a, *b));
        top
    }

    /// What all logits give, for rows that are not all numbers.
    fn reference(&self, logits: &mut Logits, spec: &SampleSpec) -> Picked {
        self.everything(logits);
        Picked {
            stats: sample_row(&logits.values[..logits.rows()], spec),
            nucleus_total: None,
        }
    }

    fn everything(&self, logits: &mut Logits) {
        let panels = 0..logits.panels();
        logits.compute(self.cx, self.source, panels);
    }

    fn sums(&self, logits: &Logits, x: &[f32], top: f32, temperature: f32) -> Vec<Sums> {
        self.weights(logits, x, top, temperature)
            .blocks(self.cx.level, &self.cx.pool)
    }

    fn weights<'a>(
        &self,
        logits: &'a Logits,
        x: &'a [f32],
        top: f32,
        temperature: f32,
    ) -> Weights<'a> {
        Weights {
            x,
            sigmas: &logits.sigmas,
            shrink: self.screening.map_or(1.0, |s| s.mean_variance / s.variance),
            top,
            temperature,
        }
    }

    fn choose(&self, logits: &mut Logits, filter: &Filter<'_>) -> (u32, Option<f64>) {
        let spec = filter.spec;
        let (cx, source, filter) = (self.cx, self.source, Some(filter));
        let cut = match Sampling::of(spec, logits.rows()) {
            Sampling::Greedy => logits.kth(cx, source, 1, filter),
            Sampling::Filtered { top_k, min_p } => {
                let best = logits.kth(cx, source, 1, filter);
                let kth = top_k.map_or(f32::NEG_INFINITY, |k| logits.kth(cx, source, k, filter));
                let least = min_p.map_or(f32::NEG_INFINITY, |p| {
                    let distance = spec.temperature * p.ln();
                    // More than the subtractions may round.
                    best + distance - 1e-5 * (1.0 + best.abs() + distance.abs())
                });
                kth.max(least).min(best)
            }
            Sampling::Nucleus | Sampling::Whole => return self.by_total(logits, spec, filter),
        };
        logits.ensure(cx, source, cut, filter);
        (choose(&logits.from(cut, filter), spec), None)
    }

    /// Top-p without other filters, and sampling without any.
    fn by_total(
        &self,
        logits: &mut Logits,
        spec: &SampleSpec,
        filter: Option<&Filter<'_>>,
    ) -> (u32, Option<f64>) {
        let nucleus = spec.top_p < 1.0;
        if !nucleus {
            self.everything(logits);
        }
        let cut = logits.kth(self.cx, self.source, 1, filter);
        logits.ensure(self.cx, self.source, cut, filter);
        let best = largest(logits.from(cut, filter).into_iter(), 1);
        let Some(&best) = best.first() else {
            return (choose(&[], spec), None);
        };
        if nucleus {
            return self.nucleus(logits, best, spec, filter);
        }
        let adjusted = adjusted(logits, filter);
        let weights = self.weights(logits, &adjusted, best.0, spec.temperature);
        let blocks = weights.blocks(self.cx.level, &self.cx.pool);
        let mut left = uniform(spec.seed, spec.position) * all(&blocks).total;
        let mut id = best.1;
        for (block, sums) in blocks.iter().enumerate() {
            if left >= sums.total {
                left -= sums.total;
                continue;
            }
            let first = block * super::sums::BLOCK;
            for row in first..adjusted.len().min(first + super::sums::BLOCK) {
                let weight = weights.one(row).0;
                if weight > 0.0 {
                    id = row as u32;
                }
                left -= f64::from(weight);
                if left < 0.0 {
                    break;
                }
            }
            break;
        }
        logits.adjusted = adjusted;
        (id, None)
    }

    /// The fewest most likely ids whose probability reaches `top_p`, and one of
    /// them. Looks further down until it has those, and the total well enough.
    fn nucleus(
        &self,
        logits: &mut Logits,
        best: (f32, u32),
        spec: &SampleSpec,
        filter: Option<&Filter<'_>>,
    ) -> (u32, Option<f64>) {
        let temperature = spec.temperature;
        for step in 1.. {
            let cut = match step > NUCLEUS_STEPS {
                true => {
                    self.everything(logits);
                    f32::NEG_INFINITY
                }
                false => best.0 - NUCLEUS_STEP * step as f32 * temperature,
            };
            logits.ensure(self.cx, self.source, cut, filter);
            let adjusted = adjusted(logits, filter);
            let sums = all(&self.sums(logits, &adjusted, best.0, temperature));
            logits.adjusted = adjusted;
            if f64::from(MARGIN) * sums.variance.sqrt() > NUCLEUS_ERROR * sums.total {
                continue;
            }
            let scale = |x: f32| (f64::from(x - best.0) / f64::from(temperature)).exp();
            let goal = f64::from(spec.top_p) * sums.total;
            let mut kept = logits.from(cut, filter);
            kept.sort_unstable_by(|a, b| by_rank(*a, *b));
            let mut sum = 0.0;
            let reached = kept.iter().position(|&(x, _)| {
                sum += scale(x);
                sum >= goal
            });
            match reached {
                Some(last) => kept.truncate(last + 1),
                None if step > NUCLEUS_STEPS => {}
                None => continue,
            }
            let log_total = f64::from(best.0 / temperature) + sums.total.ln();
            return (draw(&mut kept, best, spec), Some(log_total));
        }
        (best.1, None)
    }
}

/// All logits after mask and penalties; -inf for what can't be sampled.
fn adjusted(logits: &mut Logits, filter: Option<&Filter<'_>>) -> Vec<f32> {
    let mut adjusted = std::mem::take(&mut logits.adjusted);
    adjusted.clear();
    adjusted.extend_from_slice(&logits.values);
    let Some(filter) = filter else {
        return adjusted;
    };
    if let Some(mask) = filter.mask {
        for (panel, row) in adjusted.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            let bits = mask.sixteen(panel);
            if bits != u16::MAX {
                for (r, x) in row.iter_mut().enumerate() {
                    if bits >> r & 1 == 0 {
                        *x = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
    for &id in &filter.penalised {
        let x = &mut adjusted[id as usize];
        *x = filter.adjusted(id, *x).unwrap_or(f32::NEG_INFINITY);
    }
    adjusted
}
