//! The kernels for AVX-512 with VNNI and VBMI. Codes are the unsigned operand of
//! `vpdpbusd`, one plane of activations, four columns broadcast to all 16 rows,
//! the signed one. Sums of up to two panels and four tokens stay in registers, so
//! that weights are unpacked once and activations loaded once for many products.

mod affine;
pub mod codes;
mod float;
pub mod lookup;
mod mxtq;
mod rows;

use std::arch::x86_64::*;
use std::ops::Range;

use affine::affine;
use codes::{Bytes, Nibbles, Split};
use lookup::{Byte, Crumb, Nibble};
use mxtq::mxtq;

use super::{blocks, parts};
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, Sink};

pub use float::float;
pub use mxtq::finished;
pub use rows::rows;

/// Bytes ahead of a load that are fetched while one panel is multiplied.
const AHEAD: usize = 4096;

/// Most tokens of a tile: with more, sums leave the registers.
const TOKENS: usize = 4;

/// Calls a kernel that is compiled for the number of panels and tokens of a tile.
macro_rules! sized {
    ($panels:expr, $tokens:expr, $kernel:ident, [$($of:tt)*], $args:tt) => {
        match ($panels, $tokens) {
            (2, 1) => $kernel::<2, 1, $($of)*> $args,
            (2, 2) => $kernel::<2, 2, $($of)*> $args,
            (2, 3) => $kernel::<2, 3, $($of)*> $args,
            (2, _) => $kernel::<2, 4, $($of)*> $args,
            (_, 1) => $kernel::<1, 1, $($of)*> $args,
            (_, 2) => $kernel::<1, 2, $($of)*> $args,
            (_, 3) => $kernel::<1, 3, $($of)*> $args,
            _ => $kernel::<1, 4, $($of)*> $args,
        }
    };
}

/// Panels and tokens whose products are computed together.
#[derive(Clone, Copy)]
struct Tile {
    panel: usize,
    token: usize,
    /// How far from what is read now lies what is fetched.
    ahead: usize,
}

/// The groups of affine panels, and what some tokens have in common with all
/// panels.
struct Groups {
    group: usize,
    scales: ScaleWidth,
    /// `[tokens, groups]`: the activations' sums.
    sums: Vec<f32>,
    /// The first of the tokens.
    first: usize,
}

impl Groups {
    fn new(x: &Activations, tokens: &Range<usize>, group: usize, scales: ScaleWidth) -> Self {
        let groups = x.width / x.group;
        let sums = &x.sums[tokens.start * groups..tokens.end * groups];
        Self {
            group,
            scales,
            sums: sums.iter().map(|&sum| sum as f32).collect(),
            first: tokens.start,
        }
    }
}

/// Visits all tiles, with the number of their panels (up to `most`) and tokens:
/// the tokens of a block for some panels, then those panels' successors, then
/// the next block.
fn walk(
    w: &IntegerPanels,
    panels: Range<usize>,
    tokens: Range<usize>,
    most: usize,
    mut tile: impl FnMut(usize, usize, Tile),
) {
    let bytes = w.panel_bytes();
    for tokens in blocks(tokens, 2 * w.width) {
        let mut panel = panels.start;
        while panel < panels.end {
            let count = most.min(panels.end - panel);
            // Two panels at a time are two streams, whose next panels are not
            // what follows in memory.
            let ahead = match count {
                1 => AHEAD,
                _ if panel + 2 * count <= panels.end => count * bytes,
                _ => 0,
            };
            for tokens in parts(tokens.clone(), TOKENS) {
                let at = Tile {
                    panel,
                    token: tokens.start,
                    ahead,
                };
                tile(count, tokens.len(), at);
            }
            panel += count;
        }
    }
}

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and
/// `x`, which fit each other.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    macro_rules! affine {
        ([$($of:tt)*], $codes:expr, $group:expr, $scales:expr) => {{
            let codes = $codes;
            let groups = Groups::new(x, &tokens, *$group, *$scales);
            // One token needs its panels from memory in order, more than it needs
            // more sums.
            let most = tokens.len().min(2);
            // SAFETY: the features are enabled, and tiles lie within the ranges.
            walk(w, panels, tokens, most, |count, tokens, tile| unsafe {
                sized!(count, tokens, affine, [$($of)*], (w, x, tile, &groups, codes, sink))
            })
        }};
    }
    macro_rules! mxtq {
        ($planes:literal, $lut:expr, $look:ident) => {{
            let look = $look::new(&$lut.high, $lut.low.as_deref());
            // As above.
            let most = tokens.len().min(2 / $planes);
            // SAFETY: the features are enabled, and tiles lie within the ranges.
            walk(w, panels, tokens, most, |count, tokens, tile| unsafe {
                sized!(count, tokens, mxtq, [$planes, _], (w, x, tile, $lut, &look, sink))
            })
        }};
    }
    match &w.encoding {
        Encoding::Affine { bits: 4, group, scales } => {
            affine!([2, _], Nibbles::new(), group, scales);
        }
        Encoding::Affine { group, scales, .. } => affine!([1, _], Bytes, group, scales),
        Encoding::Split { group, scales, .. } => affine!([2, _], Split::new(), group, scales),
        Encoding::Mxtq { bits, lut } => match (*bits, &lut.low) {
            (2, None) => mxtq!(1, lut, Crumb),
            (2, Some(_)) => mxtq!(2, lut, Crumb),
            (4, None) => mxtq!(1, lut, Nibble),
            (4, Some(_)) => mxtq!(2, lut, Nibble),
            (_, None) => mxtq!(1, lut, Byte),
            (_, Some(_)) => mxtq!(2, lut, Byte),
        },
    }
}
}

features! {
/// Four columns of a token's plane, for all rows.
#[inline]
unsafe fn broadcast(plane: *const i8) -> __m512i {
    // SAFETY: the caller's four readable bytes.
    _mm512_set1_epi32(unsafe { plane.cast::<i32>().read_unaligned() })
}
}

features! {
/// Scales and biases of a block's 16 rows.
#[inline]
pub unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [__m512; 2] {
    // SAFETY: the caller's: a block's scales and biases lie at `at`.
    unsafe {
        match width {
            ScaleWidth::F16 => [
                _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())),
                _mm512_cvtph_ps(_mm256_loadu_si256(at.add(32).cast())),
            ],
            ScaleWidth::F32 => [
                _mm512_loadu_ps(at.cast()),
                _mm512_loadu_ps(at.add(64).cast()),
            ],
        }
    }
}
}
