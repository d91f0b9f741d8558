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
mod random;
mod selftest;
mod spec;

pub use array::{Element, Elements, HostArray};
pub use cca::cca_dims;
pub use cca_decode::CCA_DECODE;
pub use cca_prefill::CCA_PREFILL;
pub use compare::{Comparison, compare, compare_all};
pub use random::Random;
pub use selftest::{Line, RANDOM_CALLS, Runner, Verdict, overall, selftest};
pub use spec::{Dims, KernelSpec, Port};

/// Every kernel.
pub static ALL: &[&KernelSpec] = &[&CCA_DECODE, &CCA_PREFILL];
