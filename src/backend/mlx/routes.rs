//! The router's choice, on the device.

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, ops};

use super::tensor::{Tensor, int};
use crate::backend::SkipMode;

type Result<T> = std::result::Result<T, Exception>;

/// The chosen class of each row and its probability.
#[derive(Clone)]
pub struct Routes {
    /// u32, `[rows]`
    pub classes: Array,
    /// f32, `[rows]`
    pub weights: Array,
    pub rows: usize,
}

impl Routes {
    /// Class 0 for every row.
    pub fn zeros(rows: usize) -> Self {
        Self {
            classes: Array::from_slice(&vec![0u32; rows], &[int(rows)]),
            weights: super::faults::zeros(&[rows]),
            rows,
        }
    }
}

/// Softmax; the arg-max of probability plus bias, the lowest index on ties.
pub fn choose(logits: &Tensor, biases: &Array) -> Result<Routes> {
    let p = ops::softmax_axis(&logits.array, -1, true)?;
    let classes = ops::indexing::argmax_axis(p.add(biases)?, -1, true)?;
    let weights = ops::indexing::take_along_axis(&p, &classes, -1)?;
    let rows = int(logits.rows);
    Ok(Routes {
        classes: classes.reshape(&[rows])?.as_dtype(Dtype::Uint32)?,
        weights: weights.reshape(&[rows])?,
        rows: logits.rows,
    })
}

/// Whether each row has an expert, as `[rows, 1]`.
pub fn routed(routes: &Routes, experts: usize) -> Result<Array> {
    routes
        .classes
        .lt(Array::from_slice(&[experts as u32], &[1]))?
        .reshape(&[int(routes.rows), 1])
}

/// `weight * y`; for skipped rows `weight * x`, or zero.
pub fn combine(
    y: &Array,
    x: &Array,
    routes: &Routes,
    experts: usize,
    skip: SkipMode,
) -> Result<Array> {
    let from = match skip {
        SkipMode::ScaledInput => ops::select(routed(routes, experts)?, y, x)?,
        SkipMode::Zero => ops::select(routed(routes, experts)?, y, Array::from_f32(0.0))?,
    };
    from.multiply(routes.weights.reshape(&[int(routes.rows), 1])?)
}
