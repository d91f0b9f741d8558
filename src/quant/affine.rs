//! MLX affine: groups of inputs with `w = scale * q + bias`. The codes of a row
//! are one dense bit stream, low bits first. The encoder gives the bytes that
//! MLX gives on a Linux CPU; scales come out negative about half of the time.

use half::f16;

use super::mxtq::{halves_to_bytes, words_to_bytes};
use super::{Format, Matrix, ScaleType};

/// Code widths there are.
pub const AFFINE_BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];
/// Group sizes there are.
pub const AFFINE_GROUPS: [usize; 3] = [32, 64, 128];
const MAX_GROUP: usize = 128;

/// Packs codes as a dense bit stream. Eight codes fill `bits` bytes.
///
/// # Panics
/// If the number of codes is not a multiple of eight.
pub fn pack_dense(codes: &[u8], bits: u32) -> Vec<u8> {
    let (groups, rest) = codes.as_chunks::<8>();
    assert!(rest.is_empty());
    groups
        .iter()
        .flat_map(|codes| {
            let stream = codes
                .iter()
                .rev()
                .fold(0u64, |stream, &code| stream << bits | u64::from(code));
            stream.to_le_bytes().into_iter().take(bits as usize)
        })
        .collect()
}

/// Unpacks `codes.len()` codes, a multiple of eight, of a dense bit stream.
///
/// # Panics
/// If `bits` is not one of [`AFFINE_BITS`].
pub fn unpack_dense(row: &[u8], bits: u32, codes: &mut [u8]) {
    match bits {
        2 => each_byte(row, codes, |b| [b & 3, b >> 2 & 3, b >> 4 & 3, b >> 6]),
        3 => each_eight::<3>(row, codes),
        4 => each_byte(row, codes, |b| [b & 15, b >> 4]),
        5 => each_eight::<5>(row, codes),
        6 => each_eight::<6>(row, codes),
        8 => codes.copy_from_slice(&row[..codes.len()]),
        _ => panic!("affine codes of {bits} bits do not exist"),
    }
}

/// Widths that divide a byte: simple enough for the compiler to vectorise.
fn each_byte<const N: usize>(row: &[u8], codes: &mut [u8], split: impl Fn(u8) -> [u8; N]) {
    let (places, _) = codes.as_chunks_mut::<N>();
    for (place, &byte) in places.iter_mut().zip(row) {
        *place = split(byte);
    }
}

/// Any width: eight codes are `BITS` bytes.
fn each_eight<const BITS: usize>(row: &[u8], codes: &mut [u8]) {
    let mask = ((1u32 << BITS) - 1) as u8;
    let (places, _) = codes.as_chunks_mut::<8>();
    let (groups, _) = row.as_chunks::<BITS>();
    for (place, bytes) in places.iter_mut().zip(groups) {
        let mut stream = [0u8; 8];
        stream[..BITS].copy_from_slice(bytes);
        let stream = u64::from_le_bytes(stream);
        *place = std::array::from_fn(|i| (stream >> (i * BITS)) as u8 & mask);
    }
}

/// Writes `scale * q + bias` for each code of a row. `scale(i)` gives the pair
/// of group `i`.
pub(super) fn decode(
    row: &[u8],
    bits: u32,
    group: usize,
    scale: impl Fn(usize) -> (f32, f32),
    out: &mut [f32],
) {
    let mut codes = [0u8; MAX_GROUP];
    let codes = &mut codes[..group];
    let group_bytes = group / 8 * bits as usize;
    for (i, (out, packed)) in out
        .chunks_exact_mut(group)
        .zip(row.chunks_exact(group_bytes))
        .enumerate()
    {
        let (scale, bias) = scale(i);
        unpack_dense(packed, bits, codes);
        for (out, &code) in out.iter_mut().zip(codes.iter()) {
            *out = scale * f32::from(code) + bias;
        }
    }
}

/// An encoded matrix.
#[derive(Clone, Debug)]
pub struct Affine {
    pub rows: usize,
    pub cols: usize,
    pub bits: u32,
    pub group: usize,
    /// `[rows, cols * bits / 32]`
    pub words: Vec<u32>,
    /// `[rows, cols / group]`
    pub scales: Vec<f16>,
    /// `[rows, cols / group]`
    pub biases: Vec<f16>,
}

/// Encodes `weights` (`[rows, cols]`), rounding them to f16 first.
///
/// # Panics
/// If `weights` is not `rows * cols` long, `bits` is not one of
/// [`AFFINE_BITS`], `group` not one of [`AFFINE_GROUPS`], or `cols` not a
/// multiple of `group`.
pub fn encode_affine(weights: &[f32], rows: usize, cols: usize, bits: u32, group: usize) -> Affine {
    assert_eq!(weights.len(), rows * cols);
    assert!(AFFINE_BITS.contains(&bits) && AFFINE_GROUPS.contains(&group));
    assert_eq!(cols % group, 0);
    let mut bytes = Vec::with_capacity(weights.len() * bits as usize / 8);
    let mut scales = Vec::with_capacity(weights.len() / group);
    let mut biases = Vec::with_capacity(weights.len() / group);
    let mut codes = vec![0u8; group];
    // `group` divides `cols`, so no group crosses a row, and 32 codes fill
    // whole words.
    for weights in weights.chunks_exact(group) {
        let (scale, bias) = encode_group(weights, bits, &mut codes);
        scales.push(f16::from_f32(scale));
        biases.push(f16::from_f32(bias));
        bytes.extend(pack_dense(&codes, bits));
    }
    let (words, _) = bytes.as_chunks::<4>();
    Affine {
        rows,
        cols,
        bits,
        group,
        words: words.iter().map(|w| u32::from_le_bytes(*w)).collect(),
        scales,
        biases,
    }
}

/// Codes of one group, and its scale and bias before they are rounded to f16:
/// the codes are chosen with these.
fn encode_group(weights: &[f32], bits: u32, codes: &mut [u8]) -> (f32, f32) {
    let weights = weights.iter().map(|&w| f16::from_f32(w).to_f32());
    let top = ((1u32 << bits) - 1) as f32;
    let (low, high) = weights
        .clone()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), w| {
            (low.min(w), high.max(w))
        });
    // The end farther from zero is hit exactly; codes count from there.
    let from_low = low.abs() > high.abs();
    let edge = if from_low { low } else { high };
    let mut scale = ((high - low) / top).max(1e-7);
    if !from_low {
        scale = -scale;
    }
    let steps = (edge / scale).round_ties_even();
    let mut bias = 0.0;
    if steps != 0.0 {
        scale = edge / steps;
        bias = edge;
    }
    for (code, w) in codes.iter_mut().zip(weights) {
        *code = ((w - bias) / scale).round_ties_even().clamp(0.0, top) as u8;
    }
    (scale, bias)
}

impl Affine {
    pub fn into_matrix(self) -> Matrix {
        Matrix {
            rows: self.rows,
            cols: self.cols,
            data: words_to_bytes(&self.words),
            format: Format::Affine {
                bits: self.bits,
                group: self.group,
                scales: halves_to_bytes(&self.scales),
                biases: halves_to_bytes(&self.biases),
                dtype: ScaleType::F16,
            },
        }
    }
}
