//! The three steps of attention to one block of positions, on a few queries at
//! once whose results stay in registers: scores, their exponentials, and the
//! weighted sum of values. Every result is one chain of fused multiply-adds
//! in the order of its dimensions or positions, whatever the sizes here are.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over registers unroll as they are written"
)]

use crate::backend::cpu::kv::BLOCK;
use crate::backend::cpu::lanes::{Element, LANES, Lanes, prefetch, prefetch_far};
use crate::backend::cpu::math::exp2_to_one;

/// Vectors of a block's scores.
const VECTORS: usize = BLOCK / LANES;

/// The maximum of no score. Finite, so that its difference to itself is 0.
pub(super) const NONE: f32 = f32::MIN;

/// Bytes between what is read and what is asked for from the second-level cache.
const NEAR: usize = 768;

/// Places of the next block that are read from memory at a time. The processor
/// recognises a stream by its page and runs some way ahead of each: of one alone
/// not far enough for what memory could give.
pub(super) const STREAMS: usize = 8;

/// Memory that will be read soon.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// What this kernel reads, and bytes from one step of it to the next.
    pub now: *const u8,
    pub step: usize,
    /// The block after this one, and bytes of each stream in it.
    pub next: *const u8,
    pub stream: usize,
    /// Steps of other kernels on this block before.
    pub before: usize,
}

impl Ahead {
    /// Asks for as much as a step reads of a block of `E`.
    #[inline(always)]
    fn ask<E>(self, step: usize) {
        let lines = BLOCK * size_of::<E>() / 64;
        let near = self.now.wrapping_add(NEAR + step * self.step);
        let all = self.before + step;
        let far = all % STREAMS * self.stream + all / STREAMS * lines * 64;
        for line in 0..lines {
            prefetch_far(self.next.wrapping_add(far + line * 64));
            prefetch(near.wrapping_add(line * 64));
        }
    }
}

/// Scores of `Q` queries against `W` vectors of positions:
/// `scores[i][w] = sum over d of q[i][d] * keys[d][w]`.
///
/// # Safety
/// `q` is `[dim / LANES, Q, LANES]`, `keys` `[dim, BLOCK]` from the first position
/// wanted, `scores` `[Q, BLOCK]` likewise. The processor has the instructions
/// of `L`.
#[inline(always)]
pub(super) unsafe fn score<L: Lanes, E: Element, const Q: usize, const W: usize>(
    q: *const f32,
    keys: *const E,
    dim: usize,
    scores: *mut f32,
    ahead: Option<Ahead>,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); W]; Q];
        for d in 0..dim {
            let q = q.add(d / LANES * Q * LANES + d % LANES);
            if let Some(ahead) = ahead {
                ahead.ask::<E>(d);
            }
            let mut key = [L::splat(0.0); W];
            for w in 0..W {
                key[w] = E::lanes(keys.add(d * BLOCK + w * LANES));
            }
            for i in 0..Q {
                let x = L::splat(*q.add(i * LANES));
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

/// Rows in memory.
#[derive(Clone, Copy)]
pub(super) struct Table<P> {
    pub at: P,
    /// Numbers from one row to the next.
    pub stride: usize,
}

/// Adds the weighted values of the first `count` positions, `W` vectors of
/// dimensions: `out[i][w] = out[i][w] * factors[i] + sum over j of
/// weights[i][j] * values[j][w]`; without factors there is nothing in `out` yet.
///
/// # Safety
/// `weights` is `[Q, BLOCK]`, `values` has `BLOCK` rows, `out` has `Q`, with
/// `W * LANES` numbers to read in each. The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn weigh<L: Lanes, E: Element, const Q: usize, const W: usize>(
    weights: *const f32,
    values: Table<*const E>,
    count: usize,
    factors: Option<&[f32; LANES]>,
    out: Table<*mut f32>,
    ahead: Option<Ahead>,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); W]; Q];
        if let Some(factors) = factors {
            for i in 0..Q {
                let factor = L::splat(factors[i]);
                for w in 0..W {
                    sums[i][w] = L::load(out.at.add(i * out.stride + w * LANES)).mul(factor);
                }
            }
        }
        for j in 0..count {
            if let Some(ahead) = ahead {
                ahead.ask::<E>(j);
            }
            let mut value = [L::splat(0.0); W];
            for w in 0..W {
                value[w] = E::lanes(values.at.add(j * values.stride + w * LANES));
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
                sums[i][w].store(out.at.add(i * out.stride + w * LANES));
            }
        }
    }
}
