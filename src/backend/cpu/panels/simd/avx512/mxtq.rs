//! Codebooks, over all columns.

use std::arch::x86_64::*;

use super::lookup::Lookup;
use super::{Products, Reads, broadcast};
use crate::backend::cpu::panels::{Activations, IntegerPanels, Lut, PANEL};

/// Most sums that are kept apart for one output.
const SUMS: usize = 4;

features! {
/// # Safety
/// The processor has these features; the panels and the `T` tokens that `reads`
/// names lie within `w` or one like it and within `x`, which fit each other.
pub(super) unsafe fn mxtq<const N: usize, const T: usize, const P: usize, L: Lookup<P>>(
    w: &IntegerPanels,
    x: &Activations,
    lut: &Lut,
    look: &L,
    reads: Reads<N>,
) -> Products<N, T> {
    let Reads { panels, token, ahead } = reads;
    let steps = w.width / (4 * L::VECTORS);
    let data = panels.map(|place| place.data);
    let high: [*const i8; T] = std::array::from_fn(|t| x.high(token + t).as_ptr());
    let low: [*const i8; T] = std::array::from_fn(|t| x.low(token + t).as_ptr());
    // One token's sums with one panel would wait for each other: they are kept
    // apart by vector.
    let apart = if T * N == 1 { L::VECTORS.min(SUMS) } else { 1 };
    let mut upper = [[[[_mm512_setzero_si512(); P]; N]; T]; SUMS];
    let mut lower = upper;
    for step in 0..steps {
        // SAFETY: `steps` vectors of each panel; the width's columns of each token.
        unsafe {
            let mut packed = [_mm512_setzero_si512(); N];
            for n in 0..N {
                let at = data[n].add(step * 64);
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(ahead).cast());
                packed[n] = _mm512_loadu_si512(at.cast());
            }
            for v in 0..L::VECTORS {
                let mut vectors = [[_mm512_setzero_si512(); P]; N];
                for n in 0..N {
                    vectors[n] = look.look(packed[n], v);
                }
                let column = (step * L::VECTORS + v) * 4;
                for t in 0..T {
                    let (h, l) = (broadcast(high[t].add(column)), broadcast(low[t].add(column)));
                    for n in 0..N {
                        for p in 0..P {
                            let s = v % apart;
                            upper[s][t][n][p] =
                                _mm512_dpbusd_epi32(upper[s][t][n][p], vectors[n][p], h);
                            lower[s][t][n][p] =
                                _mm512_dpbusd_epi32(lower[s][t][n][p], vectors[n][p], l);
                        }
                    }
                }
            }
        }
    }
    std::array::from_fn(|t| {
        std::array::from_fn(|n| {
            // SAFETY: the norms of 16 rows follow the codes.
            let norms = unsafe { _mm512_loadu_ps(data[n].add(steps * 64).cast()) };
            let dots: [[__m512i; 2]; P] = std::array::from_fn(|p| {
                let sum = |sums: &[[[[__m512i; P]; N]; T]; SUMS]| {
                    (1..apart).fold(sums[0][t][n][p], |sum, s| _mm512_add_epi32(sum, sums[s][t][n][p]))
                };
                [sum(&upper), sum(&lower)]
            });
            // SAFETY: the features are enabled here.
            unsafe { finished(dots, norms, x, token + t, lut) }
        })
    })
}
}

features! {
/// What `portable::finish` makes of the sums of 16 rows: in each plane of the
/// codebook those of the upper and of the lower plane of token `token`.
///
/// # Safety
/// The processor has these features.
#[inline]
pub unsafe fn finished<const P: usize>(
    dots: [[__m512i; 2]; P],
    norms: __m512,
    x: &Activations,
    token: usize,
    lut: &Lut,
) -> [f32; PANEL] {
    let offset = _mm512_set1_epi64(128 * i64::from(x.total(token)));
    let mut dot = [_mm512_setzero_si512(); 2];
    for [upper, lower] in dots {
        for (dot, [upper, lower]) in dot.iter_mut().zip([
            [upper, lower].map(|v| _mm512_castsi512_si256(v)),
            [upper, lower].map(|v| _mm512_extracti64x4_epi64::<1>(v)),
        ]) {
            let upper = _mm512_slli_epi64::<7>(_mm512_cvtepi32_epi64(upper));
            let plane = _mm512_add_epi64(upper, _mm512_cvtepi32_epi64(lower));
            let plane = _mm512_sub_epi64(plane, offset);
            *dot = _mm512_add_epi64(_mm512_slli_epi64::<7>(*dot), plane);
        }
    }
    let first = _mm512_castps256_ps512(_mm512_cvtepi64_ps(dot[0]));
    let y = _mm512_insertf32x8::<1>(first, _mm512_cvtepi64_ps(dot[1]));
    let unit = _mm512_set1_ps(lut.unit * x.scales[token]);
    let y = _mm512_mul_ps(_mm512_mul_ps(y, norms), unit);
    let mut out = [0.0; PANEL];
    // SAFETY: 16 floats.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), y) };
    out
}
}
