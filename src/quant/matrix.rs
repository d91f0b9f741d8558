//! A weight matrix in the format it is stored in: what a bundle hands to a
//! backend. The codes stay where the file was mapped.

use std::sync::Arc;

use super::Bytes;

/// How the bytes of a [`Matrix`] are to be read.
#[derive(Clone, Debug)]
pub enum Format {
    F32,
    F16,
    Bf16,
    /// MLX affine: `scale * q + bias` over groups of `group` inputs; `q` is a
    /// dense little-endian bit stream per row. `scales` and `biases` hold
    /// `cols / group` numbers per row.
    Affine {
        bits: u32,
        group: usize,
        scales: Bytes,
        biases: Bytes,
        dtype: ScaleType,
    },
    /// MXTQ: `norm[row] * codebook[code]` in the rotated basis; `32 / bits`
    /// codes per u32. `norms` holds one F16 per row.
    Mxtq {
        bits: u32,
        norms: Bytes,
        tables: Arc<MxtqTables>,
    },
    /// OCP MX e2m1 codes with one e8m0 scale (U8) per 32 inputs.
    Mxfp4 {
        scales: Bytes,
    },
}

/// Element type of affine scales and biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleType {
    F16,
    Bf16,
    F32,
}

/// What all MXTQ matrices of one input width, seed and code width share.
#[derive(Debug, PartialEq)]
pub struct MxtqTables {
    /// +1 or -1 for each input.
    pub signs: Vec<f32>,
    /// `2^bits` centroids, ascending.
    pub codebook: Vec<f32>,
}

/// A matrix of `[rows, cols]` (outputs x inputs), row-major.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    /// Codes or floats of all rows, little-endian, no padding between rows;
    /// not necessarily aligned.
    pub data: Bytes,
    pub format: Format,
}
