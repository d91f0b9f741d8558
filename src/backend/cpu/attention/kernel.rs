//! The three steps of attention to one block of positions, on a few queries at
//! once whose results stay in registers: scores, their exponentials, and the
//! weighted sum of values. Every result is one chain of fused multiply-adds
//! in the order of its dimensions or positions, whatever the sizes here are.

use crate::backend::cpu::kv::BLOCK;
use crate::backend::cpu::lanes::{Element, LANES, Lanes, prefetch};
use crate::backend::cpu::math::exp2_to_one;

/// Vectors of a block's scores.
const VECTORS: usize = BLOCK / LANES;

/// The maximum of no score. Finite, so that its difference to itself is 0.
pub(super) const NONE: f32 = f32::MIN;

/// Memory that will be read soon.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub at: *const u8,
    /// Bytes asked for with each step of a kernel; 0 for none.
    pub step: usize,
}

impl Ahead {
    pub const NOTHING: Self = Self {
        at: std::ptr::null(),
        step: 0,
    };

    #[inline(always)]
    fn ask(self, step: usize) {
        for offset in (0..self.step).step_by(64) {
            prefetch(self.at.wrapping_add(step * self.step + offset));
        }
    }
}

/// Scores of `Q` queries (`stride` apart) against `W` vectors of positions:
/// `scores[i][w] = sum over d of q[i][d] * keys[d][w]`.
///
/// # Safety
/// `q` is `[Q, stride]` with `dim` numbers each, `keys` `[dim, BLOCK]` from the
/// first position wanted, `scores` `[Q, BLOCK]` likewise. The processor has the
/// instructions of `L`.
#[inline(always)]
pub(super) unsafe fn score<L: Lanes, E: Element, const Q: usize, const W: usize>(
    q: *const f32,
    stride: usize,
    keys: *const E,
    dim: usize,
    scores: *mut f32,
    ahead: Ahead,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); W]; Q];
        for d in 0..dim {
            ahead.ask(d);
            let mut key = [L::splat(0.0); W];
            for w in 0..W {
                key[w] = E::lanes(keys.add(d * BLOCK + w * LANES));
            }
            for i in 0..Q {
                let x = L::splat(*q.add(i * stride + d));
                for w in 0..W {
                    sums[i][w] = key[w].mul_add(x, sums[i][w]);
                }
            }
        }
        for i in 0..Q {
            for w in 0..W {
                sums[i][w].store(scores.add(i * BLOCK + w * LANES));
            }
        }
    }
}

/// Makes weights of scores: `2^(score - maximum)` with the maximum so far, 0 for
/// positions that a query does not see. Returns the factors by which what was
/// summed under the maxima before shrinks.
///
/// # Safety
/// `scores` is `[Q, BLOCK]`, `maxima` `[Q]`, `sums` `[Q, LANES]`; query `i` sees the
/// first `visible[i]` positions. The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn soften<L: Lanes, const Q: usize>(
    scores: *mut f32,
    visible: &[usize; Q],
    maxima: *mut f32,
    sums: *mut f32,
) -> [f32; LANES] {
    const { assert!(Q <= LANES) };
    // SAFETY: the caller's.
    unsafe {
        let (mut before, mut now) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..Q {
            let row = scores.add(i * BLOCK);
            let mut s = [L::splat(NONE); VECTORS];
            for w in 0..VECTORS {
                s[w] = L::load(row.add(w * LANES));
                if visible[i] < BLOCK {
                    s[w] = s[w].first(visible[i].saturating_sub(w * LANES), L::splat(NONE));
                }
            }
            before[i] = *maxima.add(i);
            let old = L::splat(before[i]);
            now[i] = s[0].max(s[1]).max(s[2].max(s[3])).max(old).greatest();
            *maxima.add(i) = now[i];
        }
        let shrink = exp2_to_one(L::load(before.as_ptr()).sub(L::load(now.as_ptr())));
        let mut factors = [0.0; LANES];
        shrink.store(factors.as_mut_ptr());
        for i in 0..Q {
            let row = scores.add(i * BLOCK);
            let max = L::splat(now[i]);
            let mut p = [L::splat(0.0); VECTORS];
            for w in 0..VECTORS {
                p[w] = exp2_to_one(L::load(row.add(w * LANES)).sub(max));
                if visible[i] < BLOCK {
                    p[w] = p[w].first(visible[i].saturating_sub(w * LANES), L::splat(0.0));
                }
                p[w].store(row.add(w * LANES));
            }
            let sum = L::load(sums.add(i * LANES));
            sum.mul_add(L::splat(factors[i]), p[0].add(p[1]).add(p[2].add(p[3])))
                .store(sums.add(i * LANES));
        }
        factors
    }
}

/// Adds the weighted values of the first `count` positions, `W` vectors of
/// dimensions: `out[i][w] = out[i][w] * factors[i] + sum over j of
/// weights[i][j] * values[w][j]`.
///
/// # Safety
/// `weights` is `[Q, BLOCK]`, `values` `[W, BLOCK, LANES]`, `out` `[Q, stride]`
/// with `W * LANES` numbers each. The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn weigh<L: Lanes, E: Element, const Q: usize, const W: usize>(
    weights: *const f32,
    values: *const E,
    count: usize,
    factors: &[f32; LANES],
    out: *mut f32,
    stride: usize,
    ahead: Ahead,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); W]; Q];
        for i in 0..Q {
            let factor = L::splat(factors[i]);
            for w in 0..W {
                sums[i][w] = L::load(out.add(i * stride + w * LANES)).mul(factor);
            }
        }
        for j in 0..count {
            ahead.ask(j);
            let mut value = [L::splat(0.0); W];
            for w in 0..W {
                value[w] = E::lanes(values.add((w * BLOCK + j) * LANES));
            }
            for i in 0..Q {
                let x = L::splat(*weights.add(i * BLOCK + j));
                for w in 0..W {
                    sums[i][w] = value[w].mul_add(x, sums[i][w]);
                }
            }
        }
        for i in 0..Q {
            for w in 0..W {
                sums[i][w].store(out.add(i * stride + w * LANES));
            }
        }
    }
}
