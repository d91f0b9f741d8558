//! The kernels for AMX with tiles of int8. Activations are the first operand, 16
//! tokens of 64 columns, weights the second: the panels' vectors, eight or 16 of
//! them, are such a tile as they lie. Codes that are not bytes are unpacked once
//! per panel, by the means of AVX-512, while the first tokens are multiplied.
//!
//! Where something else runs on the core's other thread, as on a shared host, a
//! tile is loaded only once all products before it are done (measured: 4 loads and
//! 4 products take 4 times as long). So all loads of a step come first, and few
//! tokens have both planes of their activations in one tile.

/// Lets two tiles of results go to memory, one after the other.
macro_rules! store_pair {
    ($to:expr, $a:literal, $b:literal) => {
        asm!(
            concat!("tilestored [{to} + {row}], ", $a),
            concat!("tilestored [{to} + {row} + 1024], ", $b),
            to = in(reg) $to,
            row = in(reg) ROW,
            options(nostack, preserves_flags),
        )
    };
}

/// All groups in turn: group `g + 2` is prepared, `g + 1` multiplied, `g` leaves the
/// tiles, `g - 1` is applied, so that no result is waited for. `$multiply` fills
/// two tiles, which go to `$results`, those of even and of odd groups apart.
macro_rules! pipeline {
    ($groups:expr, $results:expr, $prepare:expr, $multiply:ident, $share:expr) => {{
        if $groups > 0 {
            $prepare(0);
            if $groups > 1 {
                $prepare(1);
            }
            $multiply!(0, "tmm0", "tmm1");
        }
        for g in 0..$groups {
            if g + 2 < $groups {
                $prepare(g + 2);
            }
            if g % 2 == 0 {
                if g + 1 < $groups {
                    $multiply!((g + 1), "tmm2", "tmm3");
                }
                store_pair!($results, "tmm0", "tmm1");
            } else {
                if g + 1 < $groups {
                    $multiply!((g + 1), "tmm0", "tmm1");
                }
                store_pair!($results.add(2 * TILE), "tmm2", "tmm3");
            }
            if g > 0 {
                $share(g - 1);
            }
        }
        if $groups > 0 {
            $share($groups - 1);
        }
    }};
}

mod affine;
mod affine_few;
mod mxtq;
mod permission;

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::Cell;
use std::ops::Range;

use super::blocks;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, Sink};

pub use permission::available;

/// Fewest tokens for which tiles are faster than vectors, of codebooks and of
/// affine codes: these leave the tiles once per group.
const MXTQ_FROM: usize = 2;
const AFFINE_FROM: usize = 5;

/// Rows of a tile: tokens, of the first operand.
const TOKENS: usize = 16;

/// Most tokens both planes of which fit one tile, and are multiplied at once.
const FEW: usize = TOKENS / 2;

/// Bytes of a tile's row.
const ROW: usize = 64;

/// Bytes of a tile.
const TILE: usize = 16 * ROW;

/// Whether [`integer`] computes such a product, and better than vectors do.
pub fn suits(w: &IntegerPanels, tokens: usize) -> bool {
    match w.group() {
        None => tokens >= MXTQ_FROM,
        Some(group) => tokens >= AFFINE_FROM && group.is_multiple_of(32),
    }
}

features! {
/// # Safety
/// The processor has these features and AMX with int8, and the system permits
/// its use ([`available`]); the panels suit ([`suits`]); `panels` and `tokens` lie
/// within `w` and `x`, which fit each other.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    let _release = Release;
    // Not borrowed, as the sink may start a product of its own.
    let mut scratch = SCRATCH.take();
    for tokens in blocks(tokens, 2 * w.width) {
        // SAFETY: the caller's.
        unsafe {
            match &w.encoding {
                Encoding::Mxtq { bits, lut } => {
                    mxtq::block(w, *bits, lut, panels.clone(), x, tokens, &mut scratch, sink);
                }
                _ if tokens.len() <= FEW => {
                    affine_few::block(w, panels.clone(), x, tokens, &mut scratch, sink);
                }
                _ => affine::block(w, panels.clone(), x, tokens, &mut scratch, sink),
            }
        }
    }
    SCRATCH.set(scratch);
}
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
    /// The tokens and columns that the tiles are set up for; none if they are not.
    static CONFIGURED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A tile's row, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; ROW]);

/// Memory that a thread keeps from one call to the next.
#[derive(Default)]
struct Scratch {
    /// Unpacked codes.
    codes: Vec<Line>,
    /// Results of tiles.
    results: Vec<Line>,
    /// Sums of activations.
    sums: Vec<f32>,
}

/// At least `bytes` bytes, in lines.
fn lines(buffer: &mut Vec<Line>, bytes: usize) -> *mut u8 {
    let count = bytes.div_ceil(ROW);
    if buffer.len() < count {
        buffer.resize(count, Line([0; ROW]));
    }
    buffer.as_mut_ptr().cast()
}

/// Gives the tiles back, so that a thread that waits has nothing of them to save.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        CONFIGURED.set((0, 0));
        // SAFETY: made only where AMX is there and permitted.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Sets the tiles up: 0 to 3 are results of `tokens` rows, 4 and 5 hold `tokens`
/// rows of `columns` activations, 6 and 7 `columns` columns of a panel.
///
/// # Safety
/// AMX is there and permitted; 1 to 16 tokens, and 32 or 64 columns.
unsafe fn configure(tokens: usize, columns: usize) {
    if CONFIGURED.get() == (tokens, columns) {
        return;
    }
    CONFIGURED.set((tokens, columns));
    #[repr(C, align(64))]
    struct Config {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }
    let (m, k) = (tokens as u8, columns as u8);
    let (row, k_row) = (ROW as u16, columns as u16);
    let config = Config {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [
            row, row, row, row, k_row, k_row, row, row, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        rows: [m, m, m, m, m, m, k / 4, k / 4, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    // SAFETY: the caller's; the configuration is one of palette 1.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &config,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly, preserves_flags));
    }
}

/// Fetches the next panels little by little while some are multiplied.
#[derive(Clone, Copy)]
struct Ahead {
    at: *const u8,
    lines: usize,
}

impl Ahead {
    /// `bytes` bytes from `at` on in `steps` steps.
    fn new(at: *const u8, bytes: usize, steps: usize) -> Self {
        Self {
            at,
            lines: bytes.div_ceil(ROW).div_ceil(steps.max(1)),
        }
    }

    fn none() -> Self {
        Self {
            at: std::ptr::null(),
            lines: 0,
        }
    }

    #[inline(always)]
    fn fetch(self, step: usize) {
        for line in 0..self.lines {
            let at = self.at.wrapping_add((step * self.lines + line) * ROW);
            // SAFETY: a prefetch may point anywhere.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
        }
    }
}
