//! What holds for every input: packing and encoding lose no more than they
//! must, rotations keep products, and no damaged matrix passes validation.

use std::sync::Arc;

use cairn::quant::{
    AFFINE_BITS, AFFINE_GROUPS, Bytes, Format, MXTQ_BITS, Matrix, MatrixError, MxtqTables,
    ScaleType, encode_affine, encode_mxtq, pack_dense, pack_words, rotate, unpack_dense,
    unpack_words, words_per_row,
};
use half::{bf16, f16};
use proptest::prelude::*;
use proptest::sample::select;

fn codes(bits: impl Strategy<Value = u32>) -> impl Strategy<Value = (u32, Vec<u8>)> {
    bits.prop_flat_map(|bits| {
        let code = 0..=((1u32 << bits) - 1) as u8;
        (Just(bits), prop::collection::vec(code, 1..200))
    })
}

/// Rows of 32..=384 inputs in steps of 128, of very different magnitudes.
fn weights() -> impl Strategy<Value = Vec<f32>> {
    (1usize..=3, -18i32..8).prop_flat_map(|(n, exponent)| {
        let scale = 2f32.powi(exponent);
        prop::collection::vec((-1.0f32..1.0).prop_map(move |w| w * scale), n * 128)
    })
}

/// The rows that the codebooks are made for; wide enough for the error to be
/// close to its mean. (A row that is one spike after rotation has no bound.)
fn gaussian(seed: u64, len: usize) -> Vec<f32> {
    let uniform = |i: usize| cairn::backend::uniform(seed, i as u64) - 0.5;
    (0..len)
        .map(|i| (0..12).map(|k| uniform(i * 12 + k)).sum::<f64>() as f32)
        .collect()
}

fn norm(x: impl IntoIterator<Item = f32>) -> f32 {
    x.into_iter().map(|v| v * v).sum::<f32>().sqrt()
}

proptest! {
    #[test]
    fn words_round_trip((bits, codes) in codes(select(&MXTQ_BITS[..]))) {
        let words = pack_words(&codes, bits);
        prop_assert_eq!(words.len(), words_per_row(codes.len(), bits));
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut back = vec![0; codes.len()];
        unpack_words(&bytes, bits, &mut back);
        prop_assert_eq!(&back, &codes);
        // Padding is zero: as many codes as fit, read back.
        let mut all = vec![0; words.len() * (32 / bits) as usize];
        unpack_words(&bytes, bits, &mut all);
        prop_assert!(all[codes.len()..].iter().all(|&code| code == 0));
    }

    #[test]
    fn dense_round_trip((bits, mut codes) in codes(select(&AFFINE_BITS[..]))) {
        codes.resize(codes.len().next_multiple_of(8), 0);
        let bytes = pack_dense(&codes, bits);
        prop_assert_eq!(bytes.len() * 8, codes.len() * bits as usize);
        // Code i is bits [i * bits, (i + 1) * bits) of the stream.
        for (i, &code) in codes.iter().enumerate() {
            let read = (0..bits as usize).fold(0u8, |read, k| {
                let at = i * bits as usize + k;
                read | (bytes[at / 8] >> (at % 8) & 1) << k
            });
            prop_assert_eq!(read, code);
        }
        let mut back = vec![0; codes.len()];
        unpack_dense(&bytes, bits, &mut back);
        prop_assert_eq!(back, codes);
    }

    #[test]
    fn affine_is_within_half_a_step(
        weights in weights(),
        bits in select(&AFFINE_BITS[..]),
        group in select(&AFFINE_GROUPS[..]),
    ) {
        let cols = weights.len();
        let matrix = encode_affine(&weights, 1, cols, bits, group).into_matrix();
        prop_assert_eq!(matrix.validate(), Ok(()));
        let mut decoded = vec![0.0; cols];
        matrix.decode_row(0, &mut decoded);
        let top = ((1u32 << bits) - 1) as f32;
        for (w, d) in weights.chunks(group).zip(decoded.chunks(group)) {
            let (low, high) = w.iter().fold((0f32, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
            let range = high - low;
            // Half a step (one is at most twice range / top, when zero is made
            // a whole number of steps away) and the rounding of scale, bias
            // and weight to f16.
            let bound = range / top + range * 4.0 / 1024.0 + (top + 3.0) * 1e-7;
            for (w, d) in w.iter().zip(d) {
                prop_assert!((w - d).abs() <= bound, "{} became {}, bound {}", w, d, bound);
            }
        }
    }

    #[test]
    fn mxtq_error_shrinks_with_bits(
        seed in any::<u64>(),
        cols in select(&[1024usize, 1536, 2048][..]),
        (bits, limit) in select(&[(1, 0.75f32), (2, 0.5), (3, 0.3), (4, 0.2), (8, 0.1)][..]),
    ) {
        let weights = gaussian(seed, cols);
        let matrix = encode_mxtq(&weights, 1, cols, bits, 42).into_matrix();
        prop_assert_eq!(matrix.validate(), Ok(()));
        let mut decoded = vec![0.0; cols];
        matrix.decode_row_original(0, &mut decoded);
        let error = norm(weights.iter().zip(&decoded).map(|(w, d)| w - d));
        prop_assert!(error <= limit * norm(weights.clone()) + 1e-6, "relative {}", error / norm(weights));
    }

    /// What backends compute: rotate the input once, then dot with stored rows.
    #[test]
    fn rotated_rows_give_the_same_products(weights in weights(), bits in select(&MXTQ_BITS[..])) {
        let cols = weights.len();
        let encoded = encode_mxtq(&weights, 1, cols, bits, 42);
        let tables = Arc::clone(&encoded.tables);
        let matrix = encoded.into_matrix();
        let x: Vec<f32> = (0..cols).map(|i| (i as f32 * 0.37).sin()).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let (mut stored, mut original) = (vec![0.0; cols], vec![0.0; cols]);
        matrix.decode_row(0, &mut stored);
        matrix.decode_row_original(0, &mut original);
        let mut rotated = x.clone();
        rotate(&mut rotated, &tables.signs);
        let tolerance = 1e-5 * f64::from(norm(x.clone()) * norm(weights)) + 1e-9;
        prop_assert!((dot(&x, &original) - dot(&rotated, &stored)).abs() <= tolerance);
    }

    /// Whatever lengths a file claims, validation answers; what it accepts decodes.
    #[test]
    fn validation_never_panics(
        rows in 0usize..5,
        cols in 0usize..140,
        bits in 0u32..12,
        group in 0usize..140,
        data in 0usize..600,
        scales in 0usize..80,
        kind in 0..5,
    ) {
        let bytes = |n| Bytes::from_vec(vec![0x3c; n]);
        let format = match kind {
            0 => Format::F32,
            1 => Format::Bf16,
            2 => Format::Affine { bits, group, scales: bytes(scales), biases: bytes(scales), dtype: ScaleType::F16 },
            3 => Format::Mxtq { bits, norms: bytes(scales), tables: MxtqTables::new(cols, 2, 42) },
            _ => Format::Mxfp4 { scales: bytes(scales) },
        };
        let matrix = Matrix { rows, cols, data: bytes(data), format };
        if matrix.validate().is_ok() {
            let mut out = vec![0.0; cols];
            for row in 0..rows {
                matrix.decode_row_original(row, &mut out);
            }
        }
    }
}

#[test]
fn unaligned_floats() {
    let values = [1.0f32, -2.5, 0.0, 65504.0, 1e-3, -7.0];
    let cases = [
        (
            Format::F32,
            values
                .iter()
                .flat_map(|v| v.to_le_bytes().to_vec())
                .collect::<Vec<u8>>(),
        ),
        (
            Format::F16,
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        (
            Format::Bf16,
            values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
    ];
    for (format, bytes) in cases {
        let mut shifted = vec![0xee];
        shifted.extend(bytes);
        let end = shifted.len();
        let matrix = Matrix {
            rows: 2,
            cols: 3,
            data: Bytes::from_vec(shifted).slice(1..end),
            format,
        };
        matrix.validate().unwrap();
        let mut row = [0.0; 3];
        matrix.decode_row(1, &mut row);
        for (got, want) in row.iter().zip(&values[3..]) {
            assert!((got - want).abs() <= want.abs() / 250.0, "{got} for {want}");
        }
    }
}

#[test]
fn damage_is_named() {
    let weights: Vec<f32> = (0..3 * 64).map(|i| (i as f32).sin()).collect();

    let affine = |scales: Vec<f16>| {
        let mut encoded = encode_affine(&weights, 3, 64, 4, 32);
        encoded.scales = scales;
        encoded.into_matrix()
    };
    let mut scales = vec![f16::ONE; 6];
    assert_eq!(affine(scales.clone()).validate(), Ok(()));
    scales[5] = f16::INFINITY;
    let error = affine(scales.clone()).validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the scale of row 2 is inf: the file is damaged"
    );
    scales.pop();
    assert_eq!(
        affine(scales).validate(),
        Err(MatrixError::Length {
            part: "scale",
            found: 10,
            expected: 12
        })
    );

    for norm in [f16::NAN, f16::NEG_INFINITY, f16::from_f32(-1.0)] {
        let mut encoded = encode_mxtq(&weights, 3, 64, 2, 42);
        encoded.norms[1] = norm;
        match encoded.into_matrix().validate() {
            Err(MatrixError::Value {
                part: "norm",
                row: 1,
                ..
            }) => {}
            other => panic!("{norm}: {other:?}"),
        }
    }

    let mut matrix = encode_mxtq(&weights, 3, 64, 2, 42).into_matrix();
    matrix.rows = usize::MAX / 2;
    assert!(matches!(matrix.validate(), Err(MatrixError::Shape { .. })));
    let mut matrix = encode_mxtq(&weights, 3, 64, 2, 42).into_matrix();
    matrix.data = matrix.data.slice(0..matrix.data.len() - 1);
    assert!(matches!(
        matrix.validate(),
        Err(MatrixError::Length { part: "data", .. })
    ));
}
