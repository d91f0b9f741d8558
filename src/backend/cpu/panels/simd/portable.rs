//! The kernels in plain Rust: what a product means, and what processors without
//! kernels of their own run.

use std::ops::Range;

use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::lut::OFFSET;
use crate::backend::cpu::panels::{
    Activations, Encoding, FloatPanels, IntegerPanels, Lut, PANEL, Sink,
};
use crate::quant::{widen_bf16, widen_f16};

pub fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    for panel in panels {
        for token in tokens.clone() {
            let y = match &w.encoding {
                Encoding::Affine {
                    bits,
                    group,
                    scales,
                } => affine(w, panel, x, token, *group, *scales, |block, low, c, r| {
                    let _ = low;
                    match bits {
                        4 => nibble(block, c, r),
                        _ => block[c / 4 * 64 + r * 4 + c % 4],
                    }
                }),
                Encoding::Split { group, scales, .. } => {
                    affine(w, panel, x, token, *group, *scales, |block, low, c, r| {
                        split_nibble(block, c, r) << 4 | split_nibble(low, c, r)
                    })
                }
                Encoding::Mxtq { bits, lut } => mxtq(w, panel, x, token, *bits, lut),
            };
            sink(token, panel, &y);
        }
    }
}

/// Column `c`, in the kernel's order, of a block of 4-bit codes.
fn nibble(block: &[u8], c: usize, r: usize) -> u8 {
    let byte = block[c / 8 * 64 + r * 4 + c % 4];
    byte >> (4 * (c / 4 % 2)) & 15
}

/// Column `c` of a plane: here the order is the natural one, and a byte's two
/// nibbles are four columns apart, too.
fn split_nibble(plane: &[u8], c: usize, r: usize) -> u8 {
    nibble(plane, c, r)
}

fn integer_at(x: &Activations, token: usize, c: usize) -> i32 {
    match x.whole.get(token * x.width + c) {
        Some(&x) => i32::from(x),
        None => {
            let at = token * x.stride + c;
            128 * i32::from(x.high[at]) + i32::from(x.low[at])
        }
    }
}

fn affine(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    group: usize,
    scales: ScaleWidth,
    code: impl Fn(&[u8], &[u8], usize, usize) -> u8,
) -> [f32; PANEL] {
    let groups = w.width / group;
    let data = w.panel(panel);
    let block_bytes = data.len() / groups.max(1);
    let codes_bytes = block_bytes - scales.block_bytes();
    let mut sums = [0.0f32; PANEL];
    for g in 0..groups {
        let (block, pairs) = data[g * block_bytes..(g + 1) * block_bytes].split_at(codes_bytes);
        let low = match &w.encoding {
            Encoding::Split { low, .. } => {
                &low[(panel * groups + g) * codes_bytes..][..codes_bytes]
            }
            _ => &[],
        };
        let total = x.sums[token * groups + g] as f32;
        for (r, sum) in sums.iter_mut().enumerate() {
            let dot: i32 = (0..group)
                .map(|c| i32::from(code(block, low, c, r)) * integer_at(x, token, g * group + c))
                .sum();
            *sum = pair(pairs, scales, r).mul_add(dot as f32, *sum);
            *sum = pair(pairs, scales, PANEL + r).mul_add(total, *sum);
        }
    }
    sums.map(|sum| sum * x.scales[token])
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
    token: usize,
    bits: u32,
    lut: &Lut,
) -> [f32; PANEL] {
    let data = w.panel(panel);
    let (codes, norms) = data.split_at(data.len() - 4 * PANEL);
    let per_byte = 8 / bits as usize;
    let mask = ((1u32 << bits) - 1) as u8;
    let integer = |code: u8| {
        let high = i32::from(lut.high[usize::from(code)]) - OFFSET;
        match &lut.low {
            Some(low) => 128 * high + i32::from(low[usize::from(code)]) - OFFSET,
            None => high,
        }
    };
    std::array::from_fn(|r| {
        let mut dot = 0i64;
        for c in 0..w.width {
            let byte = codes[c / (4 * per_byte) * 64 + r * 4 + c % 4];
            let code = byte >> (bits as usize * (c / 4 % per_byte)) & mask;
            let x = integer_at(x, token, c);
            dot += i64::from(integer(code)) * i64::from(x);
        }
        let norm = pair(norms, ScaleWidth::F32, r);
        finish(dot, norm, lut.unit * x.scales[token])
    })
}

/// An MXTQ dot product from its exact integer.
#[inline(always)]
pub(super) fn finish(dot: i64, norm: f32, unit: f32) -> f32 {
    dot as f32 * norm * unit
}

pub fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let size = w.width.size();
    for panel in panels {
        let data = w.panel(panel);
        for (token, x) in x.chunks_exact(w.cols.max(1)).enumerate() {
            let mut sums = [0.0f32; PANEL];
            for (column, x) in data.chunks_exact(PANEL * size).zip(x) {
                for (sum, number) in sums.iter_mut().zip(column.chunks_exact(size)) {
                    let weight = match w.width {
                        FloatWidth::F16 => widen_f16(u16::from_le_bytes([number[0], number[1]])),
                        FloatWidth::Bf16 => widen_bf16(u16::from_le_bytes([number[0], number[1]])),
                        FloatWidth::F32 => {
                            f32::from_le_bytes([number[0], number[1], number[2], number[3]])
                        }
                    };
                    *sum = weight.mul_add(*x, *sum);
                }
            }
            sink(token, panel, &sums);
        }
    }
}
