//! Codes as bytes, out of what a panel packs them in.

use std::arch::aarch64::*;

use crate::backend::cpu::panels::Lut;
use crate::backend::cpu::panels::lut::OFFSET;

/// How bytes are read: as `P` planes of `V` vectors of `[4 rows][4 columns]`
/// codes, signed, made of 16 bytes.
pub trait Codes<const V: usize, const P: usize> {
    /// # Safety
    /// `at` and, where there is a second plane in memory, `low` point to 16
    /// readable bytes.
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[int8x16_t; V]; P];
}

/// Bytes without sign, less 128.
///
/// # Safety
/// None beyond NEON, which every processor of this architecture has.
#[inline(always)]
unsafe fn signed(bytes: uint8x16_t) -> int8x16_t {
    // SAFETY: the caller's.
    unsafe { vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(OFFSET as u8))) }
}

/// Affine codes of eight bits.
pub struct Bytes;

impl Codes<1, 1> for Bytes {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[int8x16_t; 1]; 1] {
        // SAFETY: the caller's.
        unsafe { [[signed(vld1q_u8(at))]] }
    }
}

/// Affine codes of four bits: they fit signed bytes as they are, but one
/// correction serves all.
pub struct Nibbles;

impl Codes<2, 1> for Nibbles {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[int8x16_t; 2]; 1] {
        // SAFETY: the caller's.
        unsafe { [nibbles(vld1q_u8(at)).map(|codes| signed(codes))] }
    }
}

/// Affine codes of eight bits in two planes of nibbles.
pub struct Split;

impl Codes<2, 1> for Split {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[int8x16_t; 2]; 1] {
        // SAFETY: the caller's.
        unsafe {
            let high = vld1q_u8(at);
            let low = vld1q_u8(low);
            // Shifts that keep the bits of the other operand they do not reach.
            let first = vsliq_n_u8::<4>(low, high);
            let second = vsriq_n_u8::<4>(high, low);
            [[signed(first), signed(second)]]
        }
    }
}

/// Low nibbles, high nibbles.
///
/// # Safety
/// None beyond NEON.
#[inline(always)]
unsafe fn nibbles(packed: uint8x16_t) -> [uint8x16_t; 2] {
    // SAFETY: the caller's.
    unsafe { [vandq_u8(packed, vdupq_n_u8(15)), vshrq_n_u8::<4>(packed)] }
}

/// A table of 16 bytes for `tbl`.
///
/// # Safety
/// None beyond NEON.
#[inline(always)]
unsafe fn table(entry: impl Fn(usize) -> u8) -> uint8x16_t {
    let bytes: [u8; 16] = std::array::from_fn(entry);
    // SAFETY: 16 readable bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// The planes of a codebook.
pub fn planes<const P: usize>(lut: &Lut) -> [&[u8; 256]; P] {
    std::array::from_fn(|p| match (p, &lut.low) {
        (1, Some(low)) => &**low,
        _ => &lut.high,
    })
}

/// MXTQ of two bits. A nibble holds two codes: a table for each of them takes
/// the nibble as it is.
pub struct Crumb<const P: usize> {
    tables: [[uint8x16_t; 2]; P],
}

impl<const P: usize> Crumb<P> {
    /// # Safety
    /// None beyond NEON.
    #[inline(always)]
    pub unsafe fn new(lut: &Lut) -> Self {
        // SAFETY: the caller's.
        let tables = planes::<P>(lut)
            .map(|lut| unsafe { [table(|i| lut[i & 3]), table(|i| lut[i >> 2 & 3])] });
        Self { tables }
    }
}

impl<const P: usize> Codes<4, P> for Crumb<P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[int8x16_t; 4]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(vld1q_u8(at));
            self.tables.map(|[first, second]| {
                [
                    signed(vqtbl1q_u8(first, low)),
                    signed(vqtbl1q_u8(second, low)),
                    signed(vqtbl1q_u8(first, high)),
                    signed(vqtbl1q_u8(second, high)),
                ]
            })
        }
    }
}

/// MXTQ of four bits.
pub struct Nibble<const P: usize> {
    tables: [uint8x16_t; P],
}

impl<const P: usize> Nibble<P> {
    /// # Safety
    /// None beyond NEON.
    #[inline(always)]
    pub unsafe fn new(lut: &Lut) -> Self {
        // SAFETY: the caller's.
        let tables = planes::<P>(lut).map(|lut| unsafe { table(|i| lut[i]) });
        Self { tables }
    }
}

impl<const P: usize> Codes<2, P> for Nibble<P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[int8x16_t; 2]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(vld1q_u8(at));
            self.tables.map(|table| {
                [
                    signed(vqtbl1q_u8(table, low)),
                    signed(vqtbl1q_u8(table, high)),
                ]
            })
        }
    }
}

/// MXTQ of eight bits, in four tables of 64 bytes.
pub struct Byte<'a, const P: usize> {
    pub planes: [&'a [u8; 256]; P],
}

impl<const P: usize> Codes<1, P> for Byte<'_, P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[int8x16_t; 1]; P] {
        // SAFETY: the caller's 16 bytes, and 256 of each plane.
        unsafe {
            let packed = vld1q_u8(at);
            self.planes.map(|lut| {
                let lut = lut.as_ptr();
                // An index beyond a table leaves what an earlier one gave.
                let mut found = vqtbl4q_u8(vld1q_u8_x4(lut), packed);
                for quarter in 1..4u8 {
                    let table = vld1q_u8_x4(lut.add(64 * usize::from(quarter)));
                    let index = vsubq_u8(packed, vdupq_n_u8(64 * quarter));
                    found = vqtbx4q_u8(found, table, index);
                }
                [signed(found)]
            })
        }
    }
}
