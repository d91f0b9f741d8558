//! Row-wise and element-wise operations, all in f32.

use super::context::Context;
use super::level::per_level;
use super::output::Output;
use super::tensor::Tensor;
use crate::backend::MergeWeights;

use super::CpuBackend;

/// Numbers below which a second thread does not pay.
const PARALLEL_FROM: usize = 1 << 14;

pub(super) fn rms_norm(cx: &Context, x: &Tensor, gain: &[f32], eps: f32) -> Tensor {
    let mut data = vec![0.0; x.data().len()];
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
    fn norm_row = norm_row_body(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32])
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
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
    let sum: f64 = lanes.iter().sum();
    (sum / row.len() as f64) as f32
}

/// Rows of so many columns that a thread takes at once.
fn grain(cols: usize) -> usize {
    PARALLEL_FROM.div_ceil(cols.max(1))
}

pub(super) fn concat(a: &Tensor, b: &Tensor) -> Tensor {
    let mut data = Vec::with_capacity(a.data().len() + b.data().len());
    for (a, b) in a.iter_rows().zip(b.iter_rows()) {
        data.extend_from_slice(a);
        data.extend_from_slice(b);
    }
    Tensor::new(a.rows(), a.cols() + b.cols(), data)
}

pub(super) fn add_scaled(x: &Tensor, y: &Tensor, scale: &[f32]) -> Tensor {
    let mut data = x.data().to_vec();
    for (x, y) in data.chunks_exact_mut(x.cols()).zip(y.iter_rows()) {
        for ((x, y), s) in x.iter_mut().zip(y).zip(scale) {
            *x += y * s;
        }
    }
    Tensor::new(x.rows(), x.cols(), data)
}

/// `x * (1 + erf(x / sqrt 2)) / 2`
pub(super) fn gelu(x: &Tensor) -> Tensor {
    let gelu = |&v: &f32| {
        let v = f64::from(v);
        (0.5 * v * (1.0 + libm::erf(v * std::f64::consts::FRAC_1_SQRT_2))) as f32
    };
    Tensor::new(x.rows(), x.cols(), x.data().iter().map(gelu).collect())
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
    for (g, u) in gate.iter().zip(up) {
        *u *= g / (1.0 + (-g).exp());
    }
}

pub(super) fn merge(
    cx: &Context,
    residual: Option<&Tensor>,
    block: &Tensor,
    weights: &MergeWeights<CpuBackend>,
) -> Tensor {
    let mut data = vec![0.0; block.data().len()];
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
