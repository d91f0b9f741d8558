//! Operations on activations, number by number or row by row.

use mlx_rs::error::Exception;
use mlx_rs::{Array, fast, ops};

use super::MlxBackend;
use crate::backend::MergeWeights;

type Result<T> = std::result::Result<T, Exception>;

/// `x + y * scale`
pub fn add_scaled(x: &Array, y: &Array, scale: &Array) -> Result<Array> {
    x.add(y.multiply(scale)?)
}

/// `x / 2 * (1 + erf(x / sqrt(2)))`
pub fn gelu(x: &Array) -> Result<Array> {
    let erf = ops::erf(x.multiply(Array::from_f32(std::f32::consts::FRAC_1_SQRT_2))?)?;
    x.multiply(Array::from_f32(0.5))?
        .multiply(erf.add(Array::from_f32(1.0))?)
}

pub fn swiglu(gate: &Array, up: &Array) -> Result<Array> {
    gate.multiply(ops::sigmoid(gate)?)?.multiply(up)
}

pub fn rms_norm(x: &Array, gain: &Array, eps: f32) -> Result<Array> {
    fast::rms_norm(x, Some(gain), eps)
}

pub fn merge(
    residual: Option<&Array>,
    block: &Array,
    weights: &MergeWeights<MlxBackend>,
) -> Result<Array> {
    let (scale, bias) = &weights.hidden;
    let hidden = block.add(&**bias)?.multiply(&**scale)?;
    match (residual, &weights.residual) {
        (Some(residual), Some((scale, bias))) => {
            residual.add(&**bias)?.multiply(&**scale)?.add(hidden)
        }
        _ => Ok(hidden),
    }
}
