//! Metal kernels on a CPU, for tests: `unit` turns a kernel's text into C++,
//! `runner` compiles and runs that, `shim/` is the part of Metal it is compiled
//! against; `lint` finds in
//! a text (`tokens`, `text`, `constant`) what only Metal refuses, `spaces`
//! has clang look for it. The rest proves the emulator itself: `samples` are good kernels,
//! `broken` ones with a mistake each, `shim_tests` check numbers and functions, `lint_tests` the checks.

mod broken;
mod constant;
pub mod lint;
mod lint_tests;
pub mod runner;
pub mod samples;
mod shim_tests;
pub mod spaces;
mod text;
pub mod tokens;
pub mod unit;
