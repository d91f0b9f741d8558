//! Metal kernels on a CPU, for tests: `unit` turns a kernel's text into C++,
//! `runner` compiles and runs that, `shim/` is the part of Metal it is compiled
//! against, `samples` are kernels of its own to prove all this with.

pub mod runner;
pub mod samples;
pub mod tokens;
pub mod unit;
