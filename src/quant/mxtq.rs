//! MXTQ: each row is rotated, divided by its norm, and its coordinates replaced
//! by the nearest centroids. Codes lie `32 / bits` to a u32, low bits first;
//! words are not shared between rows. The encoder gives the bytes that jang
//! 2.5.50 gives on Linux.

use std::sync::Arc;

use half::f16;

use super::{Bytes, Format, Matrix, MxtqTables, boundaries, rotate};

/// Code widths there are.
pub const MXTQ_BITS: [u32; 5] = [1, 2, 3, 4, 8];

/// u32 words in a row of `cols` codes. Three-bit words hold ten codes, their
/// two top bits unused.
pub const fn words_per_row(cols: usize, bits: u32) -> usize {
    cols.div_ceil((32 / bits) as usize)
}

/// Packs one row of codes.
pub fn pack_words(codes: &[u8], bits: u32) -> Vec<u32> {
    codes
        .chunks((32 / bits) as usize)
        .map(|codes| {
            codes
                .iter()
                .rev()
                .fold(0, |word, &code| word << bits | u32::from(code))
        })
        .collect()
}

/// Unpacks the first `codes.len()` codes of a row of little-endian words.
///
/// # Panics
/// If `row` holds fewer codes.
pub fn unpack_words(row: &[u8], bits: u32, codes: &mut [u8]) {
    let per_word = (32 / bits) as usize;
    let mask = ((1u32 << bits) - 1) as u8;
    let (words, _) = row.as_chunks::<4>();
    assert!(words.len() >= codes.len().div_ceil(per_word));
    for (codes, word) in codes.chunks_mut(per_word).zip(words) {
        let mut word = u32::from_le_bytes(*word);
        for code in codes {
            *code = word as u8 & mask;
            word >>= bits;
        }
    }
}

/// Writes `norm * codebook[code]` for each code of a row.
pub(super) fn decode(row: &[u8], bits: u32, codebook: &[f32], norm: f32, out: &mut [f32]) {
    match bits {
        1 => decode_small::<1>(row, codebook, norm, out),
        2 => decode_small::<2>(row, codebook, norm, out),
        3 => decode_small::<3>(row, codebook, norm, out),
        4 => decode_small::<4>(row, codebook, norm, out),
        _ => {
            // An array of 256 needs no bounds check for a byte.
            let mut table = [0.0f32; 256];
            table[..codebook.len()].copy_from_slice(codebook);
            for (out, code) in out.iter_mut().zip(row) {
                *out = table[usize::from(*code)] * norm;
            }
        }
    }
}

/// Small codebooks are multiplied by the norm once; a fixed table and a masked
/// index need no bounds checks.
fn decode_small<const BITS: usize>(row: &[u8], codebook: &[f32], norm: f32, out: &mut [f32]) {
    let mut table = [0.0f32; 16];
    for (entry, c) in table.iter_mut().zip(codebook) {
        *entry = c * norm;
    }
    let mask = (1u32 << BITS) - 1;
    let (words, _) = row.as_chunks::<4>();
    for (out, word) in out.chunks_mut(32 / BITS).zip(words) {
        let word = u32::from_le_bytes(*word);
        for (i, out) in out.iter_mut().enumerate() {
            *out = table[(word >> (i * BITS) & mask) as usize & 15];
        }
    }
}

/// An encoded matrix.
#[derive(Clone, Debug)]
pub struct Mxtq {
    pub rows: usize,
    pub cols: usize,
    pub bits: u32,
    /// `[rows, words_per_row]`
    pub words: Vec<u32>,
    /// `[rows]`
    pub norms: Vec<f16>,
    pub tables: Arc<MxtqTables>,
}

/// Encodes `weights` (`[rows, cols]`, not rounded to f16 first).
///
/// The norm is the root of a left-to-right f32 sum of squares, without fused
/// multiply-add. A coordinate on a boundary takes the lower code; so does NaN,
/// all the way down to zero.
///
/// # Panics
/// If `weights` is not `rows * cols` long or `bits` is not one of [`MXTQ_BITS`].
pub fn encode_mxtq(weights: &[f32], rows: usize, cols: usize, bits: u32, seed: u64) -> Mxtq {
    assert_eq!(weights.len(), rows * cols);
    let tables = MxtqTables::new(cols, bits, seed);
    let boundaries = boundaries(&tables.codebook);
    let mut words = Vec::with_capacity(rows * words_per_row(cols, bits));
    let mut norms = Vec::with_capacity(rows);
    let mut rotated = vec![0.0f32; cols];
    let mut codes = vec![0u8; cols];
    for r in 0..rows {
        rotated.copy_from_slice(&weights[r * cols..][..cols]);
        rotate(&mut rotated, &tables.signs);
        let norm = rotated.iter().fold(0.0f32, |sum, u| sum + u * u).sqrt();
        let divisor = norm.max(1e-10);
        for (code, u) in codes.iter_mut().zip(&rotated) {
            let t = u / divisor;
            *code = boundaries.partition_point(|&boundary| boundary < t) as u8;
        }
        words.extend(pack_words(&codes, bits));
        norms.push(f16::from_f32(norm));
    }
    Mxtq {
        rows,
        cols,
        bits,
        words,
        norms,
        tables,
    }
}

impl Mxtq {
    pub fn into_matrix(self) -> Matrix {
        Matrix {
            rows: self.rows,
            cols: self.cols,
            data: words_to_bytes(&self.words),
            format: Format::Mxtq {
                bits: self.bits,
                norms: halves_to_bytes(&self.norms),
                tables: self.tables,
            },
        }
    }
}

pub(super) fn words_to_bytes(words: &[u32]) -> Bytes {
    Bytes::from_vec(words.iter().flat_map(|w| w.to_le_bytes()).collect())
}

pub(super) fn halves_to_bytes(halves: &[f16]) -> Bytes {
    Bytes::from_vec(halves.iter().flat_map(|h| h.to_le_bytes()).collect())
}
