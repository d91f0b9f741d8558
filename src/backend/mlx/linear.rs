//! Products with one matrix, and rows of it.

use mlx_rs::error::Exception;
use mlx_rs::{Array, ops};

use super::MlxBackend;
use super::fallback;
use super::mxtq;
use super::raw::{self, Codes};
use super::tensor::{Tensor, int};
use super::weight::{Store, Weight};

type Result<T> = std::result::Result<T, Exception>;

/// `x W^T + bias`
pub fn linear(b: &MlxBackend, w: &Weight, x: &Tensor, bias: Option<&Array>) -> Result<Array> {
    let y = match &w.store {
        Store::Dense(matrix) => ops::matmul(&x.array, matrix.transpose_axes(&[1, 0])?)?,
        Store::Quantized(q) => raw::quantized_matmul(&x.array, &q.codes(), q.how)?,
        Store::Mxtq(m) => mxtq::linear(b, w, m, x)?,
    };
    match bias {
        Some(bias) => y.add(bias),
        None => Ok(y),
    }
}

/// The rows `ids` of a matrix, in f32.
pub fn embed(w: &Weight, ids: &Array) -> Result<Array> {
    match &w.store {
        Store::Dense(matrix) => matrix.take_axis(ids, 0),
        Store::Quantized(q) => {
            let whole = q.codes();
            let codes = whole.codes.take_axis(ids, 0)?;
            let scales = whole.scales.take_axis(ids, 0)?;
            let biases = whole.biases.map(|b| b.take_axis(ids, 0)).transpose()?;
            let rows = Codes {
                codes: &codes,
                scales: &scales,
                biases: biases.as_ref(),
            };
            raw::dequantize(&rows, q.how)
        }
        Store::Mxtq(m) => {
            let words = m.packed.dim(2);
            let packed = m.packed.reshape(&[int(w.rows), words])?.take_axis(ids, 0)?;
            let norms = m.norms.reshape(&[int(w.rows)])?.take_axis(ids, 0)?;
            let codebook = &m.tables.codebook;
            let rotated = fallback::unpacked(&packed, codebook, &norms, m.bits, w.cols)?;
            fallback::rotate_back(&rotated, &m.tables.signs)
        }
    }
}
