//! The MXTQ rotation `R(x) = H(signs * x)`: `H` is an orthonormal
//! Walsh-Hadamard transform in blocks of powers of two, so any width works.

/// The block sizes of a vector of width `n`: its set bits, largest first. They
/// lie in the vector in this order.
pub fn blocks(n: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS)
        .rev()
        .map(|bit| 1usize << bit)
        .filter(move |block| n & block != 0)
}

/// Rotates `x` in place. `<rotate(x), rotate(y)> = <x, y>`. Every operation is
/// rounded to f32 in the order of the reference encoder, so equal input gives
/// equal bits.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn rotate(x: &mut [f32], signs: &[f32]) {
    assert_eq!(x.len(), signs.len());
    apply_signs(x, signs);
    transform(x);
}

/// Undoes [`rotate`].
///
/// # Panics
/// If the lengths differ.
pub fn rotate_back(x: &mut [f32], signs: &[f32]) {
    assert_eq!(x.len(), signs.len());
    transform(x);
    apply_signs(x, signs);
}

#[inline(always)]
fn apply_signs(x: &mut [f32], signs: &[f32]) {
    for (x, sign) in x.iter_mut().zip(signs) {
        *x *= sign;
    }
}

#[inline(always)]
fn transform(x: &mut [f32]) {
    let mut rest = x;
    let width = rest.len();
    for block in blocks(width) {
        let (head, tail) = rest.split_at_mut(block);
        transform_block(head);
        rest = tail;
    }
}

/// Butterflies at distances 1, 2, 4, ... `len / 2`, then the scale.
#[inline(always)]
fn transform_block(x: &mut [f32]) {
    let size = x.len();
    let mut half = 1;
    if size >= 8 {
        // The three shortest distances within eight values at a time: long
        // loops over pairs of single values do not vectorise.
        let (groups, _) = x.as_chunks_mut::<8>();
        for v in groups {
            for (half, pairs) in [(1, [0, 2, 4, 6]), (2, [0, 1, 4, 5]), (4, [0, 1, 2, 3])] {
                for i in pairs {
                    (v[i], v[i + half]) = (v[i] + v[i + half], v[i] - v[i + half]);
                }
            }
        }
        half = 8;
    }
    while half < size {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = (1.0 / (size as f64).sqrt()) as f32;
    x.iter_mut().for_each(|x| *x *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::signs;
    use proptest::prelude::*;

    #[test]
    fn block_sizes() {
        assert_eq!(blocks(1280).collect::<Vec<_>>(), [1024, 256]);
        assert_eq!(blocks(7168).collect::<Vec<_>>(), [4096, 2048, 1024]);
        assert_eq!(blocks(7).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!(blocks(0).count(), 0);
    }

    /// Against the definition: entry (i, j) of H is (-1)^popcount(i & j).
    #[test]
    fn matches_the_matrix() {
        for n in [1usize, 2, 4, 8, 16, 64] {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let mut fast = x.clone();
            transform(&mut fast);
            for (i, fast) in fast.iter().enumerate() {
                let slow: f64 = (0..n)
                    .map(|j| f64::from(x[j]) * [1.0, -1.0][(i & j).count_ones() as usize % 2])
                    .sum::<f64>()
                    / (n as f64).sqrt();
                assert!((f64::from(*fast) - slow).abs() < 1e-5, "n = {n}, i = {i}");
            }
        }
    }

    proptest! {
        #[test]
        fn back_and_forth(x in prop::collection::vec(-10.0f32..10.0, 1..400), seed: u64) {
            let signs = signs(x.len(), seed);
            let mut y = x.clone();
            rotate(&mut y, &signs);
            let (nx, ny): (f32, f32) = (x.iter().map(|v| v * v).sum(), y.iter().map(|v| v * v).sum());
            prop_assert!((nx - ny).abs() <= 1e-4 * nx.max(1.0));
            rotate_back(&mut y, &signs);
            for (x, y) in x.iter().zip(&y) {
                prop_assert!((x - y).abs() < 1e-4);
            }
        }
    }
}
