//! Row-wise and element-wise operations, all in f32.

use super::tensor::Tensor;
use crate::backend::MergeWeights;

use super::CpuBackend;

pub(super) fn rms_norm(x: &Tensor, gain: &[f32], eps: f32) -> Tensor {
    let mut data = Vec::with_capacity(x.data().len());
    for row in x.iter_rows() {
        let scale = (mean_square(row) + eps).sqrt().recip();
        data.extend(row.iter().zip(gain).map(|(v, g)| v * scale * g));
    }
    Tensor::new(x.rows(), x.cols(), data)
}

/// Added up in f64: one rounding whatever the width.
fn mean_square(row: &[f32]) -> f32 {
    let sum: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    (sum / row.len() as f64) as f32
}

/// The named rows, in that order.
pub(super) fn select_rows(x: &Tensor, rows: &[usize]) -> Tensor {
    let mut data = Vec::with_capacity(rows.len() * x.cols());
    for &row in rows {
        data.extend_from_slice(x.row(row));
    }
    Tensor::new(rows.len(), x.cols(), data)
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
    let data = gate.data().iter().zip(up.data());
    let data = data.map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
    Tensor::new(gate.rows(), gate.cols(), data)
}

pub(super) fn merge(
    residual: Option<&Tensor>,
    block: &Tensor,
    weights: &MergeWeights<CpuBackend>,
) -> Tensor {
    let (scale, bias) = &weights.hidden;
    let mut data = block.data().to_vec();
    for row in data.chunks_exact_mut(block.cols()) {
        for ((x, s), b) in row.iter_mut().zip(scale).zip(bias) {
            *x = (*x + b) * s;
        }
    }
    if let (Some(residual), Some((scale, bias))) = (residual, &weights.residual) {
        for (row, r) in data
            .chunks_exact_mut(block.cols())
            .zip(residual.iter_rows())
        {
            for (((x, r), s), b) in row.iter_mut().zip(r).zip(scale).zip(bias) {
                *x += (r + b) * s;
            }
        }
    }
    Tensor::new(block.rows(), block.cols(), data)
}
