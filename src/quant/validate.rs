//! What a matrix must satisfy before anything computes with it. Bundles come
//! from anywhere: after these checks no decode can go out of bounds, and no
//! scale can turn a whole layer into NaN.

use super::mxfp4::MXFP4_GROUP;
use super::{
    AFFINE_BITS, AFFINE_GROUPS, Bytes, Format, MXTQ_BITS, Matrix, ScaleType, words_per_row,
};

/// Why a matrix cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum MatrixError {
    #[error("{rows} x {cols} is not a shape a matrix can have")]
    Shape { rows: usize, cols: usize },
    #[error("{part} is {found} bytes long, {expected} expected")]
    Length {
        part: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("{format} codes of {bits} bits do not exist")]
    Bits { format: &'static str, bits: u32 },
    #[error("groups of {group} do not exist or do not divide {cols} inputs")]
    Group { group: usize, cols: usize },
    #[error("the {part} of row {row} is {value}: the file is damaged")]
    Value {
        part: &'static str,
        row: usize,
        value: f32,
    },
    #[error("the {part} table has {found} entries, {expected} expected")]
    Table {
        part: &'static str,
        found: usize,
        expected: usize,
    },
}

impl Matrix {
    /// Bytes of one row's codes or floats.
    pub fn row_bytes(&self) -> usize {
        match &self.format {
            Format::F32 => self.cols * 4,
            Format::F16 | Format::Bf16 => self.cols * 2,
            Format::Affine { bits, .. } => self.cols / 8 * *bits as usize,
            Format::Mxtq { bits, .. } => words_per_row(self.cols, *bits) * 4,
            Format::Mxfp4 { .. } => self.cols / 2,
        }
    }

    /// Bytes that `data` must have.
    pub fn data_bytes(&self) -> usize {
        self.rows * self.row_bytes()
    }

    /// All parts: codes or floats, scales, biases and norms.
    fn parts(&self) -> impl Iterator<Item = &Bytes> {
        let beside: [Option<&Bytes>; 2] = match &self.format {
            Format::F32 | Format::F16 | Format::Bf16 => [None, None],
            Format::Affine { scales, biases, .. } => [Some(scales), Some(biases)],
            Format::Mxtq { norms, .. } => [Some(norms), None],
            Format::Mxfp4 { scales } => [Some(scales), None],
        };
        std::iter::once(&self.data).chain(beside.into_iter().flatten())
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> usize {
        self.parts().map(|part| part.len()).sum()
    }

    /// All parts will be read, soon and once.
    pub fn will_read(&self) {
        self.parts().for_each(Bytes::will_read);
    }

    /// All parts will hardly be read again.
    pub fn release(&self) {
        self.parts().for_each(Bytes::release);
    }

    /// Checks widths, lengths and tables, and that every scale, bias and norm
    /// is finite (norms also not negative). Weights stored as floats are not
    /// read: that would page in the whole file.
    pub fn validate(&self) -> Result<(), MatrixError> {
        let Self { rows, cols, .. } = *self;
        // Keeps every product below from overflowing: no element is wider than
        // 8 bytes.
        if rows
            .checked_mul(cols)
            .and_then(|count| count.checked_mul(8))
            .is_none_or(|bytes| bytes > isize::MAX as usize)
        {
            return Err(MatrixError::Shape { rows, cols });
        }
        match &self.format {
            Format::F32 | Format::F16 | Format::Bf16 => {
                length("data", &self.data, self.data_bytes())
            }
            Format::Affine {
                bits,
                group,
                scales,
                biases,
                dtype,
            } => {
                check_bits("affine", *bits, &AFFINE_BITS)?;
                check_group(*group, cols, AFFINE_GROUPS.contains(group))?;
                length("data", &self.data, self.data_bytes())?;
                let groups = cols / group;
                for (part, array) in [("scale", scales), ("bias", biases)] {
                    length(part, array, rows * groups * dtype.size())?;
                    check_values(part, *dtype, array, rows, groups, f32::is_finite)?;
                }
                Ok(())
            }
            Format::Mxtq {
                bits,
                norms,
                tables,
            } => {
                check_bits("MXTQ", *bits, &MXTQ_BITS)?;
                length("data", &self.data, self.data_bytes())?;
                length("norm", norms, rows * 2)?;
                table("sign", &tables.signs, cols)?;
                table("codebook", &tables.codebook, 1 << bits)?;
                check_values("norm", ScaleType::F16, norms, rows, 1, |norm| {
                    norm.is_finite() && norm >= 0.0
                })
            }
            Format::Mxfp4 { scales } => {
                check_group(MXFP4_GROUP, cols, true)?;
                length("data", &self.data, self.data_bytes())?;
                let groups = cols / MXFP4_GROUP;
                length("scale", scales, rows * groups)?;
                match scales.iter().position(|&code| code == 255) {
                    Some(at) => Err(MatrixError::Value {
                        part: "scale",
                        row: at / groups,
                        value: f32::NAN,
                    }),
                    None => Ok(()),
                }
            }
        }
    }
}

fn length(part: &'static str, bytes: &Bytes, expected: usize) -> Result<(), MatrixError> {
    let found = bytes.len();
    if found == expected {
        Ok(())
    } else {
        Err(MatrixError::Length {
            part,
            found,
            expected,
        })
    }
}

fn table(part: &'static str, entries: &[f32], expected: usize) -> Result<(), MatrixError> {
    let found = entries.len();
    if found == expected {
        Ok(())
    } else {
        Err(MatrixError::Table {
            part,
            found,
            expected,
        })
    }
}

fn check_bits(format: &'static str, bits: u32, known: &[u32]) -> Result<(), MatrixError> {
    if known.contains(&bits) {
        Ok(())
    } else {
        Err(MatrixError::Bits { format, bits })
    }
}

fn check_group(group: usize, cols: usize, known: bool) -> Result<(), MatrixError> {
    if known && cols.is_multiple_of(group) {
        Ok(())
    } else {
        Err(MatrixError::Group { group, cols })
    }
}

fn check_values(
    part: &'static str,
    dtype: ScaleType,
    array: &Bytes,
    rows: usize,
    per_row: usize,
    good: impl Fn(f32) -> bool,
) -> Result<(), MatrixError> {
    for i in 0..rows * per_row {
        let value = dtype.get(array, i);
        if !good(value) {
            let row = i / per_row;
            return Err(MatrixError::Value { part, row, value });
        }
    }
    Ok(())
}
