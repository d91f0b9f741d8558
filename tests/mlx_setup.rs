//! What `cargo xtask mlx-setup` puts together off Apple Silicon holds: the library
//! computes, and the pieces of ours in it do what mlx-c's would.
#![cfg(feature = "mlx")]

use half::{bf16, f16};
use mlx_rs::{Array, ops, random};

#[test]
fn the_library_computes() {
    let a = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]);
    let product = a.matmul(&a).unwrap();
    assert_eq!(product.as_slice::<f32>(), [7.0, 10.0, 15.0, 22.0]);
}

#[test]
fn an_error_comes_back_as_a_value() {
    let (a, b) = (Array::from_slice(&[1f32; 6], &[2, 3]), Array::from_f32(1.0));
    let error = a.matmul(&b).unwrap_err().to_string();
    assert!(error.contains("matmul"), "{error}");
}

/// Values that a conversion on the way would change or lose.
#[test]
fn halves_pass_bit_for_bit() {
    for bits in [0x3e01, 0x8001, 0x7bff, 0xfc00] {
        let array = Array::from_slice(&[f16::from_bits(bits); 3], &[3]);
        assert_eq!(array.as_slice::<f16>()[2].to_bits(), bits);
        let one = Array::from_slice(&[f16::from_bits(bits)], &[]);
        assert_eq!(one.item_exact::<f16>().to_bits(), bits);

        let array = Array::from_slice(&[bf16::from_bits(bits); 3], &[3]);
        assert_eq!(array.as_slice::<bf16>()[2].to_bits(), bits);
        let one = Array::from_slice(&[bf16::from_bits(bits)], &[]);
        assert_eq!(one.item_exact::<bf16>().to_bits(), bits);
    }
}

/// The first random numbers of a thread are seeded from the clock.
#[test]
fn random_numbers_differ_between_threads() {
    let draw = || {
        let numbers = random::uniform::<_, f32>(0.0, 1.0, &[4], None).unwrap();
        numbers.as_slice::<f32>().to_vec()
    };
    let other = std::thread::spawn(draw).join().unwrap();
    assert_ne!(draw(), other);
}

#[test]
fn quantised_weights_multiply_like_their_values() {
    let weights = random::uniform::<_, f32>(-1.0, 1.0, &[32, 64], None).unwrap();
    let rows = random::uniform::<_, f32>(-1.0, 1.0, &[3, 64], None).unwrap();
    let (packed, scales, biases) = ops::quantize(&weights, 64, 4).unwrap();
    let values = ops::dequantize(&packed, &scales, &biases, 64, 4).unwrap();
    let expected = rows.matmul(values.t()).unwrap();
    let got = ops::quantized_matmul(&rows, &packed, &scales, &biases, true, 64, 4).unwrap();
    for (got, expected) in got.as_slice::<f32>().iter().zip(expected.as_slice::<f32>()) {
        assert!((got - expected).abs() < 1e-4, "{got} {expected}");
    }
}
