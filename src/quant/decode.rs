//! The reference decode of one stored row, for every format. Backends are
//! tested against it, and the portable one may call it in its loops, so it does
//! no division and no allocation.

use super::{Format, Matrix, ScaleType, affine, mxfp4, mxtq, rotate_back};

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
            Format::F16 => widen(data, out, |b| widen_f16(u16::from_le_bytes(b))),
            Format::Bf16 => widen(data, out, |b| widen_bf16(u16::from_le_bytes(b))),
            Format::Affine {
                bits,
                group,
                scales,
                biases,
                dtype,
            } => {
                let per_row = self.cols / group * dtype.size();
                let scales = &scales[row * per_row..][..per_row];
                let biases = &biases[row * per_row..][..per_row];
                let pair = |i| (dtype.get(scales, i), dtype.get(biases, i));
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

    /// Number `i` of a little-endian array, aligned or not.
    ///
    /// # Panics
    /// If the array is shorter.
    #[inline(always)]
    pub fn get(self, array: &[u8], i: usize) -> f32 {
        let at = &array[i * self.size()..];
        match self {
            Self::F16 => widen_f16(u16::from_le_bytes([at[0], at[1]])),
            Self::Bf16 => widen_bf16(u16::from_le_bytes([at[0], at[1]])),
            Self::F32 => f32::from_le_bytes([at[0], at[1], at[2], at[3]]),
        }
    }
}

/// A BF16 as f32, exact.
#[inline(always)]
pub fn widen_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// An F16 as f32, exact. Without branches or calls, so that loops over it vectorise on any
/// machine: the exponent is moved by a multiplication, which also normalises
/// subnormals.
#[inline(always)]
pub fn widen_f16(bits: u16) -> f32 {
    const TWO_TO_112: f32 = f32::from_bits(0x7780_0000);
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let finite = f32::from_bits(magnitude) * TWO_TO_112;
    let value = if bits & 0x7c00 == 0x7c00 {
        magnitude | 0x7f80_0000
    } else {
        finite.to_bits()
    };
    f32::from_bits(value | u32::from(bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn every_f16_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (widen_f16(bits), f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:#06x}"
            );
        }
    }
}
