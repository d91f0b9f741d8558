//! Products with floats: one chain of fused multiply-adds per output.

use std::arch::x86_64::*;
use std::ops::Range;

use super::AHEAD;
use super::integer::stored;
use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::{FloatPanels, PANEL, Sink};

/// Panels that are multiplied at a time with one token, so that sums wait less
/// for each other. Several tokens do that by themselves.
const FLOAT_PANELS: usize = 4;

features! {
/// # Safety
/// The processor has these features; `panels` lie within `w`, and `x` holds rows
/// of `w.cols`.
pub unsafe fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let tokens = x.len() / w.cols.max(1);
    let mut panel = panels.start;
    while panel < panels.end {
        // SAFETY: the caller's.
        panel += unsafe {
            match tokens {
                1 if panels.end - panel >= FLOAT_PANELS => {
                    float_tile::<FLOAT_PANELS, 1>(w, panel, x, 0, sink);
                    FLOAT_PANELS
                }
                _ => {
                    float_tokens(w, panel, x, tokens, sink);
                    1
                }
            }
        };
    }
}
}

features! {
#[inline]
unsafe fn float_tokens(w: &FloatPanels, panel: usize, x: &[f32], tokens: usize, sink: Sink<'_>) {
    let mut token = 0;
    while token < tokens {
        // SAFETY: the caller's.
        token += unsafe {
            match tokens - token {
                1 => float_tile::<1, 1>(w, panel, x, token, sink),
                2 | 3 => float_tile::<1, 2>(w, panel, x, token, sink),
                _ => float_tile::<1, 4>(w, panel, x, token, sink),
            }
        };
    }
}
}

features! {
#[inline]
unsafe fn float_tile<const P: usize, const T: usize>(
    w: &FloatPanels,
    panel: usize,
    x: &[f32],
    token: usize,
    sink: Sink<'_>,
) -> usize {
    let step = PANEL * w.width.size();
    let data: [*const u8; P] = std::array::from_fn(|p| w.panel(panel + p).as_ptr());
    let rows: [&[f32]; T] = std::array::from_fn(|t| &x[(token + t) * w.cols..][..w.cols]);
    let mut sums = [[[_mm256_setzero_ps(); 2]; P]; T];
    // SAFETY: `w.cols` columns of 16 numbers in each panel.
    unsafe {
        macro_rules! columns {
            ($load:expr) => {
                for c in 0..w.cols {
                    let mut weights = [[_mm256_setzero_ps(); 2]; P];
                    for (data, weights) in data.iter().zip(&mut weights) {
                        let at = data.add(c * step);
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                        weights[0] = $load(at);
                        weights[1] = $load(at.add(step / 2));
                    }
                    for t in 0..T {
                        let x = _mm256_set1_ps(rows[t][c]);
                        for p in 0..P {
                            for half in 0..2 {
                                let sum = &mut sums[t][p][half];
                                *sum = _mm256_fmadd_ps(weights[p][half], x, *sum);
                            }
                        }
                    }
                }
            };
        }
        match w.width {
            FloatWidth::F16 => columns!(|at: *const u8| _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))),
            FloatWidth::Bf16 => columns!(|at: *const u8| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            }),
            FloatWidth::F32 => columns!(|at: *const u8| _mm256_loadu_ps(at.cast())),
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (p, sum) in sums.iter().enumerate() {
            // SAFETY: the features are enabled here.
            sink(token + t, panel + p, &unsafe { stored(*sum) });
        }
    }
    T
}
}
