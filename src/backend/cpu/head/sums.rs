//! Totals of exponentials over a vocabulary, the same bits for any number of
//! threads and instruction set: f32 within a block of rows, lane by lane, f64
//! over the blocks in order.

use crate::backend::cpu::level::{Level, per_level};
use crate::backend::cpu::pool::Pool;

/// Rows of a block.
pub const BLOCK: usize = 1024;
const LANES: usize = 16;

/// Adding this rounds to an integer, which then lies in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// What is smaller than `exp` of this counts as nothing.
const SMALLEST: f32 = -87.0;
const LARGEST: f32 = 80.0;

/// Numbers `x` known up to an error of deviation `sigma`, and the weights
/// `exp((x - top) / temperature)` that they stand for.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub x: &'a [f32],
    /// 0 for exact numbers.
    pub sigmas: &'a [f32],
    /// What the squares of the deviations are multiplied by.
    pub shrink: f32,
    pub top: f32,
    pub temperature: f32,
}

/// Sums over a range of rows, of expectations over the errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub total: f64,
    /// Of each weight times its exponent.
    pub moment: f64,
    /// Variance of the total.
    pub variance: f64,
    /// There is a NaN or an infinity among the numbers.
    pub wild: bool,
}

impl Weights<'_> {
    /// Of each block.
    pub fn blocks(&self, level: Level, pool: &Pool) -> Vec<Sums> {
        let blocks = self.x.len().div_ceil(BLOCK);
        let mut sums = vec![Sums::default(); blocks];
        let place = std::sync::Mutex::new(&mut sums);
        pool.run(blocks, 8, |part| {
            let found: Vec<Sums> = part
                .clone()
                .map(|block| {
                    let rows = block * BLOCK..self.x.len().min((block + 1) * BLOCK);
                    let part = Self {
                        x: &self.x[rows.clone()],
                        sigmas: &self.sigmas[rows],
                        ..*self
                    };
                    let mut sums = Sums::default();
                    add(level, &part, &mut sums);
                    sums
                })
                .collect();
            let mut place = place
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            place[part].copy_from_slice(&found);
        });
        sums
    }

    /// The weight of a number and what it adds to the variance.
    pub fn one(&self, row: usize) -> (f32, f32) {
        let inverse = 1.0 / self.temperature;
        let variance = self.sigmas[row] * self.sigmas[row] * (self.shrink * inverse * inverse);
        let y = ((self.x[row] - self.top) * inverse).max(SMALLEST);
        let e = exp(y + 0.5 * variance);
        (e, e * e * (exp(variance) - 1.0))
    }
}

/// Of all rows.
pub fn all(blocks: &[Sums]) -> Sums {
    blocks.iter().fold(Sums::default(), |all, s| Sums {
        total: all.total + s.total,
        moment: all.moment + s.moment,
        variance: all.variance + s.variance,
        wild: all.wild | s.wild,
    })
}

per_level! {
    fn add = add_body(w: &Weights<'_>, sums: &mut Sums)
}

#[inline(always)]
fn add_body(w: &Weights<'_>, sums: &mut Sums) {
    if w.sigmas.iter().all(|sigma| *sigma == 0.0) {
        add_lanes::<true>(w, sums);
    } else {
        add_lanes::<false>(w, sums);
    }
}

/// With `EXACT` all deviations are 0: the same bits with less work.
#[inline(always)]
fn add_lanes<const EXACT: bool>(w: &Weights<'_>, sums: &mut Sums) {
    let inverse = 1.0 / w.temperature;
    let scale = w.shrink * inverse * inverse;
    let (mut totals, mut moments) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut variances = [0.0f32; LANES];
    let mut wild = [0u32; LANES];
    let (xs, sigmas) = (w.x.as_chunks::<LANES>().0, w.sigmas.as_chunks::<LANES>().0);
    for (x, sigma) in xs.iter().zip(sigmas) {
        for l in 0..LANES {
            // Not a number, or infinite upwards.
            wild[l] |= u32::from(x[l].is_nan() | (x[l] == f32::INFINITY));
            let y = ((x[l] - w.top) * inverse).max(SMALLEST);
            if EXACT {
                let e = exp(y);
                totals[l] += e;
                moments[l] += e * y;
            } else {
                let variance = sigma[l] * sigma[l] * scale;
                let e = exp(y + 0.5 * variance);
                totals[l] += e;
                moments[l] += e * (y + variance);
                variances[l] += e * e * (exp(variance) - 1.0);
            }
        }
    }
    let sum = |lanes: [f32; LANES]| lanes.iter().map(|x| f64::from(*x)).sum::<f64>();
    sums.total = sum(totals);
    sums.moment = sum(moments);
    sums.variance = sum(variances);
    sums.wild = wild.iter().any(|w| *w != 0);
}

/// `e^x` within 2e-7 of itself; 0 below [`SMALLEST`], bounded above.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let kept = x.clamp(SMALLEST, LARGEST);
    let shifted = kept * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = kept - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * r + c;
    }
    let e = (p * (r * r) + r) + 1.0;
    let power = (shifted.to_bits() as i32 - ROUNDER.to_bits() as i32 + 127) << 23;
    let e = e * f32::from_bits(power as u32);
    if x > SMALLEST { e } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close_everywhere() {
        for i in -880_000..800_000 {
            let x = i as f32 * 1e-4;
            let want = if x > SMALLEST {
                f64::from(x).exp()
            } else {
                0.0
            };
            let off = (f64::from(exp(x)) - want).abs();
            assert!(off <= 2e-7 * want, "{x}: {off:e} of {want:e}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY)), (1.0, 0.0));
    }

    #[test]
    fn every_instruction_set_adds_the_same_bits() {
        let x: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.7).sin() * 9.0).collect();
        let sigmas: Vec<f32> = (0..3000).map(|i| (i / 1024) as f32 * 0.2).collect();
        let weights = Weights {
            x: &x[..2992],
            sigmas: &sigmas[..2992],
            shrink: 0.9,
            top: 9.0,
            temperature: 0.8,
        };
        let want = weights.blocks(Level::available()[0], &Pool::new(1).expect("threads"));
        for level in Level::available() {
            for threads in [1, 3] {
                let pool = Pool::new(threads).expect("threads");
                assert_eq!(weights.blocks(level, &pool), want, "{level:?}");
            }
        }
        let direct: f64 = x[..1024]
            .iter()
            .map(|x| ((f64::from(*x) - 9.0) / 0.8).exp())
            .sum();
        assert!((want[0].total / direct - 1.0).abs() < 1e-6);
        assert_eq!(want[0].variance, 0.0);
        assert!(want[1].variance > 0.0);
    }
}
