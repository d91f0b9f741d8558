//! What every instruction set and every architecture must agree on to the bit.

use super::float::FloatWidth;
use super::tests::{Pack, bits, context, numbers, product};
use super::*;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::tensor::Tensor;
use crate::quant::{Bytes, Format, Matrix, encode_affine, encode_mxtq, rotate_back};

/// Extremes everywhere: sums are as large as they can be, and must not leave
/// the integers that hold them.
#[test]
fn the_largest_sums_are_exact() {
    let cols = 8192;
    for (bits, pack) in [
        (8, IntegerPanels::pack as Pack),
        (8, IntegerPanels::pack_split),
        (4, IntegerPanels::pack),
    ] {
        let mut matrix = encode_affine(&numbers(16 * cols, 1), 16, cols, bits, 128).into_matrix();
        matrix.data = Bytes::from_vec(vec![0xff; matrix.data.len()]);
        same_at_all_levels(&matrix, pack, &vec![1.0; cols]);
    }
    for bits in [2, 4, 8] {
        let mut matrix = encode_mxtq(&numbers(16 * cols, 2), 16, cols, bits, 42).into_matrix();
        let Format::Mxtq { tables, .. } = &matrix.format else {
            panic!("not MXTQ");
        };
        let (largest, signs) = (tables.codebook[(1 << bits) - 1], tables.signs.clone());
        let mut x = vec![1.0; cols];
        rotate_back(&mut x, &signs);
        for byte in [0xff, 0] {
            matrix.data = Bytes::from_vec(vec![byte; matrix.data.len()]);
            let y = same_at_all_levels(&matrix, IntegerPanels::pack, &x);
            let mut row = vec![0.0; cols];
            matrix.decode_row(0, &mut row);
            assert_eq!(row[0].abs() > 0.0, largest > 0.0);
            let exact: f64 = row.iter().map(|w| f64::from(*w)).sum();
            assert!(
                (f64::from(y[0]) / exact - 1.0).abs() < 1e-3,
                "{} {exact}",
                y[0]
            );
        }
    }
}

/// The products of one token, equal at every level.
fn same_at_all_levels(matrix: &Matrix, pack: Pack, x: &[f32]) -> Vec<f32> {
    let x = Tensor::new(x.len() / matrix.cols, matrix.cols, x.to_vec());
    let mut all = Level::available().into_iter().map(|level| {
        let cx = context(level);
        let w = pack(&cx, matrix).expect("panels");
        product(&cx, &w, &Activations::of(&cx, &x, &w))
    });
    let first = all.next().expect("a level");
    assert!(all.all(|y| bits(&y) == bits(&first)));
    first
}

/// A matrix stored in floats.
fn floats(width: FloatWidth, rows: usize, cols: usize) -> Matrix {
    let values = numbers(rows * cols, 3);
    let bytes = |store: fn(&f32) -> Vec<u8>| values.iter().flat_map(store).collect();
    let (format, data): (_, Vec<u8>) = match width {
        FloatWidth::F16 => {
            let store = |x: &f32| half::f16::from_f32(*x).to_le_bytes().to_vec();
            (Format::F16, bytes(store))
        }
        FloatWidth::Bf16 => {
            let store = |x: &f32| half::bf16::from_f32(*x).to_le_bytes().to_vec();
            (Format::Bf16, bytes(store))
        }
        FloatWidth::F32 => (Format::F32, bytes(|x| x.to_le_bytes().to_vec())),
    };
    Matrix {
        rows,
        cols,
        data: Bytes::from_vec(data),
        format,
    }
}

/// Products with float panels, `[tokens, rows]`, equal at every level.
fn float_products(matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let tokens = x.len() / matrix.cols;
    let mut all = Level::available().into_iter().map(|level| {
        let cx = context(level);
        let w = FloatPanels::pack(&cx, matrix).expect("panels");
        let mut y = vec![f32::NAN; tokens * w.rows];
        float_product(&cx, &w, 0..w.panels(), x, &mut |token, panel, values| {
            let rows = PANEL.min(w.rows - panel * PANEL);
            let at = token * w.rows + panel * PANEL;
            y[at..at + rows].copy_from_slice(&values[..rows]);
        });
        y
    });
    let first = all.next().expect("a level");
    assert!(all.all(|y| bits(&y) == bits(&first)));
    first
}

#[test]
fn float_panels() {
    for width in [FloatWidth::F16, FloatWidth::Bf16, FloatWidth::F32] {
        for (rows, cols) in [(16, 1), (33, 96), (150, 67)] {
            let matrix = floats(width, rows, cols);
            for tokens in [1, 2, 3, 7] {
                let x = numbers(tokens * cols, 4);
                let y = float_products(&matrix, &x);
                let mut row = vec![0.0; cols];
                for r in 0..rows {
                    matrix.decode_row(r, &mut row);
                    for (t, x) in x.chunks_exact(cols).enumerate() {
                        let chain = |sum: f32, (w, x): (&f32, &f32)| w.mul_add(*x, sum);
                        let want = row.iter().zip(x).fold(0.0, chain);
                        assert_eq!(y[t * rows + r].to_bits(), want.to_bits());
                    }
                }
            }
        }
    }
}

/// What products came out as on x86-64: FNV-1a of their bits. Other
/// architectures give the same.
#[test]
fn products_have_the_bits_they_always_had() {
    let hash = |y: Vec<f32>| {
        y.iter()
            .flat_map(|y| y.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    };
    let (rows, cols) = (20, 256);
    let (weights, x) = (numbers(rows * cols, 1), numbers(3 * cols, 5));
    let affine = |bits, group| encode_affine(&weights, rows, cols, bits, group).into_matrix();
    let mxtq = |bits| encode_mxtq(&weights, rows, cols, bits, 42).into_matrix();
    let integer = |matrix: Matrix, pack: Pack| hash(same_at_all_levels(&matrix, pack, &x));
    let float = |width| hash(float_products(&floats(width, rows, cols), &x));
    let hashes = [
        integer(affine(8, 32), IntegerPanels::pack),
        integer(affine(8, 64), IntegerPanels::pack_split),
        integer(affine(4, 128), IntegerPanels::pack),
        integer(mxtq(2), IntegerPanels::pack),
        integer(mxtq(4), IntegerPanels::pack),
        integer(mxtq(8), IntegerPanels::pack),
        float(FloatWidth::F16),
        float(FloatWidth::Bf16),
        float(FloatWidth::F32),
    ];
    assert_eq!(hashes, GOLDEN);
}

const GOLDEN: [u64; 9] = [
    0x41e5_c8ef_5aba_641b,
    0xdef0_29b5_016a_8be8,
    0xa2cd_3cd2_19c0_016b,
    0x604a_c679_6173_2747,
    0x1a92_6148_b525_b922,
    0x5093_144f_dac0_73c5,
    0x9791_3e6a_17b7_0e7d,
    0x87da_0231_1036_b63b,
    0xd9f7_9481_5995_c2fd,
];
