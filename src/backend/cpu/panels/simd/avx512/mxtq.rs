//! Codebooks, over all columns.

use std::arch::x86_64::*;

use super::lookup::Lookup;
use super::{Products, Reads, broadcast};
use crate::backend::cpu::panels::{Activations, IntegerPanels, Lut, PANEL};

/// Sums of one token with one panel that are kept apart by vector: one alone would
/// wait for itself.
const APART: usize = 4;

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
    // SAFETY: the caller's.
    let sums = unsafe {
        match N * T {
            1 => sums::<N, T, P, APART, L>(w, x, look, reads),
            _ => sums::<N, T, P, 1, L>(w, x, look, reads),
        }
    };
    let norms_at = w.width / (4 * L::VECTORS) * 64;
    // Loops, not closures: what a closure does is not compiled for these features.
    let mut products = [[[0.0f32; PANEL]; N]; T];
    for n in 0..N {
        // SAFETY: the norms of 16 rows follow the codes.
        let norms = unsafe { _mm512_loadu_ps(reads.panels[n].data.add(norms_at).cast()) };
        for t in 0..T {
            // SAFETY: the features are enabled here.
            products[t][n] = unsafe { finished(sums[t][n], norms, x, reads.token + t, lut) };
        }
    }
    products
}
}

/// Of each token with each panel, in each plane of the codebook the sums of the
/// upper and of the lower plane of activations.
type Sums<const N: usize, const T: usize, const P: usize> = [[[[__m512i; 2]; P]; N]; T];

features! {
/// `A` sums of each kind are kept apart. Their number is known when this is
/// compiled, as only then they stay in registers.
///
/// # Safety
/// As [`mxtq`].
#[inline]
unsafe fn sums<const N: usize, const T: usize, const P: usize, const A: usize, L: Lookup<P>>(
    w: &IntegerPanels,
    x: &Activations,
    look: &L,
    reads: Reads<N>,
) -> Sums<N, T, P> {
    let Reads { panels, token, ahead } = reads;
    let steps = w.width / (4 * L::VECTORS);
    let (mut high, mut low) = ([x.high(token).as_ptr(); T], [x.low(token).as_ptr(); T]);
    for t in 0..T {
        high[t] = x.high(token + t).as_ptr();
        low[t] = x.low(token + t).as_ptr();
    }
    let mut sums: [Sums<N, T, P>; A] = [[[[[_mm512_setzero_si512(); 2]; P]; N]; T]; A];
    for step in 0..steps {
        // SAFETY: `steps` vectors of each panel; the width's columns of each token.
        unsafe {
            let mut packed = [_mm512_setzero_si512(); N];
            for n in 0..N {
                let at = panels[n].data.add(step * 64);
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
                    let planes = [broadcast(high[t].add(column)), broadcast(low[t].add(column))];
                    for n in 0..N {
                        for p in 0..P {
                            for (sum, plane) in sums[v % A][t][n][p].iter_mut().zip(planes) {
                                *sum = _mm512_dpbusd_epi32(*sum, vectors[n][p], plane);
                            }
                        }
                    }
                }
            }
        }
    }
    let mut all = sums[0];
    for more in &sums[1..] {
        for t in 0..T {
            for n in 0..N {
                for p in 0..P {
                    for (sum, more) in all[t][n][p].iter_mut().zip(more[t][n][p]) {
                        *sum = _mm512_add_epi32(*sum, more);
                    }
                }
            }
        }
    }
    all
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
        let first = [_mm512_castsi512_si256(upper), _mm512_castsi512_si256(lower)];
        let second = [_mm512_extracti64x4_epi64::<1>(upper), _mm512_extracti64x4_epi64::<1>(lower)];
        for (dot, [upper, lower]) in dot.iter_mut().zip([first, second]) {
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
