//! The first pass for AVX-512 with VNNI: as the kernels of the panels, with one
//! plane of codes. See `estimate.rs` for what is computed.

use std::arch::x86_64::*;
use std::ops::Range;

use super::estimate::{EstimateSink, Screen};
use crate::backend::cpu::panels::{PANEL, ScaleWidth};

/// Bytes ahead of a load that are fetched.
const AHEAD: usize = 4096;

/// Panels that one token is multiplied with at a time, far apart (as in the
/// kernels of the panels: memory likes to be read in several places).
const STREAMS: usize = 4;

macro_rules! features {
    ($(#[$doc:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma,f16c"
        )]
        $vis unsafe fn $($rest)*
    };
}

features! {
/// # Safety
/// The processor has these features, and the panels are those of `s`.
pub unsafe fn estimate(s: &Screen<'_>, panels: Range<usize>, sink: EstimateSink<'_>) {
    let apart = match s.x.tokens {
        1 => panels.len() / STREAMS,
        _ => 0,
    };
    for panel in panels.start..panels.start + apart {
        let panels = std::array::from_fn(|p| panel + p * apart);
        // SAFETY: the caller's; there is one token.
        unsafe { tile::<STREAMS, 1>(s, panels, 0, sink) };
    }
    for panel in panels.start + STREAMS * apart..panels.end {
        let mut token = 0;
        while token < s.x.tokens {
            // SAFETY: the caller's; the tokens are there.
            token += unsafe {
                match s.x.tokens - token {
                    1 => tile::<1, 1>(s, [panel], token, sink),
                    2 | 3 => tile::<1, 2>(s, [panel], token, sink),
                    4..8 => tile::<1, 4>(s, [panel], token, sink),
                    _ => tile::<1, 8>(s, [panel], token, sink),
                }
            };
        }
    }
}
}

features! {
#[inline]
#[allow(clippy::needless_range_loop, reason = "a loop for each size of a tile")]
unsafe fn tile<const P: usize, const T: usize>(
    s: &Screen<'_>,
    panels: [usize; P],
    token: usize,
    sink: EstimateSink<'_>,
) -> usize {
    let (x, group) = (s.x, s.group);
    let groups = s.w.width / group;
    let steps = group / 8;
    let block = steps * 64 + s.scales.block_bytes();
    let mut at = panels.map(|panel| s.w.panel(panel).as_ptr());
    let high: [*const i8; T] = std::array::from_fn(|t| x.high(token + t).as_ptr());
    let low: [*const i8; T] = std::array::from_fn(|t| x.low(token + t).as_ptr());
    let sums: [*const i32; T] = std::array::from_fn(|t| x.sums[(token + t) * groups..].as_ptr());
    let norms: [*const f32; T] = std::array::from_fn(|t| s.norms[(token + t) * groups..].as_ptr());
    let mask = _mm512_set1_epi8(15);
    let mut totals = [[_mm512_setzero_ps(); P]; T];
    let mut variances = [[_mm512_setzero_ps(); P]; T];
    for g in 0..groups {
        let mut upper = [[_mm512_setzero_si512(); P]; T];
        let mut lower = [[_mm512_setzero_si512(); P]; T];
        // SAFETY: `steps` vectors, scales and biases of block `g` of each panel;
        // `group` columns, a sum and a norm of each token. A prefetch may point
        // anywhere.
        unsafe {
            for step in 0..steps {
                let mut codes = [[_mm512_setzero_si512(); 2]; P];
                for p in 0..P {
                    let from = at[p].add(step * 64);
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                    let both = _mm512_loadu_si512(from.cast());
                    codes[p] = [
                        _mm512_and_si512(both, mask),
                        _mm512_and_si512(_mm512_srli_epi16::<4>(both), mask),
                    ];
                }
                for v in 0..2 {
                    let column = g * group + step * 8 + v * 4;
                    for t in 0..T {
                        let (h, l) = (four(high[t].add(column)), four(low[t].add(column)));
                        for p in 0..P {
                            upper[t][p] = _mm512_dpbusd_epi32(upper[t][p], codes[p][v], h);
                            lower[t][p] = _mm512_dpbusd_epi32(lower[t][p], codes[p][v], l);
                        }
                    }
                }
            }
            for p in 0..P {
                let pairs_at = at[p].add(steps * 64);
                for line in (0..s.scales.block_bytes()).step_by(64) {
                    _mm_prefetch::<_MM_HINT_T0>(pairs_at.wrapping_add(AHEAD + line).cast());
                }
                let [scale, bias] = pairs(pairs_at, s.scales);
                let square = _mm512_mul_ps(scale, scale);
                for t in 0..T {
                    let sum = sums[t].add(g).read();
                    // 32 (128 upper + lower) + 15 sum.
                    let dot = _mm512_add_epi32(_mm512_slli_epi32::<7>(upper[t][p]), lower[t][p]);
                    let more = _mm512_set1_epi32(15 * sum);
                    let twice = _mm512_add_epi32(_mm512_slli_epi32::<5>(dot), more);
                    let total = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(twice), totals[t][p]);
                    totals[t][p] = _mm512_fmadd_ps(bias, _mm512_set1_ps((2 * sum) as f32), total);
                    let norm = _mm512_set1_ps(norms[t].add(g).read());
                    variances[t][p] = _mm512_fmadd_ps(square, norm, variances[t][p]);
                }
                at[p] = at[p].add(block);
            }
        }
    }
    for t in 0..T {
        let scale = x.scales[token + t];
        for p in 0..P {
            let y = _mm512_mul_ps(totals[t][p], _mm512_set1_ps(0.5 * scale));
            let variance = _mm512_mul_ps(variances[t][p], _mm512_set1_ps(s.variance));
            let sigma = _mm512_mul_ps(_mm512_sqrt_ps(variance), _mm512_set1_ps(scale));
            let mut results = [[0.0f32; PANEL]; 2];
            // SAFETY: 16 floats each.
            unsafe {
                _mm512_storeu_ps(results[0].as_mut_ptr(), y);
                _mm512_storeu_ps(results[1].as_mut_ptr(), sigma);
            }
            sink(token + t, panels[p], &results[0], &results[1]);
        }
    }
    T
}
}

features! {
/// Scales and biases of a block's 16 rows.
#[inline]
unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [__m512; 2] {
    // SAFETY: the caller's: a block's scales and biases lie at `at`.
    unsafe {
        match width {
            ScaleWidth::F16 => [0, 32]
                .map(|offset| _mm512_cvtph_ps(_mm256_loadu_si256(at.add(offset).cast()))),
            ScaleWidth::F32 => [0, 64].map(|offset| _mm512_loadu_ps(at.add(offset).cast())),
        }
    }
}
}

features! {
/// Four columns of a token's plane, for all rows.
#[inline]
unsafe fn four(plane: *const i8) -> __m512i {
    // SAFETY: the caller's four readable bytes.
    _mm512_set1_epi32(unsafe { plane.cast::<i32>().read_unaligned() })
}
}
