//! Matrix products with stored weights. A weight row is decoded once into a
//! scratch row and multiplied with all activation rows. Each dot product adds
//! in one fixed order whatever the batch, the number of threads or the
//! instruction set, so results are equal bit for bit.

use rayon::prelude::*;

use super::decode::Weight;
use super::level::{Level, per_level};
use super::tensor::Tensor;
use crate::quant;

/// Partial sums per dot product; fixed, as it decides the order of additions.
const LANES: usize = 32;

/// Activation rows that share one pass over a decoded weight row.
const TILE: usize = 4;

/// Multiplications below which a product is not worth a second thread.
const PARALLEL_FROM: usize = 1 << 17;

/// `x W^T` (+ bias), `[x.rows, weight.rows]`.
pub(super) fn linear(level: Level, weight: &Weight, x: &Tensor, bias: Option<&[f32]>) -> Tensor {
    let rotated = rotated(weight, x);
    let x = rotated.as_ref().unwrap_or(x);
    let (rows, out) = (x.rows(), weight.matrix.rows);
    let mut data = product(level, weight, 0..out, x.data(), rows);
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
pub(super) fn rotated(weight: &Weight, x: &Tensor) -> Option<Tensor> {
    let signs = weight.signs()?;
    let mut data = x.data().to_vec();
    let rotate = |row: &mut [f32]| quant::rotate(row, signs);
    if data.len() >= PARALLEL_FROM {
        data.par_chunks_exact_mut(x.cols()).for_each(rotate);
    } else {
        data.chunks_exact_mut(x.cols()).for_each(rotate);
    }
    Some(Tensor::new(x.rows(), x.cols(), data))
}

/// Rows `range` of the weight times `rows` rows of `x` (already in the weight's
/// basis): `[rows, range.len()]`.
pub(super) fn product(
    level: Level,
    weight: &Weight,
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
    let threads = rayon::current_num_threads();
    if threads == 1 || out * rows * weight.matrix.cols < PARALLEL_FROM {
        products(level, weight, range.start, x, rows, &mut transposed);
    } else {
        let chunk = out.div_ceil(threads * 4).max(8);
        transposed
            .par_chunks_mut(chunk * rows)
            .enumerate()
            .for_each(|(i, part)| products(level, weight, range.start + i * chunk, x, rows, part));
    }
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

/// Weight rows from `first` on, as many as `out` (`[weight rows, rows]`) holds.
fn products(level: Level, weight: &Weight, first: usize, x: &[f32], rows: usize, out: &mut [f32]) {
    let mut w = vec![0.0f32; weight.matrix.cols];
    for (i, out) in out.chunks_exact_mut(rows).enumerate() {
        weight.decode(level, first + i, &mut w);
        multiply(level, &w, weight.row_scale(first + i), x, out);
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
pub(super) fn dots<const R: usize>(w: &[f32], x: [&[f32]; R]) -> [f32; R] {
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
        let weight = Weight::new(&matrix);
        let x = Tensor::new(rows, cols, numbers(rows * cols, 2));
        let want = linear(Level::Baseline, &weight, &x, None);
        for (r, row) in want.iter_rows().enumerate() {
            for (o, y) in row.iter().enumerate() {
                let exact: f64 = (0..cols)
                    .map(|c| f64::from(values[o * cols + c]) * f64::from(x.row(r)[c]))
                    .sum();
                assert!((f64::from(*y) - exact).abs() < 1e-5);
            }
        }
        for level in Level::available() {
            assert_eq!(
                linear(level, &weight, &x, None).data(),
                want.data(),
                "{level:?}"
            );
            for r in 0..rows {
                let single = Tensor::new(1, cols, x.row(r).to_vec());
                assert_eq!(linear(level, &weight, &single, None).data(), want.row(r));
            }
        }
    }
}
