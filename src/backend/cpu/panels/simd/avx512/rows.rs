//! Codebooks, over rows as they are stored: lanes are columns here, and a row's
//! sums are added up in the end. Sums of integers are exact, so the results are
//! those of panels.

use std::arch::x86_64::*;
use std::ops::Range;

use super::lookup::{Crumb, Lookup, Nibble};
use super::mxtq::finished;
use crate::backend::cpu::panels::lazy::{LazyPanels, Spread};
use crate::backend::cpu::panels::{Activations, Encoding, Lut, PANEL, Sink};
use crate::quant::widen_f16;

/// Bytes ahead of a load that are fetched.
const AHEAD: usize = 4096;

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and
/// `x`, which fit each other, and `spread` was made of `x` for `w`.
pub unsafe fn rows(
    w: &LazyPanels,
    panels: Range<usize>,
    (x, spread): (&Activations, &Spread),
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    let Encoding::Mxtq { bits, lut } = &w.shape().encoding else {
        return;
    };
    let at = (x, spread);
    // SAFETY: the caller's.
    unsafe {
        match (*bits, &lut.low) {
            (2, None) => each::<1, _>(w, panels, at, tokens, lut, &Crumb::new(&lut.high, None), sink),
            (2, low) => each::<2, _>(w, panels, at, tokens, lut, &Crumb::new(&lut.high, low.as_deref()), sink),
            (_, None) => each::<1, _>(w, panels, at, tokens, lut, &Nibble::new(&lut.high, None), sink),
            (_, low) => each::<2, _>(w, panels, at, tokens, lut, &Nibble::new(&lut.high, low.as_deref()), sink),
        }
    }
}
}

features! {
#[inline]
unsafe fn each<const P: usize, L: Lookup<P>>(
    w: &LazyPanels,
    panels: Range<usize>,
    (x, spread): (&Activations, &Spread),
    tokens: Range<usize>,
    lut: &Lut,
    look: &L,
    sink: Sink<'_>,
) {
    let (codes, norms) = w.stored();
    let shape = w.shape();
    let row_bytes = codes.len() / shape.rows.max(1);
    for panel in panels {
        let rows = panel * PANEL..shape.rows.min((panel + 1) * PANEL);
        let mut values = [0.0f32; PANEL];
        for (value, row) in values.iter_mut().zip(rows.clone()) {
            *value = widen_f16(u16::from_le_bytes([norms[2 * row], norms[2 * row + 1]]));
        }
        for token in tokens.clone() {
            let planes = [&spread.high, &spread.low].map(|plane| plane[token * x.width..].as_ptr());
            let mut sums = [[[0i32; PANEL]; 2]; P];
            for (r, row) in rows.clone().enumerate() {
                let row = codes[row * row_bytes..(row + 1) * row_bytes].as_ptr();
                // SAFETY: a row's bytes, and the width's columns of the token.
                let row_sums = unsafe { sums_of::<P, L>(row, row_bytes / 64, planes, look) };
                for p in 0..P {
                    sums[p][0][r] = row_sums[p][0];
                    sums[p][1][r] = row_sums[p][1];
                }
            }
            // SAFETY: 16 integers each, 16 floats; the features are enabled here.
            let y = unsafe {
                let dots = sums.map(|planes| planes.map(|s| _mm512_loadu_si512(s.as_ptr().cast())));
                finished(dots, _mm512_loadu_ps(values.as_ptr()), x, token, lut)
            };
            sink(token, panel, &y);
        }
    }
}
}

features! {
/// A row's sums with the two planes of a token, in each plane of the codebook.
#[inline]
unsafe fn sums_of<const P: usize, L: Lookup<P>>(
    row: *const u8,
    steps: usize,
    [high, low]: [*const i8; 2],
    look: &L,
) -> [[i32; 2]; P] {
    let mut upper = [_mm512_setzero_si512(); P];
    let mut lower = [_mm512_setzero_si512(); P];
    for step in 0..steps {
        // SAFETY: the caller's. A prefetch may point anywhere.
        unsafe {
            let at = row.add(step * 64);
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            let packed = _mm512_loadu_si512(at.cast());
            for v in 0..L::VECTORS {
                let vectors = look.look(packed, v);
                let column = (step * L::VECTORS + v) * 64;
                let h = _mm512_loadu_si512(high.add(column).cast());
                let l = _mm512_loadu_si512(low.add(column).cast());
                for p in 0..P {
                    upper[p] = _mm512_dpbusd_epi32(upper[p], vectors[p], h);
                    lower[p] = _mm512_dpbusd_epi32(lower[p], vectors[p], l);
                }
            }
        }
    }
    std::array::from_fn(|p| {
        [
            _mm512_reduce_add_epi32(upper[p]),
            _mm512_reduce_add_epi32(lower[p]),
        ]
    })
}
}
