//! Affine codes, group by group.

use std::arch::x86_64::*;

use super::codes::Codes;
use super::{Groups, Products, Reads, broadcast, pairs};
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, PANEL};

features! {
/// # Safety
/// The processor has these features; the panels and the `T` tokens that `reads`
/// names lie within `w` or one like it and within `x`, which fit each other.
#[allow(clippy::needless_range_loop, reason = "a loop for each size of a tile")]
pub(super) unsafe fn affine<const P: usize, const T: usize, const V: usize, C: Codes<V>>(
    w: &IntegerPanels,
    x: &Activations,
    groups: &Groups,
    codes: C,
    reads: Reads<P>,
) -> Products<P, T> {
    let Reads { panels, token, ahead } = reads;
    let Groups { group, scales, ref sums, first } = *groups;
    let groups = w.width / group;
    let steps = group / (4 * V);
    let block = steps * 64 + scales.block_bytes();
    let split = matches!(w.encoding, Encoding::Split { .. });
    // Loops, not closures: what a closure does is not compiled for these features.
    let (mut high, mut low, mut sums_at) = ([x.high(token).as_ptr(); T], [x.low(token).as_ptr(); T], [sums.as_ptr(); T]);
    for t in 0..T {
        high[t] = x.high(token + t).as_ptr();
        low[t] = x.low(token + t).as_ptr();
        sums_at[t] = sums[(token + t - first) * groups..].as_ptr();
    }
    let mut totals = [[_mm512_setzero_ps(); P]; T];
    for g in 0..groups {
        let mut upper = [[_mm512_setzero_si512(); P]; T];
        let mut lower = [[_mm512_setzero_si512(); P]; T];
        // SAFETY: `steps` vectors, scales and biases of block `g` of each panel;
        // `group` columns of each token. A prefetch may point anywhere.
        unsafe {
            for step in 0..steps {
                let mut vectors = [[_mm512_setzero_si512(); V]; P];
                for p in 0..P {
                    let at = panels[p].data.add(g * block + step * 64);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(ahead).cast());
                    let low_at = panels[p].low.wrapping_add((g * steps + step) * 64);
                    if split {
                        _mm_prefetch::<_MM_HINT_T0>(low_at.wrapping_add(ahead).cast());
                    }
                    vectors[p] = codes.load(at, low_at);
                }
                for v in 0..V {
                    let column = g * group + (step * V + v) * 4;
                    for t in 0..T {
                        let (h, l) = (broadcast(high[t].add(column)), broadcast(low[t].add(column)));
                        for p in 0..P {
                            upper[t][p] = _mm512_dpbusd_epi32(upper[t][p], vectors[p][v], h);
                            lower[t][p] = _mm512_dpbusd_epi32(lower[t][p], vectors[p][v], l);
                        }
                    }
                }
            }
            for p in 0..P {
                let pairs_at = panels[p].data.add(g * block + steps * 64);
                _mm_prefetch::<_MM_HINT_T0>(pairs_at.wrapping_add(ahead).cast());
                let [scale, bias] = pairs(pairs_at, scales);
                for t in 0..T {
                    let dot = _mm512_add_epi32(_mm512_slli_epi32::<7>(upper[t][p]), lower[t][p]);
                    let total = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dot), totals[t][p]);
                    let sum = _mm512_set1_ps(sums_at[t].add(g).read());
                    totals[t][p] = _mm512_fmadd_ps(bias, sum, total);
                }
            }
        }
    }
    let mut products = [[[0.0f32; PANEL]; P]; T];
    for t in 0..T {
        let scale = _mm512_set1_ps(x.scales[token + t]);
        for p in 0..P {
            let y = _mm512_mul_ps(totals[t][p], scale);
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(products[t][p].as_mut_ptr(), y) };
        }
    }
    products
}
}
