//! Products with integer codes.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::codes::{Byte, Bytes, Codes, Crumb, Nibble, Nibbles, Split, planes};
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::lut::OFFSET;
use crate::backend::cpu::panels::simd::portable::finish;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, Lut, PANEL, Sink};

/// Registers that hold numbers of 16 rows, and the codes of a 64-byte vector.
pub(super) const QUADS: usize = PANEL / 4;

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and
/// `x`, and `x` has planes.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    // Registers hold the sums of two tokens, or of one with two planes.
    let most = match &w.encoding {
        Encoding::Mxtq { lut, .. } if lut.low.is_some() => 1,
        _ => 2,
    };
    for panel in panels {
        let mut token = tokens.start;
        while token < tokens.end {
            // SAFETY: the features are enabled here, the ranges the caller's.
            token += unsafe {
                match most.min(tokens.end - token) {
                    1 => tile::<1>(w, panel, x, token, sink),
                    _ => tile::<2>(w, panel, x, token, sink),
                }
            };
        }
    }
}
}

features! {
#[inline]
unsafe fn tile<const T: usize>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    sink: Sink<'_>,
) -> usize {
    // SAFETY: the caller's.
    let y: [[f32; PANEL]; T] = unsafe {
        match &w.encoding {
            Encoding::Affine { bits: 4, group, scales } => {
                affine(w, panel, x, token, *group, *scales, &Nibbles)
            }
            Encoding::Affine { group, scales, .. } => {
                affine(w, panel, x, token, *group, *scales, &Bytes)
            }
            Encoding::Split { group, scales, .. } => {
                affine(w, panel, x, token, *group, *scales, &Split)
            }
            Encoding::Mxtq { bits, lut } => match (*bits, &lut.low) {
                (2, None) => mxtq(w, panel, x, token, lut, &Crumb::<1>::new(lut)),
                (2, Some(_)) => mxtq(w, panel, x, token, lut, &Crumb::<2>::new(lut)),
                (4, None) => mxtq(w, panel, x, token, lut, &Nibble::<1>::new(lut)),
                (4, Some(_)) => mxtq(w, panel, x, token, lut, &Nibble::<2>::new(lut)),
                (_, None) => mxtq(w, panel, x, token, lut, &Byte::<1> { planes: planes(lut) }),
                (_, Some(_)) => mxtq(w, panel, x, token, lut, &Byte::<2> { planes: planes(lut) }),
            },
        }
    };
    for (t, y) in y.iter().enumerate() {
        sink(token + t, panel, y);
    }
    T
}
}

features! {
/// Adds to each lane the product of its four columns.
#[inline]
unsafe fn sdot(sum: int32x4_t, codes: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: registers only; the features are enabled here.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {codes:v}.16b, {x:v}.16b",
            sum = inout(vreg) sum,
            codes = in(vreg) codes,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
}

features! {
/// Four columns of a token's plane, for all rows.
#[inline]
unsafe fn broadcast(plane: *const i8) -> int8x16_t {
    // SAFETY: the caller's four readable bytes.
    vreinterpretq_s8_s32(vdupq_n_s32(unsafe { plane.cast::<i32>().read_unaligned() }))
}
}

features! {
/// Sums over the columns of `steps` packed vectors, of a token's upper and lower
/// plane.
///
/// # Safety
/// `at`, and `low` where the codes use it, point to `steps` vectors of 64 bytes;
/// each of `x` to their columns.
#[allow(
    clippy::needless_range_loop,
    reason = "four indices of one sum; iterators over the outermost hide it"
)]
#[inline]
unsafe fn dots<const T: usize, const V: usize, const P: usize, C: Codes<V, P>>(
    codes: &C,
    at: *const u8,
    low: *const u8,
    steps: usize,
    x: [[*const i8; 2]; T],
) -> [[[[int32x4_t; QUADS]; 2]; P]; T] {
    let mut sums = [[[[vdupq_n_s32(0); QUADS]; 2]; P]; T];
    for step in 0..steps {
        // SAFETY: 64 bytes of this step, and its columns, are the caller's.
        unsafe {
            for quad in 0..QUADS {
                let offset = 64 * step + 16 * quad;
                let vectors = codes.load(at.add(offset), low.wrapping_add(offset));
                for v in 0..V {
                    let column = (step * V + v) * 4;
                    for t in 0..T {
                        for plane in 0..2 {
                            let x = broadcast(x[t][plane].add(column));
                            for p in 0..P {
                                let sum = &mut sums[t][p][plane][quad];
                                *sum = sdot(*sum, vectors[p][v], x);
                            }
                        }
                    }
                }
            }
        }
    }
    sums
}
}

features! {
/// Four numbers in f16.
#[inline]
pub(super) unsafe fn widened(at: *const u8) -> float32x4_t {
    let wide: float32x4_t;
    // SAFETY: the caller's 8 readable bytes; the rest are registers.
    unsafe {
        let narrow = vld1_u8(at);
        asm!(
            "fcvtl {wide:v}.4s, {narrow:v}.4h",
            wide = lateout(vreg) wide,
            narrow = in(vreg) narrow,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    wide
}
}

features! {
/// Scales and biases of a block's 16 rows.
#[inline]
unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [[float32x4_t; QUADS]; 2] {
    // SAFETY: the caller's: a block's scales and biases lie at `at`.
    unsafe {
        match width {
            ScaleWidth::F16 => std::array::from_fn(|which| {
                std::array::from_fn(|quad| widened(at.add(32 * which + 8 * quad)))
            }),
            ScaleWidth::F32 => std::array::from_fn(|which| {
                std::array::from_fn(|quad| {
                    vreinterpretq_f32_u8(vld1q_u8(at.add(64 * which + 16 * quad)))
                })
            }),
        }
    }
}
}

features! {
#[inline]
unsafe fn affine<const T: usize, const V: usize, C: Codes<V, 1>>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    group: usize,
    scales: ScaleWidth,
    codes: &C,
) -> [[f32; PANEL]; T] {
    let groups = w.width / group;
    let steps = group / (4 * V);
    let block_bytes = steps * 64 + scales.block_bytes();
    let data = w.panel(panel);
    debug_assert_eq!(data.len(), groups * block_bytes);
    let low = match &w.encoding {
        Encoding::Split { low, .. } => Some(&low[panel * groups * steps * 64..][..groups * steps * 64]),
        _ => None,
    };
    let integers = integers::<T>(x, token);
    let sums: [&[i32]; T] = std::array::from_fn(|t| &x.sums[(token + t) * groups..][..groups]);
    let mut totals = [[vdupq_n_f32(0.0); QUADS]; T];
    #[allow(clippy::needless_range_loop, reason = "it counts blocks of three slices")]
    for g in 0..groups {
        // SAFETY: block `g` of the panel, of its lower plane and of each token,
        // all within the slices above.
        unsafe {
            let at = data.as_ptr().add(g * block_bytes);
            let low_at = low.map_or(at, |low| low.as_ptr().add(g * steps * 64));
            let columns = integers.map(|x| x.map(|plane| plane.as_ptr().add(g * group)));
            let dots = dots(codes, at, low_at, steps, columns);
            let [scale, bias] = pairs(at.add(steps * 64), scales);
            for t in 0..T {
                let correction = vdupq_n_s32(OFFSET * sums[t][g]);
                let sum = vdupq_n_f32(sums[t][g] as f32);
                let [upper, lower] = dots[t][0];
                for quad in 0..QUADS {
                    let dot = vaddq_s32(vshlq_n_s32::<7>(upper[quad]), lower[quad]);
                    let dot = vcvtq_f32_s32(vaddq_s32(dot, correction));
                    let total = &mut totals[t][quad];
                    *total = vfmaq_f32(*total, scale[quad], dot);
                    *total = vfmaq_f32(*total, bias[quad], sum);
                }
            }
        }
    }
    std::array::from_fn(|t| {
        let scale = x.scales[token + t];
        // SAFETY: the features are enabled here.
        unsafe { stored(totals[t].map(|total| vmulq_n_f32(total, scale))) }
    })
}
}

/// Upper and lower planes of `T` tokens.
fn integers<const T: usize>(x: &Activations, token: usize) -> [[&[i8]; 2]; T] {
    std::array::from_fn(|t| [x.high(token + t), x.low(token + t)])
}

features! {
#[inline]
pub(super) unsafe fn stored(rows: [float32x4_t; QUADS]) -> [f32; PANEL] {
    let mut y = [0.0f32; PANEL];
    for (y, row) in y.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
        // SAFETY: 4 floats.
        unsafe { vst1q_f32(y.as_mut_ptr(), row) };
    }
    y
}
}

features! {
#[inline]
unsafe fn mxtq<const T: usize, const V: usize, const P: usize, C: Codes<V, P>>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    lut: &Lut,
    codes: &C,
) -> [[f32; PANEL]; T] {
    let data = w.panel(panel);
    let steps = w.width / (4 * V);
    let (vectors, norms) = data.split_at(steps * 64);
    let (norms, _) = norms.as_chunks::<4>();
    debug_assert_eq!(norms.len(), PANEL);
    // SAFETY: the vectors of the panel and the columns they hold.
    let sums = unsafe {
        let at = vectors.as_ptr();
        let columns = integers::<T>(x, token).map(|x| x.map(<[i8]>::as_ptr));
        dots(codes, at, at, steps, columns)
    };
    std::array::from_fn(|t| {
        let unit = lut.unit * x.scales[token + t];
        let planes: [[[i32; PANEL]; 2]; P] = sums[t].map(|planes| planes.map(|rows| {
            let mut lanes = [0i32; PANEL];
            for (lanes, row) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
                // SAFETY: 4 integers.
                unsafe { vst1q_s32(lanes.as_mut_ptr(), row) };
            }
            lanes
        }));
        std::array::from_fn(|r| {
            let dot = planes.iter().fold(0i64, |dot, [upper, lower]| {
                128 * dot + 128 * i64::from(upper[r]) + i64::from(lower[r])
            });
            finish(dot, f32::from_le_bytes(norms[r]), unit)
        })
    })
}
}
