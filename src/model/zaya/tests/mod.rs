//! The forward pass against published reference values, and the cache contract
//! on a model small enough to try every position.

mod ahead;
mod golden;
mod rewind;
mod synthetic;
