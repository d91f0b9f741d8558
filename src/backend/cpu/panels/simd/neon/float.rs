//! Products with floats: one chain of fused multiply-adds per output.

use std::arch::aarch64::*;
use std::ops::Range;

use super::integer::{QUADS, stored, widened};
use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::{FloatPanels, PANEL, Sink};

/// Panels that are multiplied at a time, so that sums wait less for each other.
const FLOAT_PANELS: usize = 2;

features! {
/// # Safety
/// The processor has these features; `panels` lie within `w`, and `x` holds rows
/// of `w.cols`.
pub unsafe fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let mut panel = panels.start;
    while panel < panels.end {
        // SAFETY: the caller's.
        unsafe {
            if panels.end - panel >= FLOAT_PANELS {
                float_tokens::<FLOAT_PANELS>(w, panel, x, sink);
                panel += FLOAT_PANELS;
            } else {
                float_tokens::<1>(w, panel, x, sink);
                panel += 1;
            }
        }
    }
}
}

features! {
#[inline]
unsafe fn float_tokens<const P: usize>(w: &FloatPanels, panel: usize, x: &[f32], sink: Sink<'_>) {
    let tokens = x.len() / w.cols.max(1);
    let mut token = 0;
    while token < tokens {
        // SAFETY: the caller's.
        token += unsafe {
            match tokens - token {
                1 => float_tile::<P, 1>(w, panel, x, token, sink),
                _ => float_tile::<P, 2>(w, panel, x, token, sink),
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
    let size = w.width.size();
    let data: [*const u8; P] = std::array::from_fn(|p| w.panel(panel + p).as_ptr());
    let rows: [&[f32]; T] = std::array::from_fn(|t| &x[(token + t) * w.cols..][..w.cols]);
    let mut sums = [[[vdupq_n_f32(0.0); QUADS]; P]; T];
    // SAFETY: `w.cols` columns of 16 numbers in each panel.
    unsafe {
        macro_rules! columns {
            ($load:expr) => {
                for c in 0..w.cols {
                    for p in 0..P {
                        for quad in 0..QUADS {
                            let weights = $load(data[p].add((c * PANEL + 4 * quad) * size));
                            for t in 0..T {
                                let sum = &mut sums[t][p][quad];
                                *sum = vfmaq_n_f32(*sum, weights, rows[t][c]);
                            }
                        }
                    }
                }
            };
        }
        match w.width {
            FloatWidth::F16 => columns!(|at: *const u8| widened(at)),
            FloatWidth::Bf16 => columns!(|at: *const u8| {
                let narrow = vreinterpret_u16_u8(vld1_u8(at));
                vreinterpretq_f32_u32(vshll_n_u16::<16>(narrow))
            }),
            FloatWidth::F32 => columns!(|at: *const u8| vreinterpretq_f32_u8(vld1q_u8(at))),
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
