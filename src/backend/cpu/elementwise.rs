//! Row-wise and element-wise operations, all in f32.

use super::context::Context;
use super::level::per_level;
use super::math::exp16;
use super::output::Output;
use super::tensor::Tensor;
use crate::backend::MergeWeights;

use super::CpuBackend;
use super::buffer::Buffer;

/// Numbers below which a second thread does not pay.
const PARALLEL_FROM: usize = 1 << 14;

pub(super) fn rms_norm(cx: &Context, x: &Tensor, gain: &[f32], eps: f32) -> Tensor {
    let mut data = Buffer::of(x.data().len());
    let out = Output::new(&mut data, x.cols());
    cx.pool.run(x.rows(), grain(x.cols()), |rows| {
        for row in rows {
            // SAFETY: each row is one thread's.
            norm_row(cx.level, x.row(row), gain, eps, unsafe { out.row(row) });
        }
    });
    Tensor::new(x.rows(), x.cols(), data)
}

per_level! {
    pub(super) fn norm_row = norm_row_body(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32])
}

#[inline(always)]
fn norm_row_body(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let scale = (mean_square(x) + eps).sqrt().recip();
    for ((out, x), g) in out.iter_mut().zip(x).zip(gain) {
        *out = x * scale * g;
    }
}

/// Sums run in f64, in sixteen lanes and then lane by lane.
#[inline(always)]
fn mean_square(row: &[f32]) -> f32 {
    let mut lanes = [0.0f64; 16];
    add_squares(&mut lanes, row);
    mean_of(&lanes, row.len())
}

/// Column `i` counts in lane `i % 16`: but for the last one a part of a row has a
/// multiple of 16 columns.
#[inline(always)]
fn add_squares(lanes: &mut [f64; 16], part: &[f32]) {
    let (chunks, rest) = part.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
}

#[inline(always)]
fn mean_of(lanes: &[f64; 16], count: usize) -> f32 {
    let sum: f64 = lanes.iter().sum();
    (sum / count as f64) as f32
}

/// Rows of so many columns that a thread takes at once.
fn grain(cols: usize) -> usize {
    PARALLEL_FROM.div_ceil(cols.max(1))
}

pub(super) fn add_scaled(cx: &Context, x: &Tensor, y: &Tensor, scale: &[f32]) -> Tensor {
    let mut data = x.data().to_vec();
    for (x, y) in data.chunks_exact_mut(x.cols()).zip(y.iter_rows()) {
        add_row(cx.level, x, y, scale);
    }
    Tensor::new(x.rows(), x.cols(), data)
}

per_level! {
    /// `x += y * scale`
    pub(super) fn add_row = add_row_body(x: &mut [f32], y: &[f32], scale: &[f32])
}

#[inline(always)]
fn add_row_body(x: &mut [f32], y: &[f32], scale: &[f32]) {
    for ((x, y), s) in x.iter_mut().zip(y).zip(scale) {
        *x += y * s;
    }
}

/// `x * (1 + erf(x / sqrt 2)) / 2`
pub(super) fn gelu(cx: &Context, x: &Tensor) -> Tensor {
    let mut data = x.data().to_vec();
    let out = Output::new(&mut data, x.cols());
    cx.pool.run(x.rows(), grain(16 * x.cols()), |rows| {
        for row in rows {
            // SAFETY: each row is one thread's.
            gelu_row(cx.level, unsafe { out.row(row) });
        }
    });
    Tensor::new(x.rows(), x.cols(), data)
}

per_level! {
    pub(super) fn gelu_row = gelu_row_body(row: &mut [f32])
}

#[inline(always)]
fn gelu_row_body(row: &mut [f32]) {
    let (chunks, rest) = row.as_chunks_mut::<16>();
    for chunk in chunks {
        *chunk = gelu16(*chunk);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 16];
        last[..rest.len()].copy_from_slice(rest);
        rest.copy_from_slice(&gelu16(last)[..rest.len()]);
    }
}

/// The upper tail of the normal distribution, `erfc(|x| / sqrt 2) / 2`, is
/// `exp(-x^2 / 2)` times a polynomial without constant term in
/// `1 / (1 + TAIL_SCALE |x|)`: least squares at Chebyshev nodes of 0..6, with an
/// error of 4e-10.
const TAIL: [f32; 7] = [
    0.089_497_63,
    0.155_730_14,
    -0.154_701_35,
    0.626_634_1,
    -0.647_005_7,
    0.555_018_8,
    -0.125_173_53,
];
const TAIL_SCALE: f32 = 0.24;

// Loops, not closures: the optimiser leaves those out of the level's function, and
// then multiply-adds are calls.
#[inline(always)]
fn gelu16(x: [f32; 16]) -> [f32; 16] {
    let gauss = exp16(x.map(|x| -0.5 * x * x));
    let mut t = [0.0f32; 16];
    for (t, x) in t.iter_mut().zip(x) {
        *t = 1.0 / (1.0 + TAIL_SCALE * x.abs());
    }
    let mut polynomial = [0.0f32; 16];
    for c in TAIL.iter().rev() {
        for (sum, t) in polynomial.iter_mut().zip(t) {
            *sum = sum.mul_add(t, *c);
        }
    }
    let mut y = [0.0f32; 16];
    for i in 0..16 {
        let tail = x[i] * gauss[i] * polynomial[i] * t[i];
        // Of NaN neither holds, and NaN is what comes out.
        y[i] = if x[i] > 0.0 { x[i] - tail } else { tail };
    }
    y
}

pub(super) fn swiglu(gate: &Tensor, up: &Tensor) -> Tensor {
    let mut data = up.data().to_vec();
    silu_times_body(gate.data(), &mut data);
    Tensor::new(gate.rows(), gate.cols(), data)
}

per_level! {
    /// `up = silu(gate) * up`
    pub(super) fn silu_times = silu_times_body(gate: &[f32], up: &mut [f32])
}

#[inline(always)]
fn silu_times_body(gate: &[f32], up: &mut [f32]) {
    let (gates, gate_rest) = gate.as_chunks::<16>();
    let (ups, up_rest) = up.as_chunks_mut::<16>();
    for (g, u) in gates.iter().zip(ups) {
        *u = silu16(*g, *u);
    }
    if !up_rest.is_empty() {
        let (mut g, mut u) = ([0.0; 16], [0.0; 16]);
        g[..gate_rest.len()].copy_from_slice(gate_rest);
        u[..up_rest.len()].copy_from_slice(up_rest);
        up_rest.copy_from_slice(&silu16(g, u)[..up_rest.len()]);
    }
}

#[inline(always)]
fn silu16(gate: [f32; 16], up: [f32; 16]) -> [f32; 16] {
    let falling = exp16(gate.map(|g| -g));
    let mut y = [0.0f32; 16];
    for i in 0..16 {
        y[i] = up[i] * (gate[i] / (1.0 + falling[i]));
    }
    y
}

pub(super) fn merge(
    cx: &Context,
    residual: Option<&Tensor>,
    block: &Tensor,
    weights: &MergeWeights<CpuBackend>,
) -> Tensor {
    let mut data = Buffer::of(block.data().len());
    let out = Output::new(&mut data, block.cols());
    let hidden = (weights.hidden.0.as_slice(), weights.hidden.1.as_slice());
    cx.pool.run(block.rows(), grain(block.cols()), |rows| {
        for row in rows {
            let stream = match (residual, &weights.residual) {
                (Some(r), Some((scale, bias))) => {
                    Some((r.row(row), scale.as_slice(), bias.as_slice()))
                }
                _ => None,
            };
            // SAFETY: each row is one thread's.
            merge_row(cx.level, block.row(row), hidden, stream, unsafe {
                out.row(row)
            });
        }
    });
    Tensor::new(block.rows(), block.cols(), data)
}

per_level! {
    fn merge_row = merge_row_body(
        block: &[f32],
        hidden: (&[f32], &[f32]),
        residual: Option<(&[f32], &[f32], &[f32])>,
        out: &mut [f32],
    )
}

#[inline(always)]
fn merge_row_body(
    block: &[f32],
    (scale, bias): (&[f32], &[f32]),
    residual: Option<(&[f32], &[f32], &[f32])>,
    out: &mut [f32],
) {
    for (((out, x), s), b) in out.iter_mut().zip(block).zip(scale).zip(bias) {
        *out = (x + b) * s;
    }
    if let Some((residual, scale, bias)) = residual {
        for (((out, r), s), b) in out.iter_mut().zip(residual).zip(scale).zip(bias) {
            *out += (r + b) * s;
        }
    }
}

/// [`merge`] and the norm of its result, in the memory of what is merged: a prompt's
/// rows are far too many for the caches, so what counts is how many are touched.
pub(super) fn merge_norm(
    cx: &Context,
    residual: Option<Tensor>,
    block: Tensor,
    weights: &MergeWeights<CpuBackend>,
    gain: &[f32],
    eps: f32,
) -> (Tensor, Tensor) {
    let (rows, cols) = (block.rows(), block.cols());
    let weighted = residual.as_ref().and(weights.residual.as_ref());
    let merging = Merging {
        hidden: slices(&weights.hidden),
        residual: weighted.map(slices),
        gain,
        eps,
    };
    let mut block = block.into_data();
    let mut stream = match residual {
        Some(residual) => residual.into_data(),
        None => Buffer::of(block.len()),
    };
    let (normed, merged) = (
        Output::new(&mut block, cols),
        Output::new(&mut stream, cols),
    );
    cx.pool.run(rows, grain(cols), |rows| {
        for row in rows {
            // SAFETY: each row is one thread's.
            let (block, stream) = unsafe { (normed.row(row), merged.row(row)) };
            merge_norm_row(cx.level, block, stream, &merging);
        }
    });
    (
        Tensor::new(rows, cols, stream),
        Tensor::new(rows, cols, block),
    )
}

fn slices((scale, bias): &(Vec<f32>, Vec<f32>)) -> (&[f32], &[f32]) {
    (scale, bias)
}

/// Parameters of [`merge_norm`]; scales, then biases.
struct Merging<'a> {
    hidden: (&'a [f32], &'a [f32]),
    residual: Option<(&'a [f32], &'a [f32])>,
    gain: &'a [f32],
    eps: f32,
}

/// Columns that are merged, and then squared while they are near.
const PART: usize = 256;

per_level! {
    fn merge_norm_row = merge_norm_row_body(block: &mut [f32], stream: &mut [f32], w: &Merging<'_>)
}

/// `stream` is the residual, and becomes what is merged; `block` becomes its norm.
#[inline(always)]
fn merge_norm_row_body(block: &mut [f32], stream: &mut [f32], w: &Merging<'_>) {
    let mut lanes = [0.0f64; 16];
    let width = stream.len();
    for start in (0..width).step_by(PART) {
        let part = start..width.min(start + PART);
        let (scale, bias) = (&w.hidden.0[part.clone()], &w.hidden.1[part.clone()]);
        let (stream, block) = (&mut stream[part.clone()], &block[part.clone()]);
        let added = block
            .iter()
            .zip(scale)
            .zip(bias)
            .map(|((x, s), b)| (x + b) * s);
        match w.residual {
            Some((scale, bias)) => {
                let (scale, bias) = (&scale[part.clone()], &bias[part]);
                for (((r, s), b), x) in stream.iter_mut().zip(scale).zip(bias).zip(added) {
                    *r = x + (*r + b) * s;
                }
            }
            None => stream.iter_mut().zip(added).for_each(|(r, x)| *r = x),
        }
        add_squares(&mut lanes, stream);
    }
    let scale = (mean_of(&lanes, width) + w.eps).sqrt().recip();
    for ((out, x), g) in block.iter_mut().zip(stream).zip(w.gain) {
        *out = *x * scale * g;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::level::Level;
    use crate::backend::cpu::options::{CpuOptions, Instructions};
    use crate::backend::uniform;

    #[test]
    fn gelu_is_exact_to_seven_digits() {
        for i in -9000..9000 {
            let x = i as f32 * 1e-3;
            let exact = 0.5 * f64::from(x) * libm::erfc(-f64::from(x) / std::f64::consts::SQRT_2);
            let got = gelu16([x; 16])[3];
            let error = (f64::from(got) - exact).abs();
            assert!(error < 3e-7 * (1.0 + exact.abs()), "{x} {got} {exact}");
        }
        assert!(gelu16([f32::NAN; 16])[0].is_nan());
    }

    #[test]
    fn rows_of_any_width() {
        for width in [1, 15, 16, 17, 40] {
            let gate: Vec<f32> = (0..width).map(|i| i as f32 * 0.3 - 2.0).collect();
            let mut up: Vec<f32> = gate.iter().map(|g| g * 2.0 + 1.0).collect();
            let want: Vec<f32> = gate
                .iter()
                .zip(&up)
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            silu_times(Level::detect(Instructions::Amx), &gate, &mut up);
            for (got, want) in up.iter().zip(&want) {
                assert!((got - want).abs() < 1e-6 * (1.0 + want.abs()));
            }
        }
    }

    #[test]
    fn fused_merges_have_the_bits_of_the_small_ones() {
        let numbers = |count: usize, seed: u64| -> Vec<f32> {
            (0..count as u64)
                .map(|i| uniform(seed, i) as f32 - 0.5)
                .collect()
        };
        for instructions in [
            Instructions::Portable,
            Instructions::Avx2,
            Instructions::Amx,
        ] {
            let cx = Context::new(&CpuOptions {
                instructions: Some(instructions),
                ..CpuOptions::default()
            })
            .expect("threads");
            for (rows, cols) in [(1, 2048), (3, 300), (40, 512), (2, 7)] {
                let weights = MergeWeights::<CpuBackend> {
                    residual: Some((numbers(cols, 1), numbers(cols, 2))),
                    hidden: (numbers(cols, 3), numbers(cols, 4)),
                };
                let gain = numbers(cols, 5);
                let tensor = |seed| Tensor::new(rows, cols, numbers(rows * cols, seed));
                let block = tensor(6);
                for residual in [None, Some(tensor(7))] {
                    let merged = merge(&cx, residual.as_ref(), &block, &weights);
                    let normed = rms_norm(&cx, &merged, &gain, 1e-6);
                    // What others hold stays as it is.
                    let (again, twice) =
                        merge_norm(&cx, residual.clone(), block.clone(), &weights, &gain, 1e-6);
                    assert_eq!(block.data(), tensor(6).data());
                    assert_eq!((again.data(), twice.data()), (merged.data(), normed.data()));
                }
            }
        }
    }
}
