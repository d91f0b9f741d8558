//! An MXTQ codebook in integers: `value = unit * c`. Two bits fit eight-bit
//! integers nearly exactly; larger codebooks need fifteen bits, in two planes.

use std::sync::{Arc, Mutex, PoisonError};

/// Root of the mean square error, relative to that of the codebook, up to which
/// one plane is taken. What is lost is a tenth of what rounding a weight to f16
/// loses.
const ONE_PLANE_ERROR: f64 = 1e-4;

/// Largest integer of one plane, and of two.
const ONE_PLANE_MAX: i32 = 127;
const TWO_PLANES_MAX: i32 = 127 * 128;

/// Bytes are integers plus 128, as the dot product instructions want one operand
/// unsigned. Entries are repeated, so that any byte may be looked up whose low
/// bits are the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Lut {
    /// `c`, or the upper part of it: `c = 128 * high + low`.
    pub high: [u8; 256],
    /// The lower part, where there are two planes.
    pub low: Option<Box<[u8; 256]>>,
    pub unit: f32,
}

/// The codebooks met so far: a model has few, and finding a codebook's unit takes
/// longer than packing a small matrix.
#[derive(Default)]
pub struct Luts(Mutex<Vec<(Vec<f32>, Arc<Lut>)>>);

impl Luts {
    /// [`Lut::of`] this codebook.
    pub fn of(&self, codebook: &[f32]) -> Arc<Lut> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lut)) = known.iter().find(|(of, _)| of == codebook) {
            return Arc::clone(lut);
        }
        let lut = Arc::new(Lut::of(codebook));
        known.push((codebook.to_vec(), Arc::clone(&lut)));
        lut
    }
}

/// Added to every integer to make it a byte.
pub const OFFSET: i32 = 128;

impl Lut {
    /// `codebook` has a power of two of entries, 256 at most.
    pub fn of(codebook: &[f32]) -> Self {
        let one = best_unit(codebook);
        if codebook.len() <= 16 && error(codebook, one) <= ONE_PLANE_ERROR {
            let byte = |x: f32| (rounded(x, one) + OFFSET) as u8;
            return Self {
                high: repeated(codebook, byte),
                low: None,
                unit: one as f32,
            };
        }
        let unit = largest(codebook) / f64::from(TWO_PLANES_MAX);
        let high = |x: f32| (rounded(x, unit) + 64) >> 7;
        let low = |x: f32| rounded(x, unit) - 128 * high(x);
        Self {
            high: repeated(codebook, |x| (high(x) + OFFSET) as u8),
            low: Some(Box::new(repeated(codebook, |x| (low(x) + OFFSET) as u8))),
            unit: unit as f32,
        }
    }
}

fn repeated(codebook: &[f32], byte: impl Fn(f32) -> u8) -> [u8; 256] {
    std::array::from_fn(|i| byte(codebook[i % codebook.len()]))
}

fn rounded(x: f32, unit: f64) -> i32 {
    (f64::from(x) / unit).round_ties_even() as i32
}

fn largest(codebook: &[f32]) -> f64 {
    let largest = codebook.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    f64::from(largest).max(f64::from(f32::MIN_POSITIVE))
}

/// Relative root mean square error of a codebook in multiples of `unit`.
fn error(codebook: &[f32], unit: f64) -> f64 {
    let (mut error, mut power) = (0.0, 0.0);
    for &x in codebook {
        let x64 = f64::from(x);
        error += (f64::from(rounded(x, unit)) * unit - x64).powi(2);
        power += x64 * x64;
    }
    (error / power.max(f64::MIN_POSITIVE)).sqrt()
}

/// The unit in whose multiples of up to 127 the codebook fits best.
fn best_unit(codebook: &[f32]) -> f64 {
    let largest = largest(codebook);
    let mut best = (f64::INFINITY, largest);
    for steps in 1..=ONE_PLANE_MAX {
        // The largest entry need not be hit exactly.
        for i in -20..=20 {
            let unit = largest / f64::from(steps) * (1.0 + f64::from(i) * 1e-5);
            if largest / unit >= f64::from(ONE_PLANE_MAX) + 0.5 {
                continue;
            }
            let error = error(codebook, unit);
            if error < best.0 {
                best = (error, unit);
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::codebook;

    /// The integer of each of the first `codes` codes.
    fn integers(lut: &Lut, codes: usize) -> Vec<i32> {
        (0..codes)
            .map(|code| {
                let high = i32::from(lut.high[code]) - OFFSET;
                match &lut.low {
                    Some(low) => 128 * high + i32::from(low[code]) - OFFSET,
                    None => high,
                }
            })
            .collect()
    }

    #[test]
    fn two_bits_fit_one_plane_and_four_need_two() {
        let two = Lut::of(&codebook(2048, 2));
        assert!(two.low.is_none());
        assert_eq!(integers(&two, 4), [-103, -31, 31, 103]);
        for bits in [3, 4, 8] {
            let values = codebook(2048, bits);
            let lut = Lut::of(&values);
            for (c, x) in integers(&lut, values.len()).iter().zip(&values) {
                let unit = f64::from(lut.unit);
                assert!((f64::from(*c) * unit - f64::from(*x)).abs() <= unit * 0.51);
            }
        }
    }
}
