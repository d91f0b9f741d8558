//! Operations on activations, number by number or row by row. On Metal each
//! function of numbers is one kernel that MLX makes of it: what bounds a step
//! there is the number of launches. MLX's CPU device would call a C++ compiler
//! at run time for that, so there they run as they are written.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;

use mlx_rs::error::Exception;
use mlx_rs::transforms::compile::compile;
use mlx_rs::{Array, fast, ops};

use super::MlxBackend;
use super::device::Kind;
use crate::backend::MergeWeights;

type Result<T> = std::result::Result<T, Exception>;

/// A function of numbers; arrays of its inputs broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `x + y * scale`
    AddScaled,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`
    Gelu,
    /// `silu(gate) * up`
    Swiglu,
    /// `(x + bias) * scale`
    FirstMerge,
    /// `(r + bias) * scale + (x + bias) * scale`
    Merge,
}

impl Function {
    #[cfg(test)]
    const ALL: [Self; 5] = [
        Self::AddScaled,
        Self::Gelu,
        Self::Swiglu,
        Self::FirstMerge,
        Self::Merge,
    ];

    /// In MLX's operations, one by one.
    pub fn plain(self, inputs: &[Array]) -> Result<Array> {
        match (self, inputs) {
            (Self::AddScaled, [x, y, scale]) => x.add(y.multiply(scale)?),
            (Self::Gelu, [x]) => {
                let scaled = x.multiply(Array::from_f32(std::f32::consts::FRAC_1_SQRT_2))?;
                x.multiply(Array::from_f32(0.5))?
                    .multiply(ops::erf(scaled)?.add(Array::from_f32(1.0))?)
            }
            (Self::Swiglu, [gate, up]) => gate.multiply(ops::sigmoid(gate)?)?.multiply(up),
            (Self::FirstMerge, [x, scale, bias]) => x.add(bias)?.multiply(scale),
            (Self::Merge, [x, scale, bias, r, r_scale, r_bias]) => {
                let hidden = x.add(bias)?.multiply(scale)?;
                r.add(r_bias)?.multiply(r_scale)?.add(hidden)
            }
            _ => Err(Exception::custom("a function with the inputs of another")),
        }
    }

    /// As one kernel.
    pub fn fused(self, inputs: &[Array]) -> Result<Array> {
        COMPILED.with_borrow_mut(|all| {
            let function = all.entry(self).or_insert_with(|| {
                let body = move |inputs: &[Array]| self.plain(inputs).map(|y| vec![y]);
                // Whatever the number of rows.
                Box::new(compile(body, true))
            });
            let outputs = function(inputs)?;
            let output = outputs.into_iter().next();
            output.ok_or_else(|| Exception::custom("a function gave no result"))
        })
    }

    pub fn call(self, kind: Kind, inputs: &[&Array]) -> Result<Array> {
        let inputs: Vec<Array> = inputs.iter().map(|&input| input.clone()).collect();
        match kind {
            Kind::Metal => self.fused(&inputs),
            Kind::Cpu => self.plain(&inputs),
        }
    }
}

type Compiled = Box<dyn FnMut(&[Array]) -> Result<Vec<Array>>>;

thread_local! {
    /// The backend's thread is the only one that has any. Never freed: the thread
    /// may end while the process does, when MLX's own statics are gone already.
    static COMPILED: RefCell<ManuallyDrop<HashMap<Function, Compiled>>> = RefCell::default();
}

pub fn swiglu(kind: Kind, gate: &Array, up: &Array) -> Result<Array> {
    Function::Swiglu.call(kind, &[gate, up])
}

pub fn rms_norm(x: &Array, gain: &Array, eps: f32) -> Result<Array> {
    fast::rms_norm(x, Some(gain), eps)
}

pub fn merge(
    kind: Kind,
    residual: Option<&Array>,
    block: &Array,
    weights: &MergeWeights<MlxBackend>,
) -> Result<Array> {
    let (scale, bias) = &weights.hidden;
    match (residual, &weights.residual) {
        (Some(residual), Some((r_scale, r_bias))) => {
            let inputs = [block, &**scale, bias, residual, r_scale, r_bias];
            Function::Merge.call(kind, &inputs)
        }
        _ => Function::FirstMerge.call(kind, &[block, &**scale, bias]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fusing needs a C++ compiler on MLX's CPU device, as building MLX did; on
    /// Metal the same graph is compiled by the system.
    #[test]
    fn fused_functions_are_the_plain_ones() {
        let rows = |seed: i32, rows: i32| {
            let values: Vec<f32> = (0..rows * 5)
                .map(|i| ((i * 7 + seed) % 11) as f32 - 5.0)
                .collect();
            Array::from_slice(&values, &[rows, 5])
        };
        let vector = |seed: i32| rows(seed, 1).reshape(&[5]).unwrap();
        for count in [1, 3, 1] {
            let (x, y) = (rows(1, count), rows(2, count));
            for function in Function::ALL {
                let inputs = match function {
                    Function::AddScaled => vec![x.clone(), y.clone(), vector(3)],
                    Function::Gelu => vec![x.clone()],
                    Function::Swiglu => vec![x.clone(), y.clone()],
                    Function::FirstMerge => vec![x.clone(), vector(3), vector(4)],
                    Function::Merge => {
                        let last = [vector(5), vector(6)];
                        [
                            vec![x.clone(), vector(3), vector(4), y.clone()],
                            last.to_vec(),
                        ]
                        .concat()
                    }
                };
                let plain: Vec<f32> = function.plain(&inputs).unwrap().to_vec_exact().unwrap();
                let fused: Vec<f32> = function.fused(&inputs).unwrap().to_vec_exact().unwrap();
                assert_eq!(plain.len(), count as usize * 5);
                for (a, b) in plain.iter().zip(&fused) {
                    assert!((a - b).abs() <= 1e-5, "{function:?}: {plain:?}, {fused:?}");
                }
            }
        }
    }
}
