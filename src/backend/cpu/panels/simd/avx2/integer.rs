//! Products with integer codes.

use std::arch::x86_64::*;
use std::ops::Range;

use super::AHEAD;
use super::codes::{Byte, Bytes, Codes, Crumb, Nibble, Nibbles, Split, planes};
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::lut::OFFSET;
use crate::backend::cpu::panels::simd::portable::finish;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, Lut, PANEL, Sink};

/// Columns after which MXTQ sums move to 64 bits: each adds at most 255 * 16256
/// to a lane of 32 bits.
const COLUMNS: usize = 512;
const _: () = assert!(COLUMNS * 255 * 16_256 < i32::MAX as usize);

/// Sums of 16 rows, or numbers of them.
type Rows = [__m256i; 2];

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and
/// `x`, and `x` has whole integers.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    // Registers hold the sums of four tokens, or of two with two planes.
    let most = match &w.encoding {
        Encoding::Mxtq { lut, .. } if lut.low.is_some() => 2,
        _ => 4,
    };
    for panel in panels {
        let mut token = tokens.start;
        while token < tokens.end {
            // SAFETY: the features are enabled here, the ranges the caller's.
            token += unsafe {
                match most.min(tokens.end - token) {
                    1 => tile::<1>(w, panel, x, token, sink),
                    2 | 3 => tile::<2>(w, panel, x, token, sink),
                    _ => tile::<4>(w, panel, x, token, sink),
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
                (4, None) => mxtq(w, panel, x, token, lut, &Nibble::<1> { planes: planes(lut) }),
                (4, Some(_)) => mxtq(w, panel, x, token, lut, &Nibble::<2> { planes: planes(lut) }),
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
/// Sums over the columns of `steps` packed vectors.
///
/// # Safety
/// `at`, and `low` where the codes use it, point to `steps` vectors of 64 bytes;
/// each of `x` to their columns.
#[inline]
unsafe fn dots<const T: usize, const V: usize, const P: usize, C: Codes<V, P>>(
    codes: &C,
    at: *const u8,
    low: *const u8,
    steps: usize,
    x: [*const i16; T],
) -> [[Rows; P]; T] {
    // Columns 0 and 2 of each four, and 1 and 3, as pairs.
    let even = _mm256_set1_epi32(0x0504_0100);
    let odd = _mm256_set1_epi32(0x0706_0302);
    let byte = _mm256_set1_epi16(0xff);
    let mut sums = [[[_mm256_setzero_si256(); 2]; P]; T];
    for step in 0..steps {
        let (at, low) = (at.wrapping_add(64 * step), low.wrapping_add(64 * step));
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
        if low != at {
            _mm_prefetch::<_MM_HINT_T0>(low.wrapping_add(AHEAD).cast());
        }
        // SAFETY: 64 bytes of this step, and its columns, are the caller's.
        unsafe {
            let halves = [codes.load(at, low), codes.load(at.add(32), low.wrapping_add(32))];
            for v in 0..V {
                let column = (step * V + v) * 4;
                let mut wide = [[[byte; 2]; P]; 2];
                for (wide, planes) in wide.iter_mut().zip(&halves) {
                    for (wide, plane) in wide.iter_mut().zip(planes) {
                        wide[0] = _mm256_and_si256(plane[v], byte);
                        wide[1] = _mm256_srli_epi16::<8>(plane[v]);
                    }
                }
                for t in 0..T {
                    let four = x[t].add(column).cast::<i64>().read_unaligned();
                    let four = _mm256_set1_epi64x(four);
                    let evens = _mm256_shuffle_epi8(four, even);
                    let odds = _mm256_shuffle_epi8(four, odd);
                    for p in 0..P {
                        for (half, wide) in wide.iter().enumerate() {
                            let a = _mm256_madd_epi16(wide[p][0], evens);
                            let b = _mm256_madd_epi16(wide[p][1], odds);
                            let sum = &mut sums[t][p][half];
                            *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(a, b));
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
/// Scales and biases of a block's 16 rows.
#[inline]
unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [[__m256; 2]; 2] {
    let mut pairs = [[_mm256_setzero_ps(); 2]; 2];
    for (i, half) in pairs.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: the caller's: a block's scales and biases lie at `at`.
        *half = unsafe {
            match width {
                ScaleWidth::F16 => _mm256_cvtph_ps(_mm_loadu_si128(at.add(16 * i).cast())),
                ScaleWidth::F32 => _mm256_loadu_ps(at.add(32 * i).cast()),
            }
        };
    }
    pairs
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
    let integers: [&[i16]; T] =
        std::array::from_fn(|t| &x.whole[(token + t) * x.width..][..x.width]);
    let sums: [&[i32]; T] = std::array::from_fn(|t| &x.sums[(token + t) * groups..][..groups]);
    let mut totals = [[_mm256_setzero_ps(); 2]; T];
    #[allow(clippy::needless_range_loop, reason = "it counts blocks of three slices")]
    for g in 0..groups {
        // SAFETY: block `g` of the panel, of its lower plane and of each token,
        // all within the slices above.
        unsafe {
            let at = data.as_ptr().add(g * block_bytes);
            let low_at = low.map_or(at, |low| low.as_ptr().add(g * steps * 64));
            let dots = dots(codes, at, low_at, steps, integers.map(|x| x.as_ptr().add(g * group)));
            let pairs_at = at.add(steps * 64);
            _mm_prefetch::<_MM_HINT_T0>(pairs_at.wrapping_add(AHEAD).cast());
            let [scale, bias] = pairs(pairs_at, scales);
            for t in 0..T {
                let sum = _mm256_set1_ps(sums[t][g] as f32);
                for half in 0..2 {
                    let dot = _mm256_cvtepi32_ps(dots[t][0][half]);
                    let total = &mut totals[t][half];
                    *total = _mm256_fmadd_ps(scale[half], dot, *total);
                    *total = _mm256_fmadd_ps(bias[half], sum, *total);
                }
            }
        }
    }
    std::array::from_fn(|t| {
        let scale = _mm256_set1_ps(x.scales[token + t]);
        // SAFETY: the features are enabled here.
        unsafe { stored(totals[t].map(|total| _mm256_mul_ps(total, scale))) }
    })
}
}

features! {
#[inline]
pub(super) unsafe fn stored(rows: [__m256; 2]) -> [f32; PANEL] {
    let mut y = [0.0f32; PANEL];
    // SAFETY: two times 8 floats.
    unsafe {
        _mm256_storeu_ps(y.as_mut_ptr(), rows[0]);
        _mm256_storeu_ps(y.as_mut_ptr().add(8), rows[1]);
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
    let integers: [&[i16]; T] =
        std::array::from_fn(|t| &x.whole[(token + t) * x.width..][..x.width]);
    let mut wide = [[[0i64; PANEL]; P]; T];
    for first in (0..steps).step_by(COLUMNS / (4 * V)) {
        let count = (steps - first).min(COLUMNS / (4 * V));
        // SAFETY: `count` vectors of the panel and the columns they hold.
        let sums = unsafe {
            let at = vectors.as_ptr().add(first * 64);
            dots(codes, at, at, count, integers.map(|x| x.as_ptr().add(first * 4 * V)))
        };
        for (wide, sums) in wide.iter_mut().flatten().zip(sums.iter().flatten()) {
            let mut lanes = [0i32; PANEL];
            // SAFETY: two times 8 integers.
            unsafe {
                _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums[0]);
                _mm256_storeu_si256(lanes.as_mut_ptr().add(8).cast(), sums[1]);
            }
            for (wide, lane) in wide.iter_mut().zip(lanes) {
                *wide += i64::from(lane);
            }
        }
    }
    std::array::from_fn(|t| {
        let offset = i64::from(OFFSET) * i64::from(x.total(token + t));
        let unit = lut.unit * x.scales[token + t];
        std::array::from_fn(|r| {
            let dot = wide[t].iter().fold(0, |dot, plane| 128 * dot + plane[r] - offset);
            finish(dot, f32::from_le_bytes(norms[r]), unit)
        })
    })
}
}
