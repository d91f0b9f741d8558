//! OCP MX FP4: e2m1 codes in groups of 32 inputs that share a power of two.
//! Decoding only: no bundle of the families served is made with it here.

/// Inputs that share one scale.
pub const MXFP4_GROUP: usize = 32;

/// The sixteen e2m1 values; bit 3 is the sign.
const VALUES: [f32; 16] = [
    0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0,
];

/// `2^(code - 127)`; 255 is NaN.
pub(super) fn scale(code: u8) -> f32 {
    match code {
        0 => f32::from_bits(0x0040_0000),
        255 => f32::NAN,
        code => f32::from_bits(u32::from(code) << 23),
    }
}

/// Decodes a row: two codes to a byte, the low nibble first.
pub(super) fn decode(row: &[u8], scales: &[u8], out: &mut [f32]) {
    for ((out, codes), &code) in out
        .chunks_exact_mut(MXFP4_GROUP)
        .zip(row.chunks_exact(MXFP4_GROUP / 2))
        .zip(scales)
    {
        let scale = scale(code);
        let (pairs, _) = out.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(codes) {
            *pair = [
                VALUES[usize::from(byte & 15)] * scale,
                VALUES[usize::from(byte >> 4)] * scale,
            ];
        }
    }
}
