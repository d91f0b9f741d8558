//! The kernels in plain Rust: what a product means, and what processors without
//! kernels of their own run. Codes are unpacked once for all tokens, to columns
//! of 16 rows, whose loops compilers turn into whatever vectors the target has.

use std::ops::Range;

use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::lut::OFFSET;
use crate::backend::cpu::panels::{
    Activations, Encoding, FloatPanels, IntegerPanels, Lut, PANEL, Sink,
};
use crate::quant::{widen_bf16, widen_f16};

/// Bytes of a vector of codes.
const VECTOR: usize = 4 * PANEL;

/// Columns of MXTQ codes that are unpacked at a time.
const BLOCK: usize = 64;

/// Reads `x.whole`.
pub fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    debug_assert_eq!(x.whole.len(), x.tokens * x.width);
    for panel in panels {
        let y = match &w.encoding {
            Encoding::Affine { group, scales, .. } | Encoding::Split { group, scales, .. } => {
                affine(w, panel, x, tokens.clone(), *group, *scales)
            }
            Encoding::Mxtq { bits, lut } => mxtq(w, panel, x, tokens.clone(), *bits, lut),
        };
        for (token, y) in tokens.clone().zip(&y) {
            sink(token, panel, y);
        }
    }
}

/// Vectors of codes as columns, in the kernel's order.
fn unpack(vectors: &[u8], bits: u32, columns: &mut [[u8; PANEL]]) {
    let per_byte = 8 / bits as usize;
    let mask = u8::MAX >> (8 - bits);
    let (vectors, _) = vectors.as_chunks::<VECTOR>();
    for (vector, columns) in vectors.iter().zip(columns.chunks_exact_mut(4 * per_byte)) {
        for (v, columns) in columns.chunks_exact_mut(4).enumerate() {
            let shift = v as u32 * bits;
            for (c, column) in columns.iter_mut().enumerate() {
                for (r, code) in column.iter_mut().enumerate() {
                    *code = vector[4 * r + c] >> shift & mask;
                }
            }
        }
    }
}

/// The codes of group `g` of a panel, in columns.
fn group_codes(w: &IntegerPanels, panel: usize, g: usize, block: &[u8], out: &mut [[u8; PANEL]]) {
    match &w.encoding {
        Encoding::Split { low, .. } => {
            let groups = w.width / out.len();
            let at = (panel * groups + g) * block.len();
            let mut lows = vec![[0; PANEL]; out.len()];
            unpack(block, 4, out);
            unpack(&low[at..at + block.len()], 4, &mut lows);
            for (high, low) in out.as_flattened_mut().iter_mut().zip(lows.as_flattened()) {
                *high = *high << 4 | low;
            }
        }
        Encoding::Affine { bits, .. } | Encoding::Mxtq { bits, .. } => unpack(block, *bits, out),
    }
}

fn affine(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    tokens: Range<usize>,
    group: usize,
    scales: ScaleWidth,
) -> Vec<[f32; PANEL]> {
    let groups = w.width / group;
    let data = w.panel(panel);
    let block_bytes = data.len() / groups.max(1);
    let codes_bytes = block_bytes - scales.block_bytes();
    let mut codes = vec![[0u8; PANEL]; group];
    let mut y = vec![[0.0f32; PANEL]; tokens.len()];
    for g in 0..groups {
        let (block, pairs) = data[g * block_bytes..(g + 1) * block_bytes].split_at(codes_bytes);
        group_codes(w, panel, g, block, &mut codes);
        for (token, sums) in tokens.clone().zip(&mut y) {
            let integers = &x.whole[token * x.width + g * group..][..group];
            let dots = multiply(&codes, integers);
            let total = x.sums[token * groups + g] as f32;
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                *sum = pair(pairs, scales, r).mul_add(dot as f32, *sum);
                *sum = pair(pairs, scales, PANEL + r).mul_add(total, *sum);
            }
        }
    }
    for (token, sums) in tokens.zip(&mut y) {
        *sums = sums.map(|sum| sum * x.scales[token]);
    }
    y
}

/// Number `i` of a block's scales and biases.
fn pair(pairs: &[u8], width: ScaleWidth, i: usize) -> f32 {
    match width {
        ScaleWidth::F16 => widen_f16(u16::from_le_bytes([pairs[2 * i], pairs[2 * i + 1]])),
        ScaleWidth::F32 => f32::from_le_bytes([
            pairs[4 * i],
            pairs[4 * i + 1],
            pairs[4 * i + 2],
            pairs[4 * i + 3],
        ]),
    }
}

fn mxtq(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    tokens: Range<usize>,
    bits: u32,
    lut: &Lut,
) -> Vec<[f32; PANEL]> {
    let data = w.panel(panel);
    let (vectors, norms) = data.split_at(data.len() - 4 * PANEL);
    let mut codes = [[0u8; PANEL]; BLOCK];
    let mut dots = vec![[0i64; PANEL]; tokens.len()];
    for (b, vectors) in vectors
        .chunks_exact(BLOCK * PANEL * bits as usize / 8)
        .enumerate()
    {
        unpack(vectors, bits, &mut codes);
        let high = codes.map(|column| integers(&lut.high, column));
        let low = lut
            .low
            .as_ref()
            .map(|low| codes.map(|column| integers(low, column)));
        for (token, dots) in tokens.clone().zip(&mut dots) {
            let x = &x.whole[token * x.width + b * BLOCK..][..BLOCK];
            let high = multiply(&high, x);
            match &low {
                None => add(dots, high, 1),
                Some(low) => {
                    add(dots, high, 128);
                    add(dots, multiply(low, x), 1);
                }
            }
        }
    }
    let finished = |(token, dots): (usize, &[i64; PANEL])| {
        let unit = lut.unit * x.scales[token];
        std::array::from_fn(|r| finish(dots[r], pair(norms, ScaleWidth::F32, r), unit))
    };
    tokens.zip(&dots).map(finished).collect()
}

/// What a column of codes stands for, in one plane of the codebook.
fn integers(lut: &[u8; 256], codes: [u8; PANEL]) -> [i16; PANEL] {
    codes.map(|code| i16::from(lut[usize::from(code)]) - OFFSET as i16)
}

/// Sums over columns, too few to leave 32 bits.
fn multiply<T: Copy + Into<i32>>(columns: &[[T; PANEL]], x: &[i16]) -> [i32; PANEL] {
    let mut dots = [0i32; PANEL];
    for (column, x) in columns.iter().zip(x) {
        for (dot, c) in dots.iter_mut().zip(column) {
            *dot += (*c).into() * i32::from(*x);
        }
    }
    dots
}

fn add(sums: &mut [i64; PANEL], dots: [i32; PANEL], factor: i64) {
    for (sum, dot) in sums.iter_mut().zip(dots) {
        *sum += factor * i64::from(dot);
    }
}

/// An MXTQ dot product from its exact integer.
#[inline(always)]
pub fn finish(dot: i64, norm: f32, unit: f32) -> f32 {
    dot as f32 * norm * unit
}

pub fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    match w.width {
        FloatWidth::F16 => numbers(w, panels, x, sink, |b| widen_f16(u16::from_le_bytes(b))),
        FloatWidth::Bf16 => numbers(w, panels, x, sink, |b| widen_bf16(u16::from_le_bytes(b))),
        FloatWidth::F32 => numbers(w, panels, x, sink, f32::from_le_bytes),
    }
}

/// [`float`] of numbers of `N` bytes.
fn numbers<const N: usize>(
    w: &FloatPanels,
    panels: Range<usize>,
    x: &[f32],
    sink: Sink<'_>,
    widen: impl Fn([u8; N]) -> f32,
) {
    for panel in panels {
        let (data, _) = w.panel(panel).as_chunks::<N>();
        for (token, x) in x.chunks_exact(w.cols.max(1)).enumerate() {
            let mut sums = [0.0f32; PANEL];
            for (column, x) in data.as_chunks::<PANEL>().0.iter().zip(x) {
                for (sum, number) in sums.iter_mut().zip(column) {
                    *sum = widen(*number).mul_add(*x, *sum);
                }
            }
            sink(token, panel, &sums);
        }
    }
}
