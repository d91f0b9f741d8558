//! Products in f32 with weights as they are stored, row by row: the reference,
//! and what is used where there is no memory for panels.

mod decode;
mod matmul;

pub(super) use decode::RowWeight;
pub(super) use matmul::{linear, product};
