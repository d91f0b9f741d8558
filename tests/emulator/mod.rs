//! Metal kernels on a CPU, for tests: `unit` turns a kernel's text into C++,
//! `runner` compiles and runs that, `shim/` is the part of Metal it is compiled
//! against; `lint` finds in a text (`tokens`, `text`, `constant`) what only Metal
//! refuses. `samples` are good kernels, `broken` ones with a mistake each,
//! `shim_tests` check numbers and functions, `lint_tests` the checks. `proving`
//! takes the emulator for a device that cairn starts on.

mod broken;
mod constant;
pub mod lint;
mod lint_tests;
mod proving;
pub mod runner;
pub mod samples;
mod shim_tests;
mod text;
pub mod tokens;
pub mod unit;
