//! Rows of a stored matrix as f32, for the dot products. MXTQ rows come out as
//! bare codebook values in the rotated basis; their norm is applied to the
//! finished dot product (one multiplication per row instead of one per weight).

use std::sync::Arc;

use crate::backend::cpu::level::{Level, per_level};
use crate::quant::{Format, Matrix, ScaleType, widen_bf16, widen_f16};

/// A matrix ready to be decoded row by row.
pub(in crate::backend::cpu) struct RowWeight {
    pub(super) matrix: Matrix,
    tables: Option<Arc<ByteTable>>,
}

/// The codebook values of all codes in a byte, for every byte.
enum ByteTable {
    TwoBit(Box<[[f32; 4]; 256]>),
    FourBit(Box<[[f32; 2]; 256]>),
}

impl ByteTable {
    /// `None` where a byte does not hold whole codes or needs no table.
    fn of(matrix: &Matrix) -> Option<Self> {
        let Format::Mxtq { bits, tables, .. } = &matrix.format else {
            return None;
        };
        let value = |code: usize| tables.codebook[code];
        match bits {
            2 => {
                let mut table = Box::new([[0.0; 4]; 256]);
                for (byte, values) in table.iter_mut().enumerate() {
                    *values = std::array::from_fn(|i| value(byte >> (2 * i) & 3));
                }
                Some(Self::TwoBit(table))
            }
            4 => {
                let mut table = Box::new([[0.0; 2]; 256]);
                for (byte, values) in table.iter_mut().enumerate() {
                    *values = std::array::from_fn(|i| value(byte >> (4 * i) & 15));
                }
                Some(Self::FourBit(table))
            }
            _ => None,
        }
    }
}

impl RowWeight {
    pub(in crate::backend::cpu) fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    pub(in crate::backend::cpu) fn new(matrix: &Matrix) -> Self {
        Self {
            matrix: matrix.clone(),
            tables: ByteTable::of(matrix).map(Arc::new),
        }
    }

    /// Equally formatted matrices, sharing their tables.
    pub(in crate::backend::cpu) fn stack(matrices: &[&Matrix]) -> Vec<Self> {
        let mut tables: Option<Arc<ByteTable>> = None;
        let mut of: Option<&Matrix> = None;
        matrices
            .iter()
            .map(|m| {
                if !of.is_some_and(|first| same_codebook(first, m)) {
                    tables = ByteTable::of(m).map(Arc::new);
                    of = Some(m);
                }
                Self {
                    matrix: (*m).clone(),
                    tables: tables.clone(),
                }
            })
            .collect()
    }

    /// Signs of the rotation that inputs need before the dot product.
    pub(super) fn signs(&self) -> Option<&[f32]> {
        match &self.matrix.format {
            Format::Mxtq { tables, .. } => Some(&tables.signs),
            _ => None,
        }
    }

    /// What the dot product with a decoded row is multiplied by.
    pub(super) fn row_scale(&self, row: usize) -> f32 {
        match &self.matrix.format {
            Format::Mxtq { norms, .. } => ScaleType::F16.get(norms, row),
            _ => 1.0,
        }
    }

    /// Writes row `row` (of `matrix.cols` values) to `out`.
    pub(in crate::backend::cpu) fn decode(&self, level: Level, row: usize, out: &mut [f32]) {
        decode(level, self, row, out);
    }

    #[inline(always)]
    fn decode_row(&self, row: usize, out: &mut [f32]) {
        let m = &self.matrix;
        let bytes = m.row_bytes();
        let codes = &m.data[row * bytes..(row + 1) * bytes];
        match (&m.format, self.tables.as_deref()) {
            (Format::F32, _) => decode_f32(codes, out),
            (Format::F16, _) => decode_f16(codes, out),
            (Format::Bf16, _) => decode_bf16(codes, out),
            (Format::Mxtq { .. }, Some(ByteTable::TwoBit(table))) => {
                decode_table(codes, table, out)
            }
            (Format::Mxtq { .. }, Some(ByteTable::FourBit(table))) => {
                decode_table(codes, table, out)
            }
            (Format::Mxtq { bits, tables, .. }, None) => {
                decode_mxtq(codes, *bits, &tables.codebook, out);
            }
            (
                Format::Affine {
                    bits: bits @ (4 | 8),
                    group,
                    scales,
                    biases,
                    dtype,
                },
                _,
            ) => {
                let (scales, biases): (&[u8], &[u8]) = (scales, biases);
                let first = row * (m.cols / group);
                let pair = |g| (dtype.get(scales, first + g), dtype.get(biases, first + g));
                if *bits == 8 {
                    decode_affine8(codes, *group, pair, out);
                } else {
                    decode_affine4(codes, *group, pair, out);
                }
            }
            // Rare formats are decoded by the reference.
            _ => m.decode_row(row, out),
        }
    }
}

per_level! {
    fn decode = decode_body(weight: &RowWeight, row: usize, out: &mut [f32])
}

#[inline(always)]
fn decode_body(weight: &RowWeight, row: usize, out: &mut [f32]) {
    weight.decode_row(row, out);
}

fn same_codebook(a: &Matrix, b: &Matrix) -> bool {
    match (&a.format, &b.format) {
        (Format::Mxtq { tables: a, .. }, Format::Mxtq { tables: b, .. }) => Arc::ptr_eq(a, b),
        _ => true,
    }
}

/// `pair` gives a group's scale and bias.
#[inline(always)]
fn decode_affine8(codes: &[u8], group: usize, pair: impl Fn(usize) -> (f32, f32), out: &mut [f32]) {
    let groups = codes.chunks_exact(group).zip(out.chunks_exact_mut(group));
    for (g, (q, out)) in groups.enumerate() {
        let (s, b) = pair(g);
        for (w, &q) in out.iter_mut().zip(q) {
            *w = f32::from(q) * s + b;
        }
    }
}

/// The same for two codes a byte.
#[inline(always)]
fn decode_affine4(codes: &[u8], group: usize, pair: impl Fn(usize) -> (f32, f32), out: &mut [f32]) {
    let groups = codes
        .chunks_exact(group / 2)
        .zip(out.chunks_exact_mut(group));
    for (g, (q, out)) in groups.enumerate() {
        let (s, b) = pair(g);
        for (w, &q) in out.as_chunks_mut::<2>().0.iter_mut().zip(q) {
            w[0] = f32::from(q & 15) * s + b;
            w[1] = f32::from(q >> 4) * s + b;
        }
    }
}

#[inline(always)]
fn decode_f32(bytes: &[u8], out: &mut [f32]) {
    for (w, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *w = f32::from_le_bytes(*b);
    }
}

#[inline(always)]
fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    for (w, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *w = widen_f16(u16::from_le_bytes(*b));
    }
}

#[inline(always)]
fn decode_bf16(bytes: &[u8], out: &mut [f32]) {
    for (w, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *w = widen_bf16(u16::from_le_bytes(*b));
    }
}

/// The last byte may hold padding codes: they are left out.
#[inline(always)]
fn decode_table<const N: usize>(codes: &[u8], table: &[[f32; N]; 256], out: &mut [f32]) {
    let (whole, rest) = out.as_chunks_mut::<N>();
    let used = whole.len();
    for (w, &byte) in whole.iter_mut().zip(codes) {
        *w = table[usize::from(byte)];
    }
    if !rest.is_empty() {
        let kept = rest.len();
        rest.copy_from_slice(&table[usize::from(codes[used])][..kept]);
    }
}

#[inline(always)]
fn decode_mxtq(codes: &[u8], bits: u32, codebook: &[f32], out: &mut [f32]) {
    let mask = (1u32 << bits) - 1;
    let per_word = (32 / bits) as usize;
    for (values, word) in out.chunks_mut(per_word).zip(codes.as_chunks::<4>().0) {
        let mut word = u32::from_le_bytes(*word);
        for w in values {
            *w = codebook[(word & mask) as usize];
            word >>= bits;
        }
    }
}
