//! Affine codes as bytes.

use std::arch::x86_64::*;

/// A source of vectors of `[16 rows][4 columns]` codes: `V` of them are made of
/// one 64-byte vector of each plane.
pub trait Codes<const V: usize>: Copy {
    /// # Safety
    /// `at` and, where there is a second plane, `low` point to 64 readable bytes;
    /// the processor has the features of `simd::features!`.
    unsafe fn load(self, at: *const u8, low: *const u8) -> [__m512i; V];
}

#[derive(Clone, Copy)]
pub struct Bytes;

impl Codes<1> for Bytes {
    #[inline(always)]
    unsafe fn load(self, at: *const u8, _: *const u8) -> [__m512i; 1] {
        // SAFETY: the caller's.
        unsafe { [_mm512_loadu_si512(at.cast())] }
    }
}

/// Low nibbles first.
#[derive(Clone, Copy)]
pub struct Nibbles {
    mask: __m512i,
}

impl Nibbles {
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            mask: nibble_mask(),
        }
    }
}

impl Codes<2> for Nibbles {
    #[inline(always)]
    unsafe fn load(self, at: *const u8, _: *const u8) -> [__m512i; 2] {
        // SAFETY: the caller's.
        unsafe {
            let both = _mm512_loadu_si512(at.cast());
            [
                _mm512_and_si512(both, self.mask),
                _mm512_and_si512(_mm512_srli_epi16::<4>(both), self.mask),
            ]
        }
    }
}

/// High and low nibbles from two planes.
#[derive(Clone, Copy)]
pub struct Split {
    mask: __m512i,
}

impl Split {
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            mask: nibble_mask(),
        }
    }
}

impl Codes<2> for Split {
    #[inline(always)]
    unsafe fn load(self, at: *const u8, low: *const u8) -> [__m512i; 2] {
        // Bits of the first operand where the mask is set, else of the second.
        const SELECT: i32 = 0xCA;
        // SAFETY: the caller's.
        unsafe {
            let high = _mm512_loadu_si512(at.cast());
            let low = _mm512_loadu_si512(low.cast());
            [
                _mm512_ternarylogic_epi32::<SELECT>(self.mask, low, _mm512_slli_epi16::<4>(high)),
                _mm512_ternarylogic_epi32::<SELECT>(self.mask, _mm512_srli_epi16::<4>(low), high),
            ]
        }
    }
}

#[inline(always)]
fn nibble_mask() -> __m512i {
    // SAFETY: 64 bytes are a vector, whatever they are.
    unsafe { std::mem::transmute([15u8; 64]) }
}
