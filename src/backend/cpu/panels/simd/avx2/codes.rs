//! Codes as bytes, out of what a panel packs them in.

use std::arch::x86_64::*;

use crate::backend::cpu::panels::Lut;

/// How bytes are read: as `P` planes of `V` vectors of `[8 rows][4 columns]`
/// codes without signs, made of 32 bytes.
pub trait Codes<const V: usize, const P: usize> {
    /// # Safety
    /// `at` and, where there is a second plane in memory, `low` point to 32
    /// readable bytes; the processor has the features of [`integer`](super::integer()).
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[__m256i; V]; P];
}

/// Affine codes of eight bits.
pub struct Bytes;

impl Codes<1, 1> for Bytes {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 1]; 1] {
        // SAFETY: the caller's.
        unsafe { [[_mm256_loadu_si256(at.cast())]] }
    }
}

/// Affine codes of four bits.
pub struct Nibbles;

impl Codes<2, 1> for Nibbles {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 2]; 1] {
        // SAFETY: the caller's.
        unsafe { [nibbles(_mm256_loadu_si256(at.cast()))] }
    }
}

/// Affine codes of eight bits in two planes of nibbles.
pub struct Split;

impl Codes<2, 1> for Split {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[__m256i; 2]; 1] {
        // SAFETY: the caller's.
        unsafe {
            let [a, b] = nibbles(_mm256_loadu_si256(at.cast()));
            let [c, d] = nibbles(_mm256_loadu_si256(low.cast()));
            [[
                _mm256_or_si256(_mm256_slli_epi16::<4>(a), c),
                _mm256_or_si256(_mm256_slli_epi16::<4>(b), d),
            ]]
        }
    }
}

/// Low nibbles, high nibbles.
///
/// # Safety
/// The processor has the features of [`integer`](super::integer()).
#[inline(always)]
unsafe fn nibbles(packed: __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let mask = _mm256_set1_epi8(15);
        [
            _mm256_and_si256(packed, mask),
            _mm256_and_si256(_mm256_srli_epi16::<4>(packed), mask),
        ]
    }
}

// Loops below, not `map`: what a closure calls is not always inlined into code
// that has the features.

/// A table of 16 bytes for `vpshufb`.
///
/// # Safety
/// The processor has the features of [`integer`](super::integer()).
#[inline(always)]
unsafe fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 readable bytes; the caller's features.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())) }
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
    tables: [[[u8; 16]; 2]; P],
}

impl<const P: usize> Crumb<P> {
    pub fn new(lut: &Lut) -> Self {
        let entries =
            |lut: &[u8; 256], shift: usize| std::array::from_fn(|nibble| lut[nibble >> shift & 3]);
        Self {
            tables: planes::<P>(lut).map(|lut| [entries(lut, 0), entries(lut, 2)]),
        }
    }
}

impl<const P: usize> Codes<4, P> for Crumb<P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 4]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(_mm256_loadu_si256(at.cast()));
            let mut out = [[low; 4]; P];
            for (out, [first, second]) in out.iter_mut().zip(&self.tables) {
                let (first, second) = (table(first), table(second));
                out[0] = _mm256_shuffle_epi8(first, low);
                out[1] = _mm256_shuffle_epi8(second, low);
                out[2] = _mm256_shuffle_epi8(first, high);
                out[3] = _mm256_shuffle_epi8(second, high);
            }
            out
        }
    }
}

/// MXTQ of four bits.
pub struct Nibble<'a, const P: usize> {
    pub planes: [&'a [u8; 256]; P],
}

impl<const P: usize> Codes<2, P> for Nibble<'_, P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 2]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(_mm256_loadu_si256(at.cast()));
            let mut out = [[low; 2]; P];
            for (out, lut) in out.iter_mut().zip(&self.planes) {
                let table = table(&lut.as_chunks().0[0]);
                out[0] = _mm256_shuffle_epi8(table, low);
                out[1] = _mm256_shuffle_epi8(table, high);
            }
            out
        }
    }
}

/// MXTQ of eight bits: looked up in 16 tables, of which each gives zero for what
/// lies in another.
pub struct Byte<'a, const P: usize> {
    pub planes: [&'a [u8; 256]; P],
}

impl<const P: usize> Codes<1, P> for Byte<'_, P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 1]; P] {
        // SAFETY: the caller's.
        unsafe {
            let packed = _mm256_loadu_si256(at.cast());
            let mut out = [[_mm256_setzero_si256()]; P];
            for upper in 0..16 {
                // A nibble above that is not this one sets the highest bit.
                let own = _mm256_xor_si256(packed, _mm256_set1_epi8((upper << 4) as i8));
                let index = _mm256_adds_epu8(own, _mm256_set1_epi8(0x70));
                for (out, lut) in out.iter_mut().zip(&self.planes) {
                    let found = _mm256_shuffle_epi8(table(&lut.as_chunks().0[upper]), index);
                    out[0] = _mm256_or_si256(out[0], found);
                }
            }
            out
        }
    }
}
