//! From a row of floats to integers: per row the largest magnitude becomes
//! 127 * 128.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::Order;
use crate::backend::cpu::level::{Level, per_level};

/// Magnitude of the largest integer.
const LARGEST: f32 = 16256.0;

/// Adding this rounds to an integer, which then lies in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// A token's part of `Activations`.
pub(super) struct Token<'a> {
    pub high: &'a mut [i8],
    pub low: &'a mut [i8],
    pub whole: &'a mut [i16],
    pub sums: &'a mut [i32],
    pub scale: &'a mut f32,
}

/// How a matrix wants its activations.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Signs of the rotation, if there is one.
    pub signs: Option<&'a [f32]>,
    pub order: Order,
    /// Columns per sum.
    pub group: usize,
}

/// Makes a token's integers of `x`, after which columns are zero up to those that
/// `scratch` has.
pub(super) fn quantize(
    level: Level,
    x: &[f32],
    wanted: Wanted<'_>,
    scratch: &mut [f32],
    out: &mut Token<'_>,
) {
    let Wanted {
        signs,
        order,
        group,
    } = wanted;
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && x.len() == scratch.len() && avx512::suits(x.len(), group) {
        // SAFETY: `Level::detect` saw the features.
        unsafe {
            let Some(signs) = signs else {
                return avx512::quantize(x, order, group, out);
            };
            avx512::rotate(x, signs, scratch);
            return avx512::quantize(scratch, order, group, out);
        }
    }
    let (given, rest) = scratch.split_at_mut(x.len());
    given.copy_from_slice(x);
    rest.fill(0.0);
    if let Some(signs) = signs {
        rotate(level, given, signs);
    }
    integers(level, scratch, order, group, out);
}

per_level! {
    fn rotate = rotate_body(row: &mut [f32], signs: &[f32])
}

#[inline(always)]
fn rotate_body(row: &mut [f32], signs: &[f32]) {
    crate::quant::rotate(row, signs);
}

/// What an integer is worth, and how many a number is; `None` if the largest
/// magnitude says that a number is not finite.
fn scales(largest: f32) -> Option<(f32, f32)> {
    if !largest.is_finite() {
        return None;
    }
    // So small a row that its scale can't be inverted is a row of zeros.
    let inverse = match LARGEST / largest {
        inverse if inverse.is_finite() => inverse,
        _ => 0.0,
    };
    Some((largest / LARGEST, inverse))
}

/// Zeros times NaN.
fn not_finite(out: &mut Token<'_>) {
    *out.scale = f32::NAN;
    out.high.fill(0);
    out.low.fill(0);
    out.whole.fill(0);
    out.sums.fill(0);
}

per_level! {
    fn integers = integers_body(row: &mut [f32], order: Order, group: usize, out: &mut Token<'_>)
}

/// `row` is left in the kernel's order.
#[inline(always)]
fn integers_body(row: &mut [f32], order: Order, group: usize, out: &mut Token<'_>) {
    // Without its sign a float's bits are an integer in the same order, and those
    // of what is not finite are the greatest.
    let magnitude = |x: &f32| x.to_bits() & (u32::MAX >> 1);
    let mut lanes = [0u32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = magnitude(x).max(*lane);
        }
    }
    let most = lanes.into_iter().chain(rest.iter().map(magnitude)).max();
    let Some((scale, inverse)) = scales(f32::from_bits(most.unwrap_or_default())) else {
        return not_finite(out);
    };
    *out.scale = scale;
    reorder(row, order);
    for x in row.iter_mut() {
        *x = *x * inverse + ROUNDER;
    }
    let integer = |x: f32| x.to_bits() as i32 - ROUNDER.to_bits() as i32;
    if out.whole.is_empty() {
        for ((x, high), low) in row.iter().zip(&mut *out.high).zip(&mut *out.low) {
            let x = integer(*x);
            let upper = (x + 64) >> 7;
            *high = upper as i8;
            *low = (x - (upper << 7)) as i8;
        }
    } else {
        for (x, whole) in row.iter().zip(&mut *out.whole) {
            *whole = integer(*x) as i16;
        }
    }
    for (sum, xs) in out.sums.iter_mut().zip(row.chunks_exact(group)) {
        *sum = xs.iter().map(|x| integer(*x)).sum();
    }
}

#[inline(always)]
fn reorder(row: &mut [f32], order: Order) {
    match order {
        Order::Natural => {}
        Order::Nibbles => {
            for v in row.as_chunks_mut::<8>().0 {
                *v = [v[0], v[2], v[4], v[6], v[1], v[3], v[5], v[7]];
            }
        }
        Order::Crumbs => {
            for v in row.as_chunks_mut::<16>().0 {
                *v = std::array::from_fn(|i| v[i % 4 * 4 + i / 4]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::panels::tests::numbers;
    use crate::quant::signs;

    /// The planes, the sums and the bits of the scale.
    fn planes(level: Level, x: &[f32], wanted: Wanted<'_>) -> (Vec<i8>, Vec<i8>, Vec<i32>, u32) {
        let width = x.len();
        // Of no meaning, as what is written into is.
        let (mut high, mut low) = (vec![1; width], vec![2; width]);
        let (mut sums, mut scale) = (vec![3; width / wanted.group], 4.0);
        let mut out = Token {
            high: &mut high,
            low: &mut low,
            whole: &mut [],
            sums: &mut sums,
            scale: &mut scale,
        };
        quantize(level, x, wanted, &mut vec![5.0; width], &mut out);
        (high, low, sums, scale.to_bits())
    }

    #[test]
    fn all_levels_make_the_same_integers() {
        for width in [32, 64, 128, 448, 1280, 2048, 4096, 16384] {
            let signs = signs(width, 7);
            let plain = numbers(width, 3);
            let mut infinite = plain.clone();
            infinite[width / 2] = f32::NEG_INFINITY;
            let mut nan = plain.clone();
            nan[width - 1] = f32::NAN;
            let mut small = vec![1e-42; width];
            small[3] = -0.0;
            for x in [plain, infinite, nan, small, vec![0.0; width]] {
                for order in [Order::Natural, Order::Nibbles, Order::Crumbs] {
                    for group in [32, 64, 128, width] {
                        for signs in [None, Some(signs.as_slice())] {
                            if !width.is_multiple_of(group) {
                                continue;
                            }
                            let wanted = Wanted {
                                signs,
                                order,
                                group,
                            };
                            let mut levels = Level::available().into_iter();
                            let first = levels.next().map(|level| planes(level, &x, wanted));
                            for level in levels {
                                let same = Some(planes(level, &x, wanted)) == first;
                                assert!(same, "{level:?} {width} {order:?} {group} {signs:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
