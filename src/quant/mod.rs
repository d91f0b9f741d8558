//! Number formats: how a weight matrix lies in memory, and the reference
//! decoders and byte-exact encoders for each. Nothing here knows about files,
//! models or threads.

mod bytes;
mod matrix;

pub use bytes::Bytes;
pub use matrix::{Format, Matrix, MxtqTables, ScaleType};
pub fn rotate(_x: &mut [f32], _signs: &[f32]) {}
