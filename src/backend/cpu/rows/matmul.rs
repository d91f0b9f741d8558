//! Matrix products with stored weights. A weight row is decoded once into a
//! scratch row and multiplied with all activation rows. Each dot product adds
//! in one fixed order whatever the batch, the number of threads or the
//! instruction set, so results are equal bit for bit.

use super::decode::RowWeight;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::{Level, per_level};
use crate::backend::cpu::output::Output;
use crate::backend::cpu::tensor::Tensor;
use crate::quant;

/// Partial sums per dot product; fixed, as it decides the order of additions.
const LANES: usize = 32;

/// Activation rows that share one pass over a decoded weight row.
const TILE: usize = 4;

/// Multiplications below which a product is not worth a second thread.
const PARALLEL_FROM: usize = 1 << 17;

/// `x W^T` (+ bias), `[x.rows, weight.rows]`.
pub(in crate::backend::cpu) fn linear(
    cx: &Context,
    weight: &RowWeight,
    x: &Tensor,
    bias: Option<&[f32]>,
) -> Tensor {
    let rotated = rotated(cx, weight, x);
    let x = rotated.as_ref().unwrap_or(x);
    let (rows, out) = (x.rows(), weight.matrix.rows);
    let mut data = product(cx, weight, 0..out, x.data(), rows);
    if let Some(bias) = bias {
        for row in data.chunks_exact_mut(out) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y += b;
            }
        }
    }
    Tensor::new(rows, out, data)
}

/// `x` in the weight's basis, if that is not the standard one.
fn rotated(cx: &Context, weight: &RowWeight, x: &Tensor) -> Option<Tensor> {
    let signs = weight.signs()?;
    let mut data = x.data().to_vec();
    let rows = Output::new(&mut data, x.cols());
    let grain = PARALLEL_FROM.div_ceil(x.cols().max(1));
    cx.pool.run(x.rows(), grain, |part| {
        for row in part {
            // SAFETY: each row is one thread's.
            quant::rotate(unsafe { rows.row(row) }, signs);
        }
    });
    Some(Tensor::new(x.rows(), x.cols(), data))
}

/// Rows `range` of the weight times `rows` rows of `x` (already in the weight's
/// basis): `[rows, range.len()]`.
pub(in crate::backend::cpu) fn product(
    cx: &Context,
    weight: &RowWeight,
    range: std::ops::Range<usize>,
    x: &[f32],
    rows: usize,
) -> Vec<f32> {
    let out = range.len();
    // Weight-row major while threads write, activation-row major in the end.
    let mut transposed = vec![0.0; out * rows];
    if rows == 0 || out == 0 {
        return transposed;
    }
    let grain = PARALLEL_FROM.div_ceil(rows * weight.matrix.cols).max(8);
    let output = Output::new(&mut transposed, rows);
    cx.pool.run(out, grain, |part| {
        // SAFETY: each weight row is one thread's.
        let results = part.map(|row| (row, unsafe { output.row(row) }));
        products(cx.level, weight, range.start, x, results);
    });
    if rows == 1 {
        return transposed;
    }
    let mut data = vec![0.0; out * rows];
    for (r, row) in data.chunks_exact_mut(out).enumerate() {
        for (y, column) in row.iter_mut().zip(transposed.chunks_exact(rows)) {
            *y = column[r];
        }
    }
    data
}

/// Weight rows, counted from `first`, each with where its products go.
fn products<'a>(
    level: Level,
    weight: &RowWeight,
    first: usize,
    x: &[f32],
    results: impl Iterator<Item = (usize, &'a mut [f32])>,
) {
    let mut w = vec![0.0f32; weight.matrix.cols];
    for (row, out) in results {
        weight.decode(level, first + row, &mut w);
        multiply(level, &w, weight.row_scale(first + row), x, out);
    }
}

per_level! {
    /// One decoded weight row with as many rows of `x` as `out` holds.
    fn multiply = multiply_body(w: &[f32], scale: f32, x: &[f32], out: &mut [f32])
}

// Kept apart from decoding: in one function the optimiser gives up on vectors.
#[inline(always)]
fn multiply_body(w: &[f32], scale: f32, x: &[f32], out: &mut [f32]) {
    let cols = w.len();
    let (tiles, rest) = out.as_chunks_mut::<TILE>();
    let (x_tiles, x_rest) = x.split_at(tiles.len() * TILE * cols);
    for (y, x) in tiles.iter_mut().zip(x_tiles.chunks_exact(TILE * cols)) {
        let x: [&[f32]; TILE] = std::array::from_fn(|r| &x[r * cols..(r + 1) * cols]);
        *y = dots(w, x).map(|d| d * scale);
    }
    for (y, x) in rest.iter_mut().zip(x_rest.chunks_exact(cols)) {
        *y = dots(w, [x])[0] * scale;
    }
}

/// Dot products of `w` with several rows, each added up in the same order:
/// lane `i % LANES` first, then the lanes pairwise.
#[inline(always)]
pub(in crate::backend::cpu) fn dots<const R: usize>(w: &[f32], x: [&[f32]; R]) -> [f32; R] {
    let (chunks, tail) = w.as_chunks::<LANES>();
    let x_chunks: [&[[f32; LANES]]; R] =
        std::array::from_fn(|r| &x[r].as_chunks::<LANES>().0[..chunks.len()]);
    let mut sums = [[0.0f32; LANES]; R];
    for (i, w) in chunks.iter().enumerate() {
        for r in 0..R {
            sums[r] = multiply_add(sums[r], w, &x_chunks[r][i]);
        }
    }
    let done = chunks.len() * LANES;
    for (sums, x) in sums.iter_mut().zip(&x) {
        for (l, w) in tail.iter().enumerate() {
            sums[l] += w * x[done + l];
        }
    }
    sums.map(reduce)
}

/// Not fused: the bits must not depend on whether the processor can.
#[inline(always)]
fn multiply_add(sum: [f32; LANES], w: &[f32; LANES], x: &[f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|l| sum[l] + w[l] * x[l])
}

#[inline(always)]
fn reduce(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            sums[l] += sums[l + width];
        }
        width /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::options::CpuOptions;
    use crate::quant::{Bytes, Format, Matrix};

    fn numbers(len: usize, seed: u64) -> Vec<f32> {
        (0..len as u64)
            .map(|i| (crate::backend::uniform(seed, i) * 2.0 - 1.0) as f32)
            .collect()
    }

    #[test]
    fn every_instruction_set_and_tile_gives_the_same_bits() {
        let (rows, cols, out) = (7, 75, 9);
        let values = numbers(out * cols, 1);
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let matrix = Matrix {
            rows: out,
            cols,
            data: Bytes::from_vec(data),
            format: Format::F32,
        };
        let weight = RowWeight::new(&matrix);
        let x = Tensor::new(rows, cols, numbers(rows * cols, 2));
        let at = |level: Level| {
            let options = CpuOptions {
                threads: 2,
                instructions: Some(level.instructions()),
                ..CpuOptions::default()
            };
            Context::new(&options).expect("threads")
        };
        let want = linear(&at(Level::Baseline), &weight, &x, None);
        for (r, row) in want.iter_rows().enumerate() {
            for (o, y) in row.iter().enumerate() {
                let exact: f64 = (0..cols)
                    .map(|c| f64::from(values[o * cols + c]) * f64::from(x.row(r)[c]))
                    .sum();
                assert!((f64::from(*y) - exact).abs() < 1e-5);
            }
        }
        for level in Level::available() {
            let cx = at(level);
            let all = linear(&cx, &weight, &x, None);
            assert_eq!(all.data(), want.data(), "{level:?}");
            for r in 0..rows {
                let single = Tensor::new(1, cols, x.row(r).to_vec());
                assert_eq!(linear(&cx, &weight, &single, None).data(), want.row(r));
            }
        }
    }
}
