//! Codebooks: sums over all columns stay in the tiles.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::{Ahead, FEW, ROW, Scratch, TILE, TOKENS, configure, lines};
use crate::backend::cpu::panels::simd::avx512::finished;
use crate::backend::cpu::panels::simd::avx512::lookup::{Byte, Crumb, Lookup, Nibble};
use crate::backend::cpu::panels::simd::parts;
use crate::backend::cpu::panels::{Activations, IntegerPanels, Lut, Sink};

/// Columns of a tile.
const COLUMNS: usize = 64;

/// Tiles that are unpacked before the one that is multiplied: what was written
/// just now is slow to read.
const EARLY: usize = 2;

/// Unpacked tiles of a plane, used in turn: so few that they stay in the nearest
/// cache. Unpacking them again for the next tokens costs less than having all of
/// them farther away.
const KEPT: usize = 2 * EARLY;

features! {
/// # Safety
/// As `amx::integer`.
#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
pub(super) unsafe fn block(
    w: &IntegerPanels,
    bits: u32,
    lut: &Lut,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    scratch: &mut Scratch,
    sink: Sink<'_>,
) {
    macro_rules! run {
        ($planes:literal, $look:ident) => {{
            let look = $look::new(&lut.high, lut.low.as_deref());
            planes::<$planes, _>(w, lut, look, panels, x, tokens, scratch, sink)
        }};
    }
    // SAFETY: the caller's.
    unsafe {
        match (bits, &lut.low) {
            (2, None) => run!(1, Crumb),
            (2, Some(_)) => run!(2, Crumb),
            (4, None) => run!(1, Nibble),
            (4, Some(_)) => run!(2, Nibble),
            (_, None) => run!(1, Byte),
            (_, Some(_)) => run!(2, Byte),
        }
    }
}
}

features! {
/// The second operand is two tiles: of two panels where the codebook has one
/// plane, of one panel where it has two.
///
/// # Safety
/// As `amx::integer`; `look` belongs to the panels.
#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
unsafe fn planes<const P: usize, L: Lookup<P>>(
    w: &IntegerPanels,
    lut: &Lut,
    look: L,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    scratch: &mut Scratch,
    sink: Sink<'_>,
) {
    let steps = w.width / COLUMNS;
    let passes = parts(tokens.clone(), TOKENS).count();
    // Both planes of so few tokens fit one tile.
    let few = tokens.len() <= FEW;
    let unpacked = lines(&mut scratch.codes, 2 * KEPT * TILE);
    let results = lines(&mut scratch.results, 4 * TILE);
    // Packed vectors of a tile.
    let vectors = COLUMNS / (4 * L::VECTORS);
    let mut panel = panels.start;
    while panel < panels.end {
        let count = (2 / P).min(panels.end - panel);
        let bytes = count * w.panel_bytes();
        let ahead = match panel + 2 * count <= panels.end {
            true => Ahead::new(w.panel(panel + count).as_ptr(), bytes, passes * steps),
            false => Ahead::none(),
        };
        let data: [*const u8; 2] =
            std::array::from_fn(|n| w.panel(panel + n.min(count - 1)).as_ptr());
        for (i, tokens) in parts(tokens.clone(), TOKENS).enumerate() {
            // SAFETY: `steps` tiles of each panel, and as many in
            // each plane of the scratch memory; four tiles of results.
            let prepare = |step: usize| unsafe {
                ahead.fetch(i * steps + step);
                for (n, data) in data.iter().take(count).enumerate() {
                    let at = data.add(step * vectors * 64);
                    let out = unpacked.add(n * KEPT * TILE + step % KEPT * TILE);
                    for i in 0..vectors {
                        let packed = _mm512_loadu_si512(at.add(i * 64).cast());
                        for v in 0..L::VECTORS {
                            let looked = look.look(packed, v);
                            for (p, vector) in looked.iter().enumerate() {
                                let line = out.add(p * KEPT * TILE + (i * L::VECTORS + v) * ROW);
                                _mm512_store_si512(line.cast(), *vector);
                            }
                        }
                    }
                }
            };
            // SAFETY: as above.
            unsafe {
                match (count * P, few) {
                    (1, true) => few_pass::<1>(x, tokens.clone(), unpacked, results, prepare),
                    (_, true) => few_pass::<2>(x, tokens.clone(), unpacked, results, prepare),
                    (1, false) => pass::<1>(x, tokens.clone(), unpacked, results, prepare),
                    (_, false) => pass::<2>(x, tokens.clone(), unpacked, results, prepare),
                }
                for (n, data) in data.iter().take(count).enumerate() {
                    let norms = data.add(steps * vectors * 64);
                    let norms = _mm512_loadu_ps(norms.cast());
                    for (t, token) in tokens.clone().enumerate() {
                        let dots = std::array::from_fn(|p| {
                            let [upper, lower] = match few {
                                true => [0, 1].map(|plane| (n + p) * TILE + (2 * t + plane) * ROW),
                                false => [0, 1].map(|plane| (2 * (n + p) + plane) * TILE + t * ROW),
                            };
                            [upper, lower].map(|at| _mm512_load_si512(results.add(at).cast()))
                        });
                        let y = finished::<P>(dots, norms, x, token, lut);
                        sink(token, panel + n, &y);
                    }
                }
            }
        }
        panel += count;
    }
}
}

features! {
/// [`pass`] with a tile of both planes of up to [`FEW`] tokens: for each plane of
/// codes the sums of the first token's upper and lower plane, then the next one's.
///
/// # Safety
/// As [`pass`].
unsafe fn few_pass<const B: usize>(
    x: &Activations,
    tokens: Range<usize>,
    codes: *const u8,
    results: *mut u8,
    prepare: impl Fn(usize),
) {
    let steps = x.width / COLUMNS;
    let planes = x.planes(tokens.clone()).as_ptr();
    // SAFETY: as in `pass`.
    unsafe {
        configure(2 * tokens.len(), COLUMNS);
        asm!(
            "tilezero tmm0", "tilezero tmm1",
            out("tmm0") _, out("tmm1") _,
            options(nostack, nomem, preserves_flags),
        );
        (0..EARLY.min(steps)).for_each(&prepare);
        for step in 0..steps {
            if step + EARLY < steps {
                prepare(step + EARLY);
            }
            let planes = planes.add(step * COLUMNS);
            let codes = codes.add(step % KEPT * TILE);
            if B == 2 {
                asm!(
                    "tileloadd tmm4, [{planes} + {apart}]",
                    "tileloadd tmm6, [{codes} + {row}]",
                    "tileloadd tmm7, [{others} + {row}]",
                    "tdpbsud tmm0, tmm4, tmm6",
                    "tdpbsud tmm1, tmm4, tmm7",
                    planes = in(reg) planes,
                    codes = in(reg) codes,
                    others = in(reg) codes.add(KEPT * TILE),
                    apart = in(reg) x.apart,
                    row = in(reg) ROW,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, readonly, preserves_flags),
                );
            } else {
                asm!(
                    "tileloadd tmm4, [{planes} + {apart}]",
                    "tileloadd tmm6, [{codes} + {row}]",
                    "tdpbsud tmm0, tmm4, tmm6",
                    planes = in(reg) planes,
                    codes = in(reg) codes,
                    apart = in(reg) x.apart,
                    row = in(reg) ROW,
                    out("tmm0") _, out("tmm4") _, out("tmm6") _,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }
        store_pair!(results, "tmm0", "tmm1");
    }
}
}

features! {
/// `B` planes of codes, [`KEPT`] tiles each, times a tile of tokens: for each the
/// sums of the upper, then those of the lower plane of activations. `prepare(s)`
/// is called [`EARLY`] steps before tile `s` of the codes is read.
///
/// # Safety
/// The processor has these features and AMX, which is permitted; the pointers
/// lead to what they say, the tokens to rows of `x`.
unsafe fn pass<const B: usize>(
    x: &Activations,
    tokens: Range<usize>,
    codes: *const u8,
    results: *mut u8,
    prepare: impl Fn(usize),
) {
    let steps = x.width / COLUMNS;
    let high = x.planes(tokens.clone()).as_ptr();
    let low = high.wrapping_add(x.apart);
    // SAFETY: the caller's. Sums stay in the tiles from one piece of assembly to
    // the next, as the compiler has no use for tiles of its own.
    unsafe {
        configure(tokens.len(), COLUMNS);
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            options(nostack, nomem, preserves_flags),
        );
        (0..EARLY.min(steps)).for_each(&prepare);
        for step in 0..steps {
            if step + EARLY < steps {
                prepare(step + EARLY);
            }
            let (high, low) = (high.add(step * COLUMNS), low.add(step * COLUMNS));
            let codes = codes.add(step % KEPT * TILE);
            // All loads, then all products: `amx/mod.rs` says why.
            if B == 2 {
                asm!(
                    "tileloadd tmm4, [{high} + {stride}]",
                    "tileloadd tmm6, [{codes} + {row}]",
                    "tileloadd tmm5, [{low} + {stride}]",
                    "tileloadd tmm7, [{others} + {row}]",
                    "tdpbsud tmm0, tmm4, tmm6",
                    "tdpbsud tmm1, tmm5, tmm6",
                    "tdpbsud tmm2, tmm4, tmm7",
                    "tdpbsud tmm3, tmm5, tmm7",
                    high = in(reg) high,
                    low = in(reg) low,
                    codes = in(reg) codes,
                    others = in(reg) codes.add(KEPT * TILE),
                    stride = in(reg) 2 * x.apart,
                    row = in(reg) ROW,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, readonly, preserves_flags),
                );
            } else {
                asm!(
                    "tileloadd tmm4, [{high} + {stride}]",
                    "tileloadd tmm6, [{codes} + {row}]",
                    "tileloadd tmm5, [{low} + {stride}]",
                    "tdpbsud tmm0, tmm4, tmm6",
                    "tdpbsud tmm1, tmm5, tmm6",
                    high = in(reg) high,
                    low = in(reg) low,
                    codes = in(reg) codes,
                    stride = in(reg) 2 * x.apart,
                    row = in(reg) ROW,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }
        store_pair!(results, "tmm0", "tmm1");
        if B == 2 {
            store_pair!(results.add(2 * TILE), "tmm2", "tmm3");
        }
    }
}
}
