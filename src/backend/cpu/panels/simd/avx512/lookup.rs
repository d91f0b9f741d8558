//! Codebooks, looked up by `vpermb`. It looks at the low six bits of an index:
//! tables that repeat take packed bytes without masking.

use std::arch::x86_64::*;

/// Codebook values, plus 128, of packed codes: `P` planes of vectors.
pub trait Lookup<const P: usize>: Copy {
    /// Vectors of `[16 rows][4 columns]` made of one packed vector.
    const VECTORS: usize;

    /// Vector `v` of those, in each plane.
    ///
    /// # Safety
    /// The processor has the features of `simd::features!`.
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P];
}

/// Tables of 64 entries for `vpermb`.
#[inline(always)]
fn table(entry: impl Fn(usize) -> u8) -> __m512i {
    let bytes: [u8; 64] = std::array::from_fn(entry);
    // SAFETY: 64 readable bytes; the processor has the features of `simd::features!`.
    unsafe { std::mem::transmute(bytes) }
}

fn plane<'a, const P: usize>(
    high: &'a [u8; 256],
    low: Option<&'a [u8; 256]>,
) -> [&'a [u8; 256]; P] {
    std::array::from_fn(|p| match (p, low) {
        (1, Some(low)) => low,
        _ => high,
    })
}

/// Two bits: the first three codes of a byte lie within its low six bits, each
/// with a table of its own; the fourth is shifted down to the first.
#[derive(Clone, Copy)]
pub struct Crumb<const P: usize> {
    tables: [[__m512i; 3]; P],
}

impl<const P: usize> Crumb<P> {
    #[inline(always)]
    pub fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        let tables = plane::<P>(high, low)
            .map(|lut| std::array::from_fn(|c| table(|i| lut[i >> (2 * c) & 3])));
        Self { tables }
    }
}

impl<const P: usize> Lookup<P> for Crumb<P> {
    const VECTORS: usize = 4;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let (index, which) = match v {
                3 => (_mm512_srli_epi16::<6>(packed), 0),
                v => (packed, v),
            };
            self.tables
                .map(|tables| _mm512_permutexvar_epi8(index, tables[which]))
        }
    }
}

/// Four bits.
#[derive(Clone, Copy)]
pub struct Nibble<const P: usize> {
    tables: [__m512i; P],
}

impl<const P: usize> Nibble<P> {
    #[inline(always)]
    pub fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        Self {
            tables: plane::<P>(high, low).map(|lut| table(|i| lut[i & 15])),
        }
    }
}

impl<const P: usize> Lookup<P> for Nibble<P> {
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let index = match v {
                0 => packed,
                _ => _mm512_srli_epi16::<4>(packed),
            };
            self.tables
                .map(|table| _mm512_permutexvar_epi8(index, table))
        }
    }
}

/// Eight bits: two tables of 128 entries, chosen by the upper bit.
#[derive(Clone, Copy)]
pub struct Byte<const P: usize> {
    tables: [[__m512i; 4]; P],
}

impl<const P: usize> Byte<P> {
    #[inline(always)]
    pub fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        Self {
            tables: plane::<P>(high, low)
                .map(|lut| std::array::from_fn(|q| table(|i| lut[64 * q + i]))),
        }
    }
}

impl<const P: usize> Lookup<P> for Byte<P> {
    const VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, _: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let upper = _mm512_movepi8_mask(packed);
            self.tables.map(|[a, b, c, d]| {
                let first = _mm512_permutex2var_epi8(a, packed, b);
                let second = _mm512_permutex2var_epi8(c, packed, d);
                _mm512_mask_blend_epi8(upper, first, second)
            })
        }
    }
}
