//! The custom Metal kernels as data: for each its text, its signature, its
//! geometry, and the plain computation that it is checked against. Nothing here
//! needs a Mac: `backend::mlx` runs these on a device, the tests run them in an
//! emulator.
//!
//! What a kernel's text has to mind beyond C++: an input of fewer than eight
//! elements is in the `constant` address space, so helpers are templates over
//! the type of such pointers, and no `?:` mixes their elements with `device`
//! ones. Simd operations and barriers are reached by all lanes or none. Arrays
//! in registers are indexed by unrolled loops only. Threadgroup arrays are
//! declared in the body, not in helpers. MLX passes `NAME_shape` and the thread
//! attributes that the body mentions; helpers get them as arguments.

mod array;
mod cca;
mod cca_decode;
mod cca_prefill;
mod cca_reference;
#[cfg(test)]
mod cca_tests;
mod compare;
pub mod dispatch;
mod experts;
mod hadamard;
mod mxtq_down;
mod mxtq_gate_up;
mod mxtq_matmul;
mod mxtq_matvec;
mod prove;
mod random;
mod selftest;
mod spec;
mod verdicts;

pub use array::{Element, Elements, HostArray};
pub use cca::cca_dims;
pub use cca_decode::CCA_DECODE;
pub use cca_prefill::CCA_PREFILL;
pub use compare::{Comparison, compare, compare_all};
pub use experts::expert_dims;
pub use hadamard::HADAMARD_ROTATE;
pub use mxtq_down::MXTQ_DOWN;
pub use mxtq_gate_up::MXTQ_GATE_UP;
pub use mxtq_matmul::MXTQ_MATMUL;
pub use mxtq_matvec::MXTQ_MATVEC;
pub use prove::{Proof, Record, SEED, prove};
pub use random::Random;
pub use selftest::{Line, RANDOM_CALLS, Runner, Verdict, calls, overall, selftest};
pub use spec::{Dims, KernelSpec, Port};
pub use verdicts::{Key, Verdicts};

/// Every kernel.
pub static ALL: &[&KernelSpec] = &[
    &HADAMARD_ROTATE,
    &MXTQ_MATVEC,
    &MXTQ_GATE_UP,
    &MXTQ_DOWN,
    &MXTQ_MATMUL,
    &CCA_DECODE,
    &CCA_PREFILL,
];
