//! Every kernel's computation in MLX's own operations: what runs where a kernel
//! can't, on MLX's CPU device for one. Slower, and in the same words: the inputs
//! and outputs are those of the kernel's spec.

mod cca;
mod mxtq;

use mlx_rs::Array;
use mlx_rs::error::Exception;

use crate::backend::kernels::{Dims, KernelSpec};

pub use mxtq::{rotate_back, unpacked};

type Result<T> = std::result::Result<T, Exception>;
type Fallback = fn(&Dims, &[&Array]) -> Result<Vec<Array>>;

/// By the name of the kernel that it replaces.
const TABLE: &[(&str, Fallback)] = &[
    ("hadamard_rotate", mxtq::rotate),
    ("mxtq_matvec", mxtq::product),
    ("mxtq_matmul", mxtq::product),
    ("mxtq_gate_up", mxtq::gate_up),
    ("mxtq_down", mxtq::down),
    ("cca_decode", cca::decode),
    ("cca_prefill", cca::prefill),
];

/// # Errors
/// If MLX refuses an operation.
pub fn run(spec: &KernelSpec, dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    match TABLE.iter().find(|(name, _)| *name == spec.name) {
        Some((_, fallback)) => fallback(dims, inputs),
        None => Err(Exception::custom(format!("{} has no fallback", spec.name))),
    }
}

fn wrong_inputs() -> Exception {
    Exception::custom("a kernel was given the inputs of another")
}
