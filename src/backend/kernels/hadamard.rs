//! `hadamard_rotate`: the MXTQ rotation of rows of activations.

use super::{Dims, Element, HostArray, KernelSpec, Port, Random};
use crate::quant::blocks;

/// The text of the rotation, for kernels that rotate.
pub(super) const ROTATION: &str = include_str!("rotation.metal");

/// `y[row] = R(x[row])`, exactly as [`crate::quant::rotate`] computes it.
///
/// One threadgroup to a row, one simdgroup to each 256 elements, at most eight:
/// a row of 2048 is 256 threads, each element read and written once.
pub static HADAMARD_ROTATE: KernelSpec = KernelSpec {
    name: "hadamard_rotate",
    inputs: &[
        Port {
            name: "x",
            elements: &[Element::F32],
            shape: &["ROWS", "WIDTH"],
        },
        Port {
            name: "signs",
            elements: &[Element::F32],
            shape: &["WIDTH"],
        },
    ],
    outputs: &[Port {
        name: "y",
        elements: &[Element::F32],
        shape: &["ROWS", "WIDTH"],
    }],
    header: ROTATION,
    source: include_str!("hadamard.metal"),
    template: &["WIDTH"],
    grid: |dims| [threads(dims), dims.get("ROWS"), 1],
    threadgroup: |dims| [threads(dims), 1, 1],
    // What passes through threadgroup memory fills at most its 32 KiB.
    supports: |dims| (1..8192 + 512).contains(&dims.get("WIDTH")),
    reference,
    shapes: &[
        &[("ROWS", 0), ("WIDTH", 64)],
        &[("ROWS", 1), ("WIDTH", 1)],
        &[("ROWS", 2), ("WIDTH", 7)],
        &[("ROWS", 3), ("WIDTH", 96)],
        &[("ROWS", 1), ("WIDTH", 255)],
        &[("ROWS", 5), ("WIDTH", 256)],
        &[("ROWS", 2), ("WIDTH", 320)],
        &[("ROWS", 1), ("WIDTH", 511)],
        &[("ROWS", 3), ("WIDTH", 512)],
        &[("ROWS", 1), ("WIDTH", 1023)],
        &[("ROWS", 2), ("WIDTH", 1280)],
        &[("ROWS", 1), ("WIDTH", 2048)],
        &[("ROWS", 8), ("WIDTH", 2048)],
        &[("ROWS", 1), ("WIDTH", 7168)],
        &[("ROWS", 1), ("WIDTH", 8703)],
    ],
    random_shape: |random| {
        Dims::new(&[
            ("ROWS", random.between(0, 4)),
            ("WIDTH", random.between(1, 1400)),
        ])
    },
    random_inputs: |dims, random| {
        let width = dims.get("WIDTH");
        let x = random.normals(dims.get("ROWS") * width);
        vec![
            HostArray::rounded(&[dims.get("ROWS"), width], &x, Element::F32),
            random_signs(width, random),
        ]
    },
};

fn threads(dims: &Dims) -> usize {
    32 * dims.get("WIDTH").div_ceil(256).clamp(1, 8)
}

pub(super) fn random_signs(width: usize, random: &mut Random) -> HostArray {
    let signs = (0..width).map(|_| random.pick(&[-1.0, 1.0])).collect();
    HostArray::f32(&[width], signs)
}

fn reference(dims: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    let mut x = inputs[0].to_f64();
    let signs = inputs[1].to_f64();
    for row in x.chunks_mut(dims.get("WIDTH")) {
        rotate_plainly(row, &signs);
    }
    let shape = [dims.get("ROWS"), dims.get("WIDTH")];
    vec![HostArray::rounded(&shape, &x, Element::F32)]
}

/// The rotation in f64: sums and differences at distances 1, 2, 4, ... are the
/// factors of the transform's matrix.
pub(super) fn rotate_plainly(x: &mut [f64], signs: &[f64]) {
    for (x, sign) in x.iter_mut().zip(signs) {
        *x *= sign;
    }
    let mut start = 0;
    for size in blocks(x.len()) {
        let block = &mut x[start..start + size];
        let mut distance = 1;
        while distance < size {
            for i in (0..size).filter(|i| i & distance == 0) {
                let (a, b) = (block[i], block[i + distance]);
                (block[i], block[i + distance]) = (a + b, a - b);
            }
            distance *= 2;
        }
        for x in block {
            *x /= (size as f64).sqrt();
        }
        start += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::rotate;

    /// Entry (i, j) of the transform is `(-1)^popcount(i & j) / sqrt(n)`.
    #[test]
    fn the_reference_is_the_matrix() {
        for n in [1usize, 2, 16, 128] {
            let x = Random::new(3).normals(n);
            let mut rotated = x.clone();
            rotate_plainly(&mut rotated, &vec![1.0; n]);
            for (i, rotated) in rotated.iter().enumerate() {
                let sum: f64 = (0..n)
                    .map(|j| x[j] * [1.0, -1.0][(i & j).count_ones() as usize % 2])
                    .sum();
                assert!((rotated - sum / (n as f64).sqrt()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_reference_rotates_as_the_encoder_does() {
        let spec = &HADAMARD_ROTATE;
        for shape in spec.shapes {
            let dims = Dims::new(shape);
            let inputs = (spec.random_inputs)(&dims, &mut Random::new(5));
            let signs: Vec<f32> = inputs[1].to_f64().iter().map(|&s| s as f32).collect();
            let expected = (spec.reference)(&dims, &inputs)[0].to_f64();
            let mut x: Vec<f32> = inputs[0].to_f64().iter().map(|&x| x as f32).collect();
            for row in x.chunks_mut(dims.get("WIDTH")) {
                rotate(row, &signs);
            }
            for (x, expected) in x.iter().zip(expected) {
                assert!((f64::from(*x) - expected).abs() < 1e-5, "{dims}");
            }
        }
    }
}
