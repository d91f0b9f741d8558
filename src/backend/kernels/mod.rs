//! The custom Metal kernels as data: for each its text, its signature, its
//! geometry, and the plain computation that it is checked against. Nothing here
//! needs a Mac: `backend::mlx` runs these on a device, the tests run them in an
//! emulator.

mod array;
mod compare;
mod random;
mod selftest;
mod spec;
mod verdicts;

pub use array::{Element, Elements, HostArray};
pub use compare::{Comparison, compare, compare_all};
pub use random::Random;
pub use selftest::{Line, RANDOM_CALLS, Runner, Verdict, overall, selftest};
pub use spec::{Dims, KernelSpec, Port};
pub use verdicts::{Key, Verdicts};

/// Every kernel.
pub static ALL: &[&KernelSpec] = &[];
