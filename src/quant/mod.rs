//! Number formats: how a weight matrix lies in memory, and the reference
//! decoders and byte-exact encoders for each. Nothing here knows about files,
//! models or threads.

mod affine;
mod bytes;
mod codebook;
mod decode;
mod hadamard;
mod matrix;
mod mxfp4;
mod mxtq;
mod signs;
mod tables;
mod validate;

pub use affine::{AFFINE_BITS, AFFINE_GROUPS, Affine, encode_affine, pack_dense, unpack_dense};
pub use bytes::{Bytes, Memory, Owner};
pub use codebook::{boundaries, codebook};
pub use decode::{widen_bf16, widen_f16};
pub use hadamard::{blocks, rotate, rotate_back};
pub use matrix::{Format, Matrix, MxtqTables, ScaleType};
pub use mxfp4::MXFP4_GROUP;
pub use mxtq::{MXTQ_BITS, Mxtq, encode_mxtq, pack_words, unpack_words, words_per_row};
pub use signs::signs;
pub use validate::MatrixError;
