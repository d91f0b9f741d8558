//! Weights on the device, in the form that the product for their format wants.

use std::sync::Arc;

use mlx_rs::Dtype;
use mlx_rs::error::Exception;

use super::raw::{Codes, Mode, Quantization};
use super::tensor::Resident;
use super::uploads::{Tables, Uploads};
use crate::quant::{Bytes, Format, MXFP4_GROUP, Matrix, MxtqTables, ScaleType, words_per_row};

type Result<T> = std::result::Result<T, Exception>;

/// A matrix, or a stack of matrices of one shape and format.
pub struct Weight {
    /// Matrices in the stack; 1 for a single one.
    pub experts: usize,
    pub rows: usize,
    pub cols: usize,
    pub store: Store,
}

pub enum Store {
    /// `[(experts,) rows, cols]`. f32: halves are widened once, here; only the
    /// taps of a convolution may be halves still.
    Dense(Resident),
    Quantized(Quantized),
    Mxtq(Mxtq),
}

/// For MLX's own quantized products.
pub struct Quantized {
    /// u32, `[(experts,) rows, words]`
    codes: Resident,
    /// In the activations' type, or e8m0 bytes.
    scales: Resident,
    biases: Option<Resident>,
    pub how: Quantization,
}

impl Quantized {
    pub fn codes(&self) -> Codes<'_> {
        Codes {
            codes: &self.codes,
            scales: &self.scales,
            biases: self.biases.as_deref(),
        }
    }
}

/// For our kernels; always a stack.
pub struct Mxtq {
    /// u32, `[experts, rows, words]`
    pub packed: Resident,
    /// f16 as stored, `[experts, rows]`
    pub norms: Resident,
    pub tables: Arc<Tables>,
    pub bits: usize,
}

/// Whether a lone matrix keeps a leading dimension of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leading {
    None,
    Experts,
}

impl Weight {
    /// # Errors
    /// If MLX can't take the data, or the matrices are not alike.
    pub fn new(uploads: &Uploads, matrices: &[&Matrix], leading: Leading) -> Result<Self> {
        let Some(first) = matrices.first() else {
            return Err(Exception::custom("a layer has no experts"));
        };
        let (rows, cols) = (first.rows, first.cols);
        if matrices.iter().any(|m| (m.rows, m.cols) != (rows, cols)) {
            return Err(Exception::custom(
                "the experts of a layer have different shapes",
            ));
        }
        let upload = Upload {
            uploads,
            matrices,
            leading,
            rows,
        };
        let store = match &first.format {
            Format::F32 => upload.dense(cols, Dtype::Float32)?,
            Format::F16 => upload.dense(cols, Dtype::Float16)?,
            Format::Bf16 => upload.dense(cols, Dtype::Bfloat16)?,
            &Format::Affine {
                bits, group, dtype, ..
            } => upload.affine(cols, bits, group, dtype)?,
            Format::Mxfp4 { .. } => upload.mxfp4(cols)?,
            Format::Mxtq { bits, tables, .. } => upload.mxtq(cols, *bits, tables)?,
        };
        Ok(Self {
            experts: matrices.len(),
            rows,
            cols,
            store,
        })
    }
}

impl Weight {
    /// A convolution's taps in the type they are stored in, for our kernels.
    ///
    /// # Errors
    /// If MLX can't take the data.
    pub fn as_stored(uploads: &Uploads, matrix: &Matrix) -> Result<Self> {
        let dtype = match matrix.format {
            Format::F16 => Dtype::Float16,
            Format::Bf16 => Dtype::Bfloat16,
            _ => return Self::new(uploads, &[matrix], Leading::None),
        };
        let shape = [matrix.rows, matrix.cols];
        Ok(Self {
            experts: 1,
            rows: matrix.rows,
            cols: matrix.cols,
            store: Store::Dense(uploads.array(&[&matrix.data], &shape, dtype)?),
        })
    }

    /// What stands in for a weight that MLX did not take: a model with it is
    /// refused before it runs.
    pub fn nothing(matrices: &[&Matrix]) -> Self {
        let (rows, cols) = matrices.first().map_or((0, 0), |m| (m.rows, m.cols));
        Self {
            experts: matrices.len(),
            rows,
            cols,
            store: Store::Dense(Resident::zeros(0)),
        }
    }
}

fn mixed() -> Exception {
    Exception::custom("the experts of a layer are stored in different formats")
}

struct Upload<'a> {
    uploads: &'a Uploads,
    matrices: &'a [&'a Matrix],
    leading: Leading,
    rows: usize,
}

impl Upload<'_> {
    /// `[(experts,) rows, last]`
    fn shape(&self, last: usize) -> Vec<usize> {
        match self.leading {
            Leading::None => vec![self.rows, last],
            Leading::Experts => vec![self.matrices.len(), self.rows, last],
        }
    }

    fn data(&self, last: usize, dtype: Dtype) -> Result<Resident> {
        let parts: Vec<&Bytes> = self.matrices.iter().map(|m| &m.data).collect();
        self.uploads.array(&parts, &self.shape(last), dtype)
    }

    fn dense(&self, cols: usize, dtype: Dtype) -> Result<Store> {
        let alike = |format: &Format| {
            matches!(
                (format, dtype),
                (Format::F32, Dtype::Float32)
                    | (Format::F16, Dtype::Float16)
                    | (Format::Bf16, Dtype::Bfloat16)
            )
        };
        let data = self.matrices.iter().map(|m| (&m.data, alike(&m.format)));
        let parts: Vec<&Bytes> = data
            .filter_map(|(data, alike)| alike.then_some(data))
            .collect();
        if parts.len() < self.matrices.len() {
            return Err(mixed());
        }
        let values = self.uploads.floats(&parts, &self.shape(cols), dtype)?;
        Ok(Store::Dense(values))
    }

    /// A further tensor of each matrix.
    fn part<'m>(&'m self, of: impl Fn(&'m Format) -> Option<&'m Bytes>) -> Result<Vec<&'m Bytes>> {
        let parts = self.matrices.iter().map(|m| of(&m.format));
        parts.collect::<Option<Vec<_>>>().ok_or_else(mixed)
    }

    fn affine(&self, cols: usize, bits: u32, group: usize, dtype: ScaleType) -> Result<Store> {
        let stored = match dtype {
            ScaleType::F16 => Dtype::Float16,
            ScaleType::Bf16 => Dtype::Bfloat16,
            ScaleType::F32 => Dtype::Float32,
        };
        // MLX multiplies in the type that activations, scales and biases have in
        // common; converted at every product, they would be a second matrix.
        let shape = self.shape(cols / group);
        let single = |parts: Vec<&Bytes>| self.uploads.floats(&parts, &shape, stored);
        let alike = |format: &Format| matches!(format, Format::Affine { bits: b, group: g, dtype: d, .. } if (*b, *g, *d) == (bits, group, dtype));
        let scales = self.part(|format| match format {
            Format::Affine { scales, .. } if alike(format) => Some(scales),
            _ => None,
        })?;
        let biases = self.part(|format| match format {
            Format::Affine { biases, .. } if alike(format) => Some(biases),
            _ => None,
        })?;
        Ok(Store::Quantized(Quantized {
            codes: self.data(cols * bits as usize / 32, Dtype::Uint32)?,
            scales: single(scales)?,
            biases: Some(single(biases)?),
            how: Quantization {
                group,
                bits,
                mode: Mode::Affine,
            },
        }))
    }

    fn mxfp4(&self, cols: usize) -> Result<Store> {
        let scales = self.part(|format| match format {
            Format::Mxfp4 { scales } => Some(scales),
            _ => None,
        })?;
        let shape = self.shape(cols / MXFP4_GROUP);
        Ok(Store::Quantized(Quantized {
            codes: self.data(cols / 8, Dtype::Uint32)?,
            scales: self.uploads.array(&scales, &shape, Dtype::Uint8)?,
            biases: None,
            how: Quantization {
                group: MXFP4_GROUP,
                bits: 4,
                mode: Mode::Mxfp4,
            },
        }))
    }

    fn mxtq(&self, cols: usize, bits: u32, tables: &Arc<MxtqTables>) -> Result<Store> {
        let norms = self.part(|format| match format {
            Format::Mxtq {
                bits: b,
                norms,
                tables: t,
            } if *b == bits && t == tables => Some(norms),
            _ => None,
        })?;
        let experts = self.matrices.len();
        let parts: Vec<&Bytes> = self.matrices.iter().map(|m| &m.data).collect();
        let words = [experts, self.rows, words_per_row(cols, bits)];
        Ok(Store::Mxtq(Mxtq {
            packed: self.uploads.array(&parts, &words, Dtype::Uint32)?,
            norms: self
                .uploads
                .array(&norms, &[experts, self.rows], Dtype::Float16)?,
            tables: self.uploads.tables(tables)?,
            bits: bits as usize,
        }))
    }
}
