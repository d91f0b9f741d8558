//! The reference decode of one stored row, for every format. Backends are
//! tested against it, and the portable one may call it in its loops, so it does
//! no division and no allocation.

use half::{bf16, f16};

use super::{Bytes, Format, Matrix, ScaleType, affine, mxfp4, mxtq, rotate_back};

impl Matrix {
    /// Writes row `row` to `out`, as it is stored: an MXTQ row stays in the
    /// rotated basis, its norm applied.
    ///
    /// # Panics
    /// If `row >= rows`, `out` is not `cols` long, or the matrix would not pass
    /// [`Matrix::validate`].
    pub fn decode_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols);
        let bytes = self.row_bytes();
        let data = &self.data[row * bytes..][..bytes];
        match &self.format {
            Format::F32 => widen(data, out, f32::from_le_bytes),
            Format::F16 => widen(data, out, |b| f16::from_le_bytes(b).to_f32()),
            Format::Bf16 => widen(data, out, |b| bf16::from_le_bytes(b).to_f32()),
            Format::Affine {
                bits,
                group,
                scales,
                biases,
                dtype,
            } => {
                let first = row * (self.cols / group);
                let pair = |i| (dtype.get(scales, first + i), dtype.get(biases, first + i));
                affine::decode(data, *bits, *group, pair, out);
            }
            Format::Mxtq {
                bits,
                norms,
                tables,
            } => {
                let norm = ScaleType::F16.get(norms, row);
                mxtq::decode(data, *bits, &tables.codebook, norm, out);
            }
            Format::Mxfp4 { scales } => {
                let groups = self.cols / mxfp4::MXFP4_GROUP;
                mxfp4::decode(data, &scales[row * groups..][..groups], out);
            }
        }
    }

    /// Writes row `row` to `out` in the basis of the inputs: an MXTQ row is
    /// rotated back. Panics as [`Matrix::decode_row`].
    pub fn decode_row_original(&self, row: usize, out: &mut [f32]) {
        self.decode_row(row, out);
        if let Format::Mxtq { tables, .. } = &self.format {
            rotate_back(out, &tables.signs);
        }
    }
}

fn widen<const N: usize>(data: &[u8], out: &mut [f32], one: impl Fn([u8; N]) -> f32) {
    let (values, _) = data.as_chunks::<N>();
    for (out, value) in out.iter_mut().zip(values) {
        *out = one(*value);
    }
}

impl ScaleType {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }

    /// Number `i` of an array, unaligned or not.
    ///
    /// # Panics
    /// If the array is shorter.
    pub fn get(self, array: &Bytes, i: usize) -> f32 {
        let at = &array[i * self.size()..];
        match self {
            Self::F16 => f16::from_le_bytes([at[0], at[1]]).to_f32(),
            Self::Bf16 => bf16::from_le_bytes([at[0], at[1]]).to_f32(),
            Self::F32 => f32::from_le_bytes([at[0], at[1], at[2], at[3]]),
        }
    }
}
