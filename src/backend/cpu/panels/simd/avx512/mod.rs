//! The kernels for AVX-512 with VNNI and VBMI. Codes are the unsigned operand of
//! `vpdpbusd`, one plane of activations, four columns broadcast to all 16 rows,
//! the signed one. Sums of a tile, four panels of one token or two of up to four,
//! stay in registers, so that weights are unpacked once and activations loaded
//! once for many products.

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
use crate::backend::cpu::panels::product::PairSink;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, PANEL, Sink};

pub use float::float;
pub use mxtq::finished;
pub use rows::rows;

/// Bytes ahead of a load that are fetched while one panel is multiplied.
const AHEAD: usize = 4096;

/// Most tokens of a tile: with more, sums leave the registers.
const TOKENS: usize = 4;

/// Panels that one token is multiplied with at a time, far apart: the processor
/// fetches ahead in each place that is read, and memory is the faster the more
/// such places there are.
const STREAMS: usize = 4;

/// Calls a kernel that is compiled for the number of panels and tokens of a tile.
macro_rules! sized {
    ($panels:expr, $tokens:expr, $kernel:ident, [$($of:tt)*], ($($arg:expr),*), $tile:expr, $sink:expr) => {
        match ($panels, $tokens) {
            (4, 1) => $tile.give(&$kernel::<4, 1, $($of)*>($($arg),*, $tile.reads()), $sink),
            (2, 1) => $tile.give(&$kernel::<2, 1, $($of)*>($($arg),*, $tile.reads()), $sink),
            (2, 2) => $tile.give(&$kernel::<2, 2, $($of)*>($($arg),*, $tile.reads()), $sink),
            (2, 3) => $tile.give(&$kernel::<2, 3, $($of)*>($($arg),*, $tile.reads()), $sink),
            (2, _) => $tile.give(&$kernel::<2, 4, $($of)*>($($arg),*, $tile.reads()), $sink),
            (_, 1) => $tile.give(&$kernel::<1, 1, $($of)*>($($arg),*, $tile.reads()), $sink),
            (_, 2) => $tile.give(&$kernel::<1, 2, $($of)*>($($arg),*, $tile.reads()), $sink),
            (_, 3) => $tile.give(&$kernel::<1, 3, $($of)*>($($arg),*, $tile.reads()), $sink),
            _ => $tile.give(&$kernel::<1, 4, $($of)*>($($arg),*, $tile.reads()), $sink),
        }
    };
}

/// What kernels compute: of each token, the products of each panel's rows.
type Products<const P: usize, const T: usize> = [[[f32; PANEL]; P]; T];

/// Panels and tokens whose products are computed together.
#[derive(Clone, Copy)]
struct Tile {
    from: Panels,
    panel: usize,
    /// From one panel of the tile to the next.
    apart: usize,
    token: usize,
    /// How far from what is read now lies what is fetched.
    ahead: usize,
}

/// Where a kernel reads.
#[derive(Clone, Copy)]
struct Reads<const P: usize> {
    panels: [Place; P],
    token: usize,
    ahead: usize,
}

/// A panel: its data and, where there is a second plane, its low nibbles.
#[derive(Clone, Copy)]
struct Place {
    data: *const u8,
    low: *const u8,
}

/// A matrix's panels: the first one, and how far each is from the one before.
#[derive(Clone, Copy)]
struct Panels {
    first: Place,
    bytes: usize,
    low_bytes: usize,
}

impl Panels {
    fn of(w: &IntegerPanels) -> Self {
        let data = w.data.as_ptr();
        let (low, low_bytes) = match &w.encoding {
            Encoding::Split { low, .. } => (low.as_ptr(), low.len() / w.panels().max(1)),
            _ => (data, w.panel_bytes()),
        };
        Self {
            first: Place { data, low },
            bytes: w.panel_bytes(),
            low_bytes,
        }
    }

    #[inline(always)]
    fn at(&self, panel: usize) -> Place {
        Place {
            data: self.first.data.wrapping_add(panel * self.bytes),
            low: self.first.low.wrapping_add(panel * self.low_bytes),
        }
    }
}

impl Tile {
    #[inline(always)]
    fn reads<const P: usize>(&self) -> Reads<P> {
        let mut panels = [self.from.first; P];
        for (p, place) in panels.iter_mut().enumerate() {
            *place = self.from.at(self.panel + p * self.apart);
        }
        Reads {
            panels,
            token: self.token,
            ahead: self.ahead,
        }
    }

    fn give<const P: usize, const T: usize>(&self, products: &Products<P, T>, sink: Sink<'_>) {
        for (t, products) in products.iter().enumerate() {
            for (p, y) in products.iter().enumerate() {
                sink(self.token + t, self.panel + p * self.apart, y);
            }
        }
    }
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

/// Visits all tiles, with the number of their panels and tokens. Tokens that fit
/// one tile: some panels at a time, each place of which goes through its share of
/// the panels from end to end, then those left over. More: the tokens of a block
/// for up to `most` panels, then those panels' successors, then the next block.
fn walk(
    w: &IntegerPanels,
    panels: Range<usize>,
    tokens: Range<usize>,
    most: usize,
    mut tile: impl FnMut(usize, usize, Tile),
) {
    let from = Panels::of(w);
    if tokens.len() <= TOKENS {
        let streams = if tokens.len() == 1 { STREAMS } else { most };
        let apart = panels.len() / streams;
        let rest = panels.start + apart * streams;
        let at = |panel| Tile {
            from,
            panel,
            apart,
            token: tokens.start,
            ahead: AHEAD,
        };
        let starts = panels.start..panels.start + apart;
        starts.for_each(|panel| tile(streams, tokens.len(), at(panel)));
        for rest in parts(rest..panels.end, most) {
            let last = Tile {
                apart: 1,
                ..at(rest.start)
            };
            tile(rest.len(), tokens.len(), last);
        }
        return;
    }
    let bytes = w.panel_bytes();
    for tokens in blocks(tokens, 2 * w.width) {
        let mut panel = panels.start;
        while panel < panels.end {
            let count = most.min(panels.end - panel);
            // What is read next is the panels that follow these.
            let ahead = match panel + 2 * count <= panels.end {
                true => count * bytes,
                false => 0,
            };
            for tokens in parts(tokens.clone(), TOKENS) {
                let at = Tile {
                    from,
                    panel,
                    apart: 1,
                    token: tokens.start,
                    ahead,
                };
                tile(count, tokens.len(), at);
            }
            panel += count;
        }
    }
}

/// Runs `$affine` or `$mxtq` with what the codes of `$w` need.
macro_rules! with_codes {
    ($w:expr, $affine:ident, $mxtq:ident) => {
        match &$w.encoding {
            Encoding::Affine {
                bits: 4,
                group,
                scales,
            } => {
                $affine!([2, _], Nibbles::new(), group, scales);
            }
            Encoding::Affine { group, scales, .. } => $affine!([1, _], Bytes, group, scales),
            Encoding::Split { group, scales, .. } => $affine!([2, _], Split::new(), group, scales),
            Encoding::Mxtq { bits, lut } => match (*bits, &lut.low) {
                (2, None) => $mxtq!(1, lut, Crumb),
                (2, Some(_)) => $mxtq!(2, lut, Crumb),
                (4, None) => $mxtq!(1, lut, Nibble),
                (4, Some(_)) => $mxtq!(2, lut, Nibble),
                (_, None) => $mxtq!(1, lut, Byte),
                (_, Some(_)) => $mxtq!(2, lut, Byte),
            },
        }
    };
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
            // SAFETY: the features are enabled, and tiles lie within the ranges.
            walk(w, panels, tokens, 2, |count, tokens, tile| unsafe {
                sized!(count, tokens, affine, [$($of)*], (w, x, &groups, codes), tile, sink)
            })
        }};
    }
    macro_rules! mxtq {
        ($planes:literal, $lut:expr, $look:ident) => {{
            let look = $look::new(&$lut.high, $lut.low.as_deref());
            // SAFETY: the features are enabled, and tiles lie within the ranges.
            walk(w, panels, tokens, 2 / $planes, |count, tokens, tile| unsafe {
                sized!(count, tokens, mxtq, [$planes, _], (w, x, $lut, &look), tile, sink)
            })
        }};
    }
    with_codes!(w, affine, mxtq);
}
}

features! {
/// The same panels of two matrices times one token.
///
/// # Safety
/// The processor has these features; `panels` lie within both matrices, which are
/// alike but for their numbers, and `token` within `x`, which fits them.
pub unsafe fn pair(
    [a, b]: [&IntegerPanels; 2],
    panels: Range<usize>,
    x: &Activations,
    token: usize,
    sink: PairSink<'_>,
) {
    let half = panels.len() / 2;
    let (of_a, of_b) = (Panels::of(a), Panels::of(b));
    let reads = |panel: usize| Reads {
        panels: [
            of_a.at(panel),
            of_a.at(panel + half),
            of_b.at(panel),
            of_b.at(panel + half),
        ],
        token,
        ahead: AHEAD,
    };
    let last = |panel: usize| Reads {
        panels: [of_a.at(panel), of_b.at(panel)],
        token,
        ahead: AHEAD,
    };
    macro_rules! both {
        ($kernel:ident, [$($of:tt)*], ($($arg:expr),*)) => {{
            for panel in panels.start..panels.start + half {
                // SAFETY: the caller's.
                let [y] = &unsafe { $kernel::<4, 1, $($of)*>($($arg),*, reads(panel)) };
                sink(panel, &y[0], &y[2]);
                sink(panel + half, &y[1], &y[3]);
            }
            if panels.len() % 2 == 1 {
                // SAFETY: as above.
                let [y] = &unsafe { $kernel::<2, 1, $($of)*>($($arg),*, last(panels.end - 1)) };
                sink(panels.end - 1, &y[0], &y[1]);
            }
        }};
    }
    macro_rules! affine {
        ([$($of:tt)*], $codes:expr, $group:expr, $scales:expr) => {{
            let codes = $codes;
            let groups = Groups::new(x, &(token..token + 1), *$group, *$scales);
            both!(affine, [$($of)*], (a, x, &groups, codes))
        }};
    }
    macro_rules! mxtq {
        ($planes:literal, $lut:expr, $look:ident) => {{
            let look = $look::new(&$lut.high, $lut.low.as_deref());
            both!(mxtq, [$planes, _], (a, x, $lut, &look))
        }};
    }
    with_codes!(a, affine, mxtq);
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
