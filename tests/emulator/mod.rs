//! Metal kernels on a CPU, for tests: `unit` turns a kernel's text into C++,
//! `runner` compiles and runs that, `shim/` is the part of Metal it is compiled
//! against. The rest proves the emulator itself: `samples` are good kernels,
//! `broken` ones with a mistake each, `shim_tests` check numbers and functions.

mod broken;
pub mod runner;
pub mod samples;
mod shim_tests;
pub mod tokens;
pub mod unit;
