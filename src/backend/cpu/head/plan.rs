//! Whether screening pays, from the estimates of a few panels: screening reads
//! more than half of the matrix, and is lost if most panels turn out to be needed
//! exactly. The answer depends on the activation, the sampler and the weights
//! alone, so that results do not depend on what was sampled before.

use std::ops::Range;

use super::estimate::Screen;
use super::logits::{MARGIN, largest};
use super::pick::{NUCLEUS_ERROR, Sampling};
use super::sums::exp;
use crate::backend::SampleSpec;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::output::Output;
use crate::backend::cpu::panels::{Encoding, IntegerPanels, PANEL};
use crate::backend::sample::REPORTED_ALTERNATIVES;

/// One panel in so many is looked at, spread over the matrix.
const STRIDE: usize = 128;
/// One in so many at the start, where vocabularies have their frequent tokens.
const HOT: usize = 128;
const FEWEST: usize = 8;
/// Screening has to be this much cheaper than a full pass.
const WORTH: f64 = 0.95;
/// A panel computed for itself costs more than one of a run.
const SINGLE: f64 = 1.15;

/// Estimates of some panels, for a number of tokens.
pub struct Sample {
    spread: Vec<usize>,
    hot: Range<usize>,
    /// `[tokens, panels * 16]`
    y: Vec<f32>,
    sigmas: Vec<f32>,
}

impl Sample {
    pub fn take(cx: &Context, screen: &Screen<'_>) -> Self {
        let panels = screen.w.panels();
        let step = (panels / (panels / STRIDE).max(FEWEST)).max(1);
        let spread: Vec<usize> = (step / 2..panels).step_by(step).collect();
        let hot = 0..(panels / HOT).max(FEWEST / 2).min(panels);
        let list: Vec<usize> = spread.iter().copied().chain(hot.clone()).collect();
        let (tokens, cols) = (screen.x.tokens, list.len() * PANEL);
        let mut y = vec![0.0; tokens * cols];
        let mut sigmas = vec![0.0; tokens * cols];
        let places = [Output::new(&mut y, cols), Output::new(&mut sigmas, cols)];
        cx.pool.run(list.len(), 4, |part| {
            for i in part {
                screen.run(cx, list[i]..list[i] + 1, &mut |token, _, y, sigma| {
                    // SAFETY: each place in the list is one thread's.
                    unsafe {
                        places[0].write(token, i * PANEL, y);
                        places[1].write(token, i * PANEL, sigma);
                    }
                });
            }
        });
        Self {
            spread,
            hot,
            y,
            sigmas,
        }
    }

    /// Whether screening the whole matrix for token `token` is cheaper than
    /// computing all of it.
    pub fn pays(&self, w: &IntegerPanels, token: usize, spec: &SampleSpec) -> bool {
        let cols = (self.spread.len() + self.hot.len()) * PANEL;
        let y = &self.y[token * cols..(token + 1) * cols];
        let sigmas = &self.sigmas[token * cols..(token + 1) * cols];
        let spread = self.spread.len() * PANEL;
        let cut = self.cut(&y[..spread], &sigmas[..spread], &y[spread..], w.rows, spec);
        let needed = y[..spread]
            .as_chunks::<PANEL>()
            .0
            .iter()
            .zip(sigmas.as_chunks::<PANEL>().0)
            .filter(|(y, sigmas)| {
                let mut uppers = y.iter().zip(*sigmas).map(|(y, s)| y + MARGIN * s);
                uppers.any(|upper| upper >= cut)
            })
            .count();
        let penalised = match spec.penalises() {
            true => spec.penalised.len(),
            false => 0,
        };
        let share = needed as f64 / self.spread.len() as f64
            + (penalised as f64 / w.panels() as f64).min(1.0);
        let low = match &w.encoding {
            Encoding::Split { low, .. } => low.len(),
            _ => 0,
        };
        let first = 1.0 - low as f64 / w.bytes() as f64;
        first + SINGLE * share < WORTH
    }

    /// What rows will have to reach to be computed exactly; too low if anything.
    fn cut(
        &self,
        spread: &[f32],
        sigmas: &[f32],
        hot: &[f32],
        rows: usize,
        spec: &SampleSpec,
    ) -> f32 {
        let share = rows as f64 / spread.len() as f64;
        let kth = |k: usize, among: &[f32]| {
            let found = largest(among.iter().map(|y| (*y, 0)), k.max(1));
            found.iter().fold(f32::INFINITY, |m, (y, _)| m.min(*y))
        };
        let of_all = |k: usize| {
            let scaled = (k as f64 / share).ceil() as usize;
            kth(scaled, spread).max(match k <= hot.len() {
                true => kth(k, hot),
                false => f32::NEG_INFINITY,
            })
        };
        let alternatives = of_all(REPORTED_ALTERNATIVES);
        let best = kth(1, spread).max(kth(1, hot)).max(tail(spread, rows));
        let temperature = spec.temperature;
        let sampler = match Sampling::of(spec, rows) {
            Sampling::Greedy => best,
            Sampling::Filtered { top_k, min_p } => {
                let k = top_k.map_or(f32::NEG_INFINITY, of_all);
                let p = min_p.map_or(f32::NEG_INFINITY, |p| best + temperature * p.ln());
                k.max(p)
            }
            Sampling::Nucleus => nucleus(spread, sigmas, hot, share as f32, best, temperature),
            Sampling::Whole => f32::NEG_INFINITY,
        };
        alternatives.min(sampler)
    }
}

/// Where the largest of `rows` numbers is to be expected of which these are a
/// sample, if they are normally distributed.
fn tail(sample: &[f32], rows: usize) -> f32 {
    let n = sample.len() as f64;
    let mean = sample.iter().map(|y| f64::from(*y)).sum::<f64>() / n;
    let square = sample
        .iter()
        .map(|y| (f64::from(*y) - mean).powi(2))
        .sum::<f64>()
        / n;
    let ln = (rows.max(8) as f64).ln();
    let root = (2.0 * ln).sqrt();
    let deviations = root - (ln.ln() + (4.0 * std::f64::consts::PI).ln()) / (2.0 * root);
    (mean + deviations * square.sqrt()) as f32
}

/// The cut below which what is estimated may stay so for top-p.
fn nucleus(
    spread: &[f32],
    sigmas: &[f32],
    hot: &[f32],
    share: f32,
    best: f32,
    temperature: f32,
) -> f32 {
    let weight = |y: f32| f64::from(exp((y - best) / temperature));
    let sum = |ys: &[f32]| ys.iter().map(|y| weight(*y)).sum::<f64>();
    let total = sum(hot) + f64::from(share) * sum(spread);
    let allowed = (NUCLEUS_ERROR / f64::from(MARGIN) * total).powi(2);
    let mut rows: Vec<(f32, f32)> = spread.iter().copied().zip(sigmas.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut variance = 0.0;
    for (y, sigma) in rows {
        let spread = f64::from(exp((sigma / temperature).powi(2))) - 1.0;
        variance += f64::from(share) * weight(y).powi(2) * spread;
        if variance > allowed {
            return y;
        }
    }
    best
}
