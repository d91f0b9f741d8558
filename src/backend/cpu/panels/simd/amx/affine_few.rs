//! Affine codes and so few tokens that both planes of their activations fit one
//! tile: a group of a panel is one product, and its sums leave by one tile. Two
//! panels far apart are multiplied side by side, so that memory is read in both
//! places.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::affine::{self, Job, unpack};
use super::{Ahead, FEW, ROW, Scratch, TILE, TOKENS, configure};
use crate::backend::cpu::panels::simd::avx512::codes::{Nibbles, Split};
use crate::backend::cpu::panels::simd::avx512::pairs;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, PANEL, Sink};

/// Two panels and some tokens.
struct Pass {
    panels: [usize; 2],
    tokens: Range<usize>,
    /// Codes as bytes, and how far one group's are from the next's.
    codes: [*const u8; 2],
    codes_stride: usize,
    /// The first group's scales.
    pairs: [*const u8; 2],
    /// `[groups, TOKENS]`: sums of activations.
    sums: *const f32,
}

features! {
/// # Safety
/// As `amx::integer`; at most [`FEW`] tokens.
pub(super) unsafe fn block(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    scratch: &mut Scratch,
    sink: Sink<'_>,
) {
    let Some(job) = Job::new(w, x, scratch) else {
        return;
    };
    let sums = affine::floats(x, tokens.clone(), job.groups, &mut scratch.sums);
    let half = panels.len() / 2;
    let low_bytes = job.groups * job.codes_bytes;
    for panel in panels.start..panels.start + half {
        let both = [panel, panel + half];
        let data = both.map(|panel| w.panel(panel).as_ptr());
        let low = match &w.encoding {
            Encoding::Split { low, .. } => both.map(|panel| low[panel * low_bytes..].as_ptr()),
            _ => data,
        };
        let next = |at: *const u8, bytes: usize| match panel + 1 < panels.start + half {
            true => Ahead::new(at.wrapping_add(bytes), bytes, job.groups),
            false => Ahead::none(),
        };
        let ahead = data.map(|at| next(at, job.groups * job.block));
        let ahead_low = low.map(|at| next(at, low_bytes));
        let (codes, codes_stride) = match job.bits {
            8 => (data, job.block),
            _ => ([0, 1].map(|p| job.unpacked(p).cast_const()), job.group * PANEL),
        };
        let pass = Pass {
            panels: both,
            tokens: tokens.clone(),
            codes,
            codes_stride,
            pairs: data.map(|at| at.wrapping_add(job.codes_bytes)),
            sums,
        };
        let fetch = |g: usize| ahead.iter().for_each(|ahead| ahead.fetch(g));
        // SAFETY: group `g`'s codes lie in block `g` of each panel, and its unpacked
        // codes have their place in the scratch memory.
        let place = |p: usize, g: usize| unsafe {
            (data[p].add(g * job.block), job.unpacked(p).add(g * job.group * PANEL))
        };
        match &w.encoding {
            // SAFETY: as above.
            Encoding::Affine { bits: 4, .. } => unsafe {
                let nibbles = Nibbles::new();
                sized(&job, &pass, sink, |g| {
                    fetch(g);
                    for p in 0..2 {
                        let (at, out) = place(p, g);
                        unpack(at, at, job.group, nibbles, out);
                    }
                });
            },
            // SAFETY: as above.
            Encoding::Split { .. } => unsafe {
                let split = Split::new();
                sized(&job, &pass, sink, |g| {
                    fetch(g);
                    ahead_low.iter().for_each(|ahead| ahead.fetch(g));
                    for (p, low) in low.iter().enumerate() {
                        let (at, out) = place(p, g);
                        unpack(at, low.add(g * job.codes_bytes), job.group, split, out);
                    }
                });
            },
            // SAFETY: as above.
            _ => unsafe { sized(&job, &pass, sink, fetch) },
        }
    }
    if panels.len() % 2 == 1 {
        let last = panels.end - 1..panels.end;
        // SAFETY: the caller's.
        unsafe { affine::block(w, last, x, tokens, scratch, sink) };
    }
}
}

features! {
/// [`pass`], compiled for the number of tokens.
///
/// # Safety
/// As [`pass`].
#[inline]
unsafe fn sized(job: &Job<'_>, p: &Pass, sink: Sink<'_>, prepare: impl Fn(usize)) {
    // SAFETY: the caller's.
    unsafe {
        match p.tokens.len() {
            0..=2 => pass::<2>(job, p, sink, prepare),
            3..=4 => pass::<4>(job, p, sink, prepare),
            5..=6 => pass::<6>(job, p, sink, prepare),
            _ => pass::<FEW>(job, p, sink, prepare),
        }
    }
}
}

features! {
/// `prepare(g)` is called two groups before group `g`'s codes are read.
///
/// # Safety
/// The processor has these features and AMX, which is permitted; the pointers of
/// `job` and `p` lead to what they say, the tokens, up to `M`, to rows of `x`.
unsafe fn pass<const M: usize>(job: &Job<'_>, p: &Pass, sink: Sink<'_>, prepare: impl Fn(usize)) {
    let Job { x, group, groups, scales, .. } = *job;
    let columns = if group.is_multiple_of(64) { 64 } else { 32 };
    let planes = x.planes(p.tokens.clone()).as_ptr();
    let mut totals = [[_mm512_setzero_ps(); M]; 2];
    // SAFETY, for all of this: tiles of the tokens' planes and of the columns of
    // group `g`; two tiles of results, those of even and of odd groups apart. Sums
    // stay in tiles from one piece of assembly to the next, as the compiler has no
    // use for tiles of its own.
    macro_rules! multiply {
        ($g:expr, $a:tt, $b:tt) => {
            asm!(
                concat!("tilezero ", $a),
                concat!("tilezero ", $b),
                "2:",
                "tileloadd tmm4, [{planes} + {apart}]",
                "tileloadd tmm6, [{a} + {row}]",
                "tileloadd tmm7, [{b} + {row}]",
                concat!("tdpbsud ", $a, ", tmm4, tmm6"),
                concat!("tdpbsud ", $b, ", tmm4, tmm7"),
                "add {a}, {codes_step}",
                "add {b}, {codes_step}",
                "add {planes}, {columns}",
                "dec {steps}",
                "jnz 2b",
                a = inout(reg) p.codes[0].add($g * p.codes_stride) => _,
                b = inout(reg) p.codes[1].add($g * p.codes_stride) => _,
                planes = inout(reg) planes.add($g * group) => _,
                steps = inout(reg) group / columns => _,
                columns = in(reg) columns,
                codes_step = in(reg) columns * PANEL,
                apart = in(reg) x.apart,
                row = in(reg) ROW,
                out($a) _, out($b) _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly),
            )
        };
    }
    let mut share = |g: usize| {
        for (n, totals) in totals.iter_mut().enumerate() {
            // SAFETY: group `g`'s scales, results and sums lie where they are said to.
            unsafe {
                let [scale, bias] = pairs(p.pairs[n].add(g * job.block), scales);
                let results = job.results.add((g % 2 * 2 + n) * TILE);
                let lower = results.add(ROW);
                affine::apply(totals, [results, lower], 2 * ROW, [scale, bias], p.sums.add(g * TOKENS));
            }
        }
    };
    // SAFETY: the caller's.
    unsafe {
        configure(2 * p.tokens.len(), columns);
        pipeline!(groups, job.results, prepare, multiply, share);
    }
    for (panel, totals) in p.panels.into_iter().zip(totals) {
        for (token, total) in p.tokens.clone().zip(totals) {
            let mut y = [0.0f32; PANEL];
            let total = _mm512_mul_ps(total, _mm512_set1_ps(x.scales[token]));
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(y.as_mut_ptr(), total) };
            sink(token, panel, &y);
        }
    }
}
}
