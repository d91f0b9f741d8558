//! Affine codes: a group's sums leave the tiles for the scales and biases, which
//! are applied while the tiles are at the next group.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::{Ahead, ROW, Scratch, TILE, TOKENS, configure, lines};
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::simd::avx512::codes::{Codes, Nibbles, Split};
use crate::backend::cpu::panels::simd::avx512::pairs;
use crate::backend::cpu::panels::simd::parts;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, PANEL, Sink};

/// What all passes over some panels share.
pub(super) struct Job<'a> {
    pub x: &'a Activations,
    pub bits: usize,
    pub group: usize,
    pub groups: usize,
    pub scales: ScaleWidth,
    /// Bytes of a group's codes, and from one group's to the next's.
    pub codes_bytes: usize,
    pub block: usize,
    /// Four tiles.
    pub results: *mut u8,
    /// Room for two panels of unpacked codes, if they are not bytes already.
    unpacked: *mut u8,
}

impl<'a> Job<'a> {
    /// `None` if the codes are not affine.
    pub fn new(w: &IntegerPanels, x: &'a Activations, scratch: &mut Scratch) -> Option<Self> {
        let (bits, group, scales) = match &w.encoding {
            Encoding::Affine {
                bits,
                group,
                scales,
            } => (*bits as usize, *group, *scales),
            Encoding::Split { group, scales, .. } => (4, *group, *scales),
            Encoding::Mxtq { .. } => return None,
        };
        let codes_bytes = group * bits * PANEL / 8;
        let unpacked = if bits == 8 { 0 } else { 2 * w.width * PANEL };
        Some(Self {
            x,
            bits,
            group,
            groups: w.width / group,
            scales,
            codes_bytes,
            block: codes_bytes + scales.block_bytes(),
            results: lines(&mut scratch.results, 4 * TILE),
            unpacked: lines(&mut scratch.codes, unpacked),
        })
    }

    /// Room for the unpacked codes of panel `p` of two.
    pub fn unpacked(&self, p: usize) -> *mut u8 {
        self.unpacked
            .wrapping_add(p * self.groups * self.group * PANEL)
    }
}

/// One panel times a tile of tokens.
struct Pass {
    panel: usize,
    tokens: Range<usize>,
    /// Codes as bytes, and how far one group's are from the next's.
    codes: *const u8,
    codes_stride: usize,
    /// The first group's scales.
    pairs: *const u8,
    /// `[groups, TOKENS]`: sums of activations.
    sums: *const f32,
}

features! {
/// # Safety
/// As `amx::integer`.
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
    let Job { bits, group, groups, codes_bytes, .. } = job;
    let sums = floats(x, tokens.clone(), groups, &mut scratch.sums);
    let unpacked = job.unpacked(0);
    let passes = parts(tokens.clone(), TOKENS).count();
    for panel in panels.clone() {
        let data = w.panel(panel).as_ptr();
        let low = match &w.encoding {
            Encoding::Split { low, .. } => low[panel * groups * codes_bytes..].as_ptr(),
            _ => data,
        };
        let ahead = |at: *const u8, bytes: usize| match panel + 1 < panels.end {
            true => Ahead::new(at.wrapping_add(bytes), bytes, passes * groups),
            false => Ahead::none(),
        };
        let ahead_data = ahead(data, groups * job.block);
        let ahead_low = ahead(low, groups * codes_bytes);
        for (i, tokens) in parts(tokens.clone(), TOKENS).enumerate() {
            let (codes, codes_stride) = match bits {
                8 => (data, job.block),
                _ => (unpacked.cast_const(), group * PANEL),
            };
            let pairs = data.wrapping_add(codes_bytes);
            let pass = Pass {
                panel,
                tokens,
                codes,
                codes_stride,
                pairs,
                sums: sums.wrapping_add(i * groups * TOKENS),
            };
            // SAFETY: group `g`'s codes lie in block `g` of the
            // panel, and its unpacked codes have their place in the scratch memory.
            let fetch = |g: usize| ahead_data.fetch(i * groups + g);
            match &w.encoding {
                // SAFETY: as above.
                Encoding::Affine { bits: 4, .. } if i == 0 => unsafe {
                    let nibbles = Nibbles::new();
                    sized(&job, &pass, sink, |g| {
                        fetch(g);
                        unpack(data.add(g * job.block), data, group, nibbles, unpacked.add(g * group * PANEL));
                    });
                },
                // SAFETY: as above.
                Encoding::Split { .. } => unsafe {
                    let split = Split::new();
                    sized(&job, &pass, sink, |g| {
                        fetch(g);
                        ahead_low.fetch(i * groups + g);
                        if i == 0 {
                            let low = low.add(g * codes_bytes);
                            unpack(data.add(g * job.block), low, group, split, unpacked.add(g * group * PANEL));
                        }
                    });
                },
                // SAFETY: as above.
                _ => unsafe { sized(&job, &pass, sink, fetch) },
            }
        }
    }
}
}

/// The integers as floats, `[tiles, groups, TOKENS]`; zeros for tokens that a
/// tile lacks.
pub(super) fn floats(
    x: &Activations,
    tokens: Range<usize>,
    groups: usize,
    out: &mut Vec<f32>,
) -> *const f32 {
    out.clear();
    for tile in parts(tokens, TOKENS) {
        let first = out.len();
        out.resize(first + groups * TOKENS, 0.0);
        for (t, token) in tile.enumerate() {
            let sums = &x.sums[token * groups..(token + 1) * groups];
            for (sum, out) in sums.iter().zip(out[first + t..].iter_mut().step_by(TOKENS)) {
                *out = *sum as f32;
            }
        }
    }
    out.as_ptr()
}

features! {
/// A group's codes as bytes.
///
/// # Safety
/// The group's vectors lie at `at` and, where there is a second plane, at `low`;
/// `out` has room for `group` columns.
#[inline]
pub(super) unsafe fn unpack<C: Codes<2>>(at: *const u8, low: *const u8, group: usize, codes: C, out: *mut u8) {
    for step in 0..group / 8 {
        // SAFETY: the caller's.
        unsafe {
            let [a, b] = codes.load(at.add(step * 64), low.add(step * 64));
            _mm512_store_si512(out.add(step * 128).cast(), a);
            _mm512_store_si512(out.add(step * 128 + 64).cast(), b);
        }
    }
}
}

features! {
/// [`pass`], compiled for the number of tokens, to the next multiple of four.
///
/// # Safety
/// As [`pass`].
#[inline]
unsafe fn sized(job: &Job<'_>, p: &Pass, sink: Sink<'_>, prepare: impl Fn(usize)) {
    // SAFETY: the caller's.
    unsafe {
        match p.tokens.len() {
            0..=4 => pass::<4>(job, p, sink, prepare),
            5..=8 => pass::<8>(job, p, sink, prepare),
            9..=12 => pass::<12>(job, p, sink, prepare),
            _ => pass::<16>(job, p, sink, prepare),
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
    let high = x.planes(p.tokens.clone()).as_ptr();
    let low = high.wrapping_add(x.apart);
    let mut totals = [_mm512_setzero_ps(); M];
    // SAFETY, for all of this: tiles of the tokens and of the columns of group
    // `g`; two tiles of results, those of even and of odd groups apart. Sums stay
    // in tiles from one piece of assembly to the next, as the compiler has no use
    // for tiles of its own.
    macro_rules! multiply {
        ($g:expr, $upper:tt, $lower:tt) => {
            asm!(
                concat!("tilezero ", $upper),
                concat!("tilezero ", $lower),
                "2:",
                "tileloadd tmm6, [{codes} + {row}]",
                "tileloadd tmm4, [{high} + {stride}]",
                concat!("tdpbsud ", $upper, ", tmm4, tmm6"),
                "tileloadd tmm5, [{low} + {stride}]",
                concat!("tdpbsud ", $lower, ", tmm5, tmm6"),
                "add {codes}, {codes_step}",
                "add {high}, {columns}",
                "add {low}, {columns}",
                "dec {steps}",
                "jnz 2b",
                codes = inout(reg) p.codes.add($g * p.codes_stride) => _,
                high = inout(reg) high.add($g * group) => _,
                low = inout(reg) low.add($g * group) => _,
                steps = inout(reg) group / columns => _,
                columns = in(reg) columns,
                codes_step = in(reg) columns * PANEL,
                stride = in(reg) 2 * x.apart,
                row = in(reg) ROW,
                out($upper) _, out($lower) _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                options(nostack, readonly),
            )
        };
    }
    // SAFETY: group `g`'s scales, results and sums lie where they are said to.
    let mut share = |g: usize| unsafe {
        let [scale, bias] = pairs(p.pairs.add(g * job.block), scales);
        let results = job.results.add(g % 2 * 2 * TILE);
        let lower = results.add(TILE);
        apply(&mut totals, [results, lower], ROW, [scale, bias], p.sums.add(g * TOKENS));
    };
    // SAFETY: the caller's.
    unsafe {
        configure(p.tokens.len(), columns);
        pipeline!(groups, job.results, prepare, multiply, share);
    }
    let panel = p.panel;
    for (token, total) in p.tokens.clone().zip(totals) {
        let mut y = [0.0f32; PANEL];
        let total = _mm512_mul_ps(total, _mm512_set1_ps(x.scales[token]));
        // SAFETY: 16 floats.
        unsafe { _mm512_storeu_ps(y.as_mut_ptr(), total) };
        sink(token, panel, &y);
    }
}
}

features! {
/// Adds a group's share to the totals.
///
/// # Safety
/// `results` lead to the sums of the first token's planes, `stride` bytes before
/// the next token's, `sums` to the group's sums.
#[inline]
pub(super) unsafe fn apply<const M: usize>(
    totals: &mut [__m512; M],
    results: [*mut u8; 2],
    stride: usize,
    [scale, bias]: [__m512; 2],
    sums: *const f32,
) {
    for (t, total) in totals.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let [upper, lower] = results.map(|r| _mm512_load_si512(r.add(t * stride).cast()));
            let dot = _mm512_add_epi32(_mm512_slli_epi32::<7>(upper), lower);
            *total = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dot), *total);
            *total = _mm512_fmadd_ps(bias, _mm512_set1_ps(sums.add(t).read()), *total);
        }
    }
}
}
