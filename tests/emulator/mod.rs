//! Metal kernels on a CPU, for tests. `unit` turns a kernel's text into C++,
//! `runner` compiles and runs that, `shim/` is the part of Metal it is compiled
//! against. What only Metal refuses, `lint` finds in a text (read by `tokens`,
//! `text` and `constant`), and `spaces` has clang find it.
//!
//! The rest proves the emulator itself: `samples` are good kernels, `broken` ones
//! with a mistake each, `shim_tests` check numbers and functions, `lint_tests` the
//! checks. It can't show registers, speed, Metal's fast arithmetic, or a barrier
//! that is missing beside a simd function: lanes meet in that here.
//!
//! `proving` takes the emulator for a device that cairn starts on.

mod broken;
mod constant;
pub mod lint;
mod lint_tests;
mod proving;
pub mod runner;
pub mod samples;
mod shim_tests;
pub mod spaces;
mod text;
pub mod tokens;
pub mod unit;
