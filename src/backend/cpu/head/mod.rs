//! The head: the largest matrix of the model, more than half of what a token
//! reads. Its 8-bit codes lie in two planes of nibbles. A full pass reads both and
//! computes every logit. A screened pass reads the plane of high nibbles, with
//! which every logit is estimated and the spread of the estimate's error known;
//! then the rows that can still matter to the sampler are computed exactly, to the
//! same bits as the full pass (`estimate.rs`, `logits.rs`, `pick.rs`). Whether
//! that pays is decided anew for each token (`plan.rs`).

#[cfg(target_arch = "x86_64")]
mod avx512;
mod estimate;
mod logits;
mod pick;
mod plan;
mod sums;
mod weight;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use super::context::Context;
use super::linear::linear;
use super::options::{HeadMode, HeadSwitch};
use super::panels::{Activations, IntegerPanels, integer_product};
use super::tensor::Tensor;
use super::weight::{Packed, Weight};
use crate::backend::{HeadAudit, HeadReads, SampleSpec, TokenStats};
use estimate::{Screen, lengths};
use logits::{Logits, MARGIN, Source};
use pick::{NUCLEUS_ERROR, Picked, Picker, Sampling};
use plan::Sample;
pub(super) use weight::HeadWeight;
use weight::Screening;

/// Panels that a thread takes at least.
const GRAIN: usize = 8;

/// Samples, and keeps what it needs for that from one token to the next.
pub(super) struct Head {
    mode: HeadSwitch,
    /// Buffers that nobody uses at the moment.
    spare: Mutex<Vec<Logits>>,
    audit: Mutex<HeadAudit>,
    reads: Mutex<HeadReads>,
}

impl Head {
    pub fn new(mode: HeadMode) -> Self {
        Self {
            mode: HeadSwitch::new(mode),
            spare: Mutex::default(),
            audit: Mutex::default(),
            reads: Mutex::default(),
        }
    }

    /// How tokens are sampled from here on.
    pub fn set(&self, mode: HeadMode) {
        self.mode.set(mode);
    }

    pub fn audit(&self) -> HeadAudit {
        lock(&self.audit).clone()
    }

    /// One row of `hidden` for each spec.
    pub fn sample(
        &self,
        cx: &Context,
        weight: &Weight,
        hidden: &Tensor,
        specs: &[SampleSpec],
    ) -> Vec<TokenStats> {
        let mut buffers = self.buffers(specs.len());
        let stats = match &weight.packed {
            Packed::Head(weight) => self.split(cx, weight, hidden, specs, &mut buffers),
            _ => {
                let logits = linear(cx, weight, hidden, None);
                let picker = Picker {
                    cx,
                    source: None,
                    screening: None,
                };
                let rows = logits.iter_rows().zip(&mut buffers).zip(specs);
                rows.map(|((row, buffer), spec)| {
                    buffer.fill(row);
                    picker.pick(buffer, spec).stats
                })
                .collect()
            }
        };
        self.count(weight, &buffers);
        lock(&self.spare).append(&mut buffers);
        stats
    }

    fn buffers(&self, count: usize) -> Vec<Logits> {
        let mut spare = lock(&self.spare);
        let kept = spare.len().saturating_sub(count);
        let mut buffers = spare.split_off(kept);
        buffers.resize_with(count, Logits::default);
        buffers
    }

    /// What was read since this was last asked.
    pub fn reads(&self) -> HeadReads {
        std::mem::take(&mut *lock(&self.reads))
    }

    fn count(&self, weight: &Weight, buffers: &[Logits]) {
        let rows = weight.matrix().rows.max(1);
        let all = weight.bytes();
        let first = match &weight.packed {
            Packed::Head(head) => head.panels.data.len(),
            _ => all,
        };
        let mut reads = lock(&self.reads);
        for buffer in buffers {
            reads.tokens += 1;
            let (exact, bytes) = match buffer.is_exact() {
                true => (rows, all),
                false => {
                    let exact = buffer.count * super::panels::PANEL;
                    (exact, first + exact * (all / rows))
                }
            };
            reads.exact += exact as u64;
            reads.bytes += bytes as u64;
        }
        drop(reads);
        let mut audit = lock(&self.audit);
        audit.tokens += buffers.len() as u64;
        for buffer in buffers {
            match buffer.is_exact() {
                true => audit.full_passes += 1,
                false => audit.rows_computed += (buffer.count * super::panels::PANEL) as u64,
            }
        }
    }

    fn split(
        &self,
        cx: &Context,
        weight: &HeadWeight,
        hidden: &Tensor,
        specs: &[SampleSpec],
        buffers: &mut [Logits],
    ) -> Vec<TokenStats> {
        let w = &weight.panels;
        let x = Activations::of(cx, hidden, w);
        let screening = match self.mode.get() {
            HeadMode::Full => None,
            HeadMode::Screened | HeadMode::Audit => weight.screening.as_ref(),
        };
        let screened = match screening {
            Some(screening) => self.screen(cx, w, screening, hidden, &x, specs, buffers),
            None => vec![false; specs.len()],
        };
        let full: Vec<usize> = (0..specs.len()).filter(|&t| !screened[t]).collect();
        all_rows(cx, w, hidden, &x, &full, buffers);
        let picker = |token| Picker {
            cx,
            source: Some(Source { w, x: &x, token }),
            screening: weight.screening.as_ref(),
        };
        let estimates: Vec<_> = match self.mode.get() {
            HeadMode::Audit => buffers.iter().map(Estimates::of).collect(),
            _ => Vec::new(),
        };
        let mut picked = pick_all(cx, buffers, specs, picker);
        if self.mode.get() == HeadMode::Audit {
            let mut exact = self.buffers(specs.len());
            let every: Vec<usize> = (0..specs.len()).collect();
            all_rows(cx, w, hidden, &x, &every, &mut exact);
            for (token, spec) in specs.iter().enumerate() {
                let want = picker(token).pick(&mut exact[token], spec);
                let got = std::mem::replace(&mut picked[token], want);
                let errors = estimates[token].errors(&exact[token]);
                self.compare(spec, &got, &picked[token], &errors, exact[token].rows());
            }
            lock(&self.spare).append(&mut exact);
        }
        picked.into_iter().map(|picked| picked.stats).collect()
    }

    /// Estimates the tokens for which that pays, in one pass over the matrix.
    /// Says which those are.
    #[allow(
        clippy::too_many_arguments,
        reason = "the pieces of one call, used once"
    )]
    fn screen(
        &self,
        cx: &Context,
        w: &IntegerPanels,
        screening: &Screening,
        hidden: &Tensor,
        x: &Activations,
        specs: &[SampleSpec],
        buffers: &mut [Logits],
    ) -> Vec<bool> {
        let possible = |t: &usize| {
            x.scales[*t].is_finite() && Sampling::of(&specs[*t], w.rows) != Sampling::Whole
        };
        let mut chosen: Vec<usize> = (0..specs.len()).filter(possible).collect();
        let mut part = None;
        if self.mode.get() == HeadMode::Screened && !chosen.is_empty() {
            let x = activations(cx, w, hidden, x, &chosen, &mut part);
            let (norms, _) = lengths(x);
            let sample =
                Screen::new(w, x, &norms, screening.variance).map(|s| Sample::take(cx, &s));
            let mut at = 0..;
            chosen.retain(|t| {
                let at = at.next().unwrap_or(0);
                sample.as_ref().is_some_and(|s| s.pays(w, at, &specs[*t]))
            });
        }
        let mut screened = vec![false; specs.len()];
        if chosen.is_empty() {
            return screened;
        }
        let x = activations(cx, w, hidden, x, &chosen, &mut part);
        let (norms, magnitudes) = lengths(x);
        let Some(screen) = Screen::new(w, x, &norms, screening.variance) else {
            return screened;
        };
        for (at, &t) in chosen.iter().enumerate() {
            screened[t] = true;
            let slack = rounding(screening, x, at, magnitudes[at]);
            buffers[t].begin(w.rows, slack);
        }
        let shared: Vec<_> = buffers
            .iter_mut()
            .zip(&screened)
            .filter(|(_, screened)| **screened)
            .map(|(buffer, _)| buffer.shared())
            .collect();
        cx.pool.run(w.panels(), GRAIN, |panels| {
            screen.run(cx, panels, &mut |token, panel, y, sigma| {
                // SAFETY: each panel is one thread's.
                unsafe { shared[token].estimate(panel, y, sigma) };
            });
        });
        screened
    }

    /// Counts what came out differently.
    fn compare(&self, spec: &SampleSpec, got: &Picked, want: &Picked, errors: &[f32], rows: usize) {
        let ids = |picked: &Picked| picked.stats.top.iter().map(|a| a.id).collect::<Vec<_>>();
        let same_choice = match (Sampling::of(spec, rows), got.nucleus_total) {
            (Sampling::Nucleus, Some(total)) => want
                .nucleus_total
                .is_some_and(|want| ((total - want).exp() - 1.0).abs() < NUCLEUS_ERROR),
            _ => got.stats.id == want.stats.id,
        };
        let mut audit = lock(&self.audit);
        audit.audited += 1;
        let mut outside = false;
        for error in errors {
            let last = audit.errors.len() - 1;
            audit.errors[(*error as usize).min(last)] += 1;
            outside |= *error > MARGIN;
        }
        if outside || !same_choice || ids(got) != ids(want) {
            audit.misses += 1;
        }
    }
}

/// Samples each token: of several, each on one thread.
fn pick_all<'a>(
    cx: &Context,
    buffers: &mut [Logits],
    specs: &[SampleSpec],
    picker: impl Fn(usize) -> Picker<'a> + Sync,
) -> Vec<Picked> {
    let places: Vec<_> = buffers
        .iter_mut()
        .map(|buffer| Mutex::new((buffer, None)))
        .collect();
    let pick = |token: usize| {
        let (buffer, picked) = &mut *lock(&places[token]);
        *picked = Some(picker(token).pick(buffer, &specs[token]));
    };
    match specs.len() {
        // Its threads share the one token.
        1 => pick(0),
        count => cx.pool.each(count, pick),
    }
    let picked = places.into_iter().filter_map(|place| {
        let (_, picked) = place.into_inner().unwrap_or_else(PoisonError::into_inner);
        picked
    });
    picked.collect()
}

/// Estimates as they were before anything was computed exactly.
struct Estimates {
    values: Vec<f32>,
    sigmas: Vec<f32>,
    slack: f32,
}

impl Estimates {
    fn of(logits: &Logits) -> Self {
        let estimated = !logits.is_exact();
        Self {
            values: match estimated {
                true => logits.values[..logits.rows()].to_vec(),
                false => Vec::new(),
            },
            sigmas: logits.sigmas.clone(),
            slack: logits.slack,
        }
    }

    /// Errors in deviations, without what rounding may explain.
    fn errors(&self, exact: &Logits) -> Vec<f32> {
        let rows = self.values.iter().zip(&self.sigmas).zip(&exact.values);
        rows.map(|((y, sigma), x)| {
            let error = ((y - x).abs() - self.slack).max(0.0);
            if error > 0.0 { error / sigma } else { 0.0 }
        })
        .collect()
    }
}

/// All rows of some tokens, in one pass over the matrix.
fn all_rows(
    cx: &Context,
    w: &IntegerPanels,
    hidden: &Tensor,
    x: &Activations,
    tokens: &[usize],
    buffers: &mut [Logits],
) {
    if tokens.is_empty() {
        return;
    }
    let mut part = None;
    let x = activations(cx, w, hidden, x, tokens, &mut part);
    let mut chosen = tokens.iter().peekable();
    let mut shared = Vec::with_capacity(tokens.len());
    for (t, buffer) in buffers.iter_mut().enumerate() {
        if chosen.next_if_eq(&&t).is_some() {
            buffer.begin(w.rows, 0.0);
            buffer.complete();
            shared.push(buffer.shared());
        }
    }
    cx.pool.run(w.panels(), GRAIN, |panels| {
        integer_product(cx, w, panels, x, 0..tokens.len(), &mut |token, panel, y| {
            // SAFETY: each panel is one thread's.
            unsafe { shared[token].exact(panel, y) };
        });
    });
}

/// The activations of these rows, ascending: `all`, if they are all of them.
fn activations<'a>(
    cx: &Context,
    w: &IntegerPanels,
    hidden: &Tensor,
    all: &'a Activations,
    rows: &[usize],
    part: &'a mut Option<Activations>,
) -> &'a Activations {
    if rows.len() == all.tokens {
        return all;
    }
    let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
    part.insert(Activations::of_rows(cx, hidden, &rows, w))
}

/// The most by which rounding can set an estimate and a logit apart: two fused
/// operations a group in each, none of which sees more than the sum of all
/// magnitudes.
fn rounding(screening: &Screening, x: &Activations, token: usize, magnitude: f64) -> f32 {
    let groups = x.width / x.group;
    let sums = &x.sums[token * groups..(token + 1) * groups];
    let sums: f64 = sums.iter().map(|sum| f64::from(*sum).abs()).sum();
    let [scale, bias] = screening.largest.map(f64::from);
    let most = f64::from(x.scales[token]) * (bias * sums + 255.0 * scale * magnitude);
    let operations = 2.0 * (2 * groups + 4) as f64;
    (most * operations * f64::from(f32::EPSILON) / 2.0) as f32
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
