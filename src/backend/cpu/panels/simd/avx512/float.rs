//! Floats: one chain of multiply-adds per output, many outputs at a time.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::ops::Range;

use super::AHEAD;
use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::simd::{blocks, parts};
use crate::backend::cpu::panels::{FloatPanels, PANEL, Sink};

/// Panels of a tile of few tokens, and of many. The fewer the panels, the less
/// is widened in vain; the more the tokens, the more loads.
const FEW: (usize, usize) = (4, 6);
const MANY: (usize, usize) = (2, 12);

/// Rows so many numbers apart all lie in one set of the nearest cache, ...
const ALIKE: usize = 1024;

/// ... so that many are moved so much farther apart.
const PAD: usize = 16;

thread_local! {
    /// Activations, padded; kept from one call to the next.
    static PADDED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls a kernel that is compiled for the number of tokens of a tile.
macro_rules! sized {
    ($panels:literal, $tokens:expr, [$($count:literal)*], $args:tt) => {
        match $tokens {
            $($count => tile::<$panels, $count> $args,)*
            count => unreachable!("no part has {count} tokens"),
        }
    };
}

features! {
/// # Safety
/// The processor has these features; `panels` lie within `w`, and `x` holds rows
/// of `w.cols`.
pub unsafe fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let tokens = x.len() / w.cols.max(1);
    let (most_panels, most_tokens) = if tokens > FEW.1 { MANY } else { FEW };
    // Not borrowed, as the sink may start a product of its own.
    let mut padded = PADDED.take();
    for tokens in blocks(0..tokens, 4 * w.cols) {
        let first = tokens.start;
        let rows = &x[first * w.cols..tokens.end * w.cols];
        let rows = match tokens.len() {
            count if count > FEW.1 && w.cols.is_multiple_of(ALIKE) => {
                let stride = w.cols + PAD;
                if padded.len() < count * stride {
                    padded.resize(count * stride, 0.0);
                }
                let places = padded.chunks_exact_mut(stride);
                for (place, row) in places.zip(rows.chunks_exact(w.cols.max(1))) {
                    place[..w.cols].copy_from_slice(row);
                }
                Rows { data: &padded, stride, first }
            }
            _ => Rows { data: rows, stride: w.cols, first },
        };
        let mut panel = panels.start;
        while panel < panels.end {
            let count = if panels.end - panel >= most_panels { most_panels } else { 1 };
            for part in parts(tokens.clone(), most_tokens) {
                // SAFETY: the caller's.
                unsafe {
                    match count {
                        4 => sized!(4, part.len(), [1 2 3 4 5 6], (w, panel, rows, part.start, sink)),
                        2 => sized!(2, part.len(), [4 5 6 7 8 9 10 11 12], (w, panel, rows, part.start, sink)),
                        _ => sized!(1, part.len(), [1 2 3 4 5 6 7 8 9 10 11 12], (w, panel, rows, part.start, sink)),
                    }
                }
            }
            panel += count;
        }
    }
    PADDED.set(padded);
}
}

/// Rows of activations.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    /// From one row to the next.
    stride: usize,
    /// The token that the first row is.
    first: usize,
}

features! {
/// # Safety
/// As [`float`]; `P` panels from `panel` on, `T` tokens from `token` on.
unsafe fn tile<const P: usize, const T: usize>(
    w: &FloatPanels,
    panel: usize,
    x: Rows<'_>,
    token: usize,
    sink: Sink<'_>,
) {
    let step = PANEL * w.width.size();
    let data: [*const u8; P] = std::array::from_fn(|p| w.panel(panel + p).as_ptr());
    let rows: [*const f32; T] =
        std::array::from_fn(|t| x.data[(token - x.first + t) * x.stride..][..w.cols].as_ptr());
    let mut sums = [[_mm512_setzero_ps(); P]; T];
    // SAFETY: `w.cols` columns of 16 numbers in each panel, `w.cols` numbers in
    // each row of `x`.
    unsafe {
        macro_rules! columns {
            ($load:expr) => {
                for c in 0..w.cols {
                    let mut weights = [_mm512_setzero_ps(); P];
                    for p in 0..P {
                        let at = data[p].add(c * step);
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                        weights[p] = $load(at);
                    }
                    for t in 0..T {
                        let x = _mm512_set1_ps(rows[t].add(c).read());
                        for p in 0..P {
                            sums[t][p] = _mm512_fmadd_ps(weights[p], x, sums[t][p]);
                        }
                    }
                }
            };
        }
        match w.width {
            FloatWidth::F16 => columns!(|at: *const u8| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))),
            FloatWidth::Bf16 => columns!(|at: *const u8| {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }),
            FloatWidth::F32 => columns!(|at: *const u8| _mm512_loadu_ps(at.cast())),
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (p, sum) in sums.iter().enumerate() {
            let mut y = [0.0f32; PANEL];
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(y.as_mut_ptr(), *sum) };
            sink(token + t, panel + p, &y);
        }
    }
}
}
