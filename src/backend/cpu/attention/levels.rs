//! The passes over tiles, compiled once per level.

use std::ops::Range;

use super::tile::{self, Tile, finish_body, merge_body};
use crate::backend::cpu::kv::{self, Fresh, Kv};
use crate::backend::cpu::lanes::Portable;
use crate::backend::cpu::level::{Level, per_level};
use crate::backend::cpu::output::Output;

/// Stores a head of the rows from `row` on in a part of a block.
///
/// # Safety
/// As [`Kv::write`], but for the instructions.
pub(super) unsafe fn store(
    level: Level,
    cache: &Kv,
    head: usize,
    part: kv::Part,
    fresh: Fresh<'_>,
    row: usize,
) {
    // SAFETY: the caller's; `Level::detect` saw the features on this processor.
    unsafe {
        match level {
            #[cfg(target_arch = "aarch64")]
            Level::Neon => cache.write::<Portable>(head, part, fresh, row),
            Level::Baseline => cache.write::<Portable>(head, part, fresh, row),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86_64::store_avx2(cache, head, part, fresh, row),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86_64::store_avx512(cache, head, part, fresh, row),
        }
    }
}

/// [`tile::attend`] with this level's instructions and the sizes that its
/// registers hold.
pub(super) fn attend(level: Level, tile: &Tile<'_>, spans: Range<usize>, part: &mut [f32]) {
    match level {
        // SAFETY: arrays need no instructions.
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { tile::attend::<Portable, 4, 1, 6, 1>(tile, spans, part) },
        // SAFETY: as above.
        Level::Baseline => unsafe { tile::attend::<Portable, 4, 1, 6, 1>(tile, spans, part) },
        // SAFETY: `Level::detect` saw the features on this processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86_64::avx2(tile, spans, part) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86_64::avx512(tile, spans, part) },
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Fresh, Kv, Range, Tile, tile};
    use crate::backend::cpu::kv::Part;
    use crate::backend::cpu::lanes::{Avx2, Avx512};

    /// # Safety
    /// As [`Kv::write`].
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn store_avx2(cache: &Kv, head: usize, part: Part, fresh: Fresh<'_>, row: usize) {
        // SAFETY: the caller's; the instructions are this function's.
        unsafe { cache.write::<Avx2>(head, part, fresh, row) };
    }

    /// # Safety
    /// As [`Kv::write`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn store_avx512(cache: &Kv, head: usize, part: Part, fresh: Fresh<'_>, row: usize) {
        // SAFETY: as above.
        unsafe { cache.write::<Avx512>(head, part, fresh, row) };
    }

    /// Of 16 registers, 8 or 12 hold sums.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn avx2(tile: &Tile<'_>, spans: Range<usize>, part: &mut [f32]) {
        // SAFETY: the instructions are this function's.
        unsafe { tile::attend::<Avx2, 4, 1, 6, 1>(tile, spans, part) };
    }

    /// Of 32 registers, 16 or 24 hold sums.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub fn avx512(tile: &Tile<'_>, spans: Range<usize>, part: &mut [f32]) {
        // SAFETY: as above.
        unsafe { tile::attend::<Avx512, 4, 4, 12, 2>(tile, spans, part) };
    }
}

per_level! {
    /// Adds the sums over the span that follows those of `total`.
    pub(super) fn merge = merge_body(tile: &Tile<'_>, total: &mut [f32], next: &mut [f32])
}

per_level! {
    /// Writes the weighted means.
    pub(super) fn finish = finish_body(tile: &Tile<'_>, part: &mut [f32], output: &Output<'_>)
}
