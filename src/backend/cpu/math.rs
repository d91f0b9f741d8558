//! Functions on [`Lanes`], by polynomials: the same bits on every processor,
//! which a system's mathematics library does not promise.

use std::f32::consts::{LN_2, LOG2_E};

use super::lanes::{LANES, Lanes, Portable};

/// Adding it rounds a number of less than 2^22 to an integer, which then lies in
/// the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// `(2^r - 1) / r` for `r` in -1/2..1/2, interpolated at Chebyshev nodes: a
/// relative error of 2^r of 1e-8, a sixth of the last place.
const EXP2: [f32; 6] = [
    LN_2,
    0.240_226_5,
    0.055_503_57,
    0.009_618_083,
    0.001_339_086_3,
    0.000_154_531_63,
];

/// The same for `(e^r - 1) / r` and `r` within half of ln 2.
const EXP: [f32; 6] = [
    1.0,
    0.5,
    0.166_665_05,
    0.041_666_467,
    0.008_369_149,
    0.001_393_364_2,
];

/// What ln 2 is more than [`LN_2`].
const LN_2_REST: f32 = -1.904_654_2e-9;

/// `1 + r * polynomial(r)`, by Horner's rule.
///
/// # Safety
/// As [`Lanes::splat`].
#[inline(always)]
unsafe fn one_plus<L: Lanes>(r: L, coefficients: [f32; 6]) -> L {
    // SAFETY: the caller's.
    unsafe {
        let [c0, c1, c2, c3, c4, c5] = coefficients;
        let p = L::splat(c5).mul_add(r, L::splat(c4));
        let p = p.mul_add(r, L::splat(c3)).mul_add(r, L::splat(c2));
        let p = p.mul_add(r, L::splat(c1)).mul_add(r, L::splat(c0));
        p.mul_add(r, L::splat(1.0))
    }
}

/// `2^x` for `x` up to 0, within one unit in the last place; 0 where the result
/// would be less than the least normal number. `2^0` is 1.
///
/// # Safety
/// As [`Lanes::splat`].
#[inline(always)]
pub(super) unsafe fn exp2_to_one<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's.
    unsafe {
        let rounded = x.add(L::splat(ROUND));
        let n = rounded.sub(L::splat(ROUND));
        let p = one_plus(x.sub(n), EXP2);
        let y = p.mul(rounded.add(L::splat(127.0)).to_exponent());
        x.where_less(L::splat(-126.0), L::splat(0.0), y)
    }
}

/// `e^x` within two units in the last place; 0 below -86.9, where it would be
/// about the least normal number, infinite where it would be too great.
///
/// # Safety
/// As [`Lanes::splat`].
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's.
    unsafe {
        let rounded = x.mul_add(L::splat(LOG2_E), L::splat(ROUND));
        let n = rounded.sub(L::splat(ROUND));
        let r = n.mul_add(L::splat(-LN_2), x);
        let r = n.mul_add(L::splat(-LN_2_REST), r);
        let p = one_plus(r, EXP);
        // In two steps: 2^128 is no number, but half of it is.
        let half = rounded.add(L::splat(126.0)).to_exponent();
        let y = p.mul(half).mul(L::splat(2.0));
        let y = L::splat(88.722_84).where_less(x, L::splat(f32::INFINITY), y);
        x.where_less(L::splat(-86.9), L::splat(0.0), y)
    }
}

/// [`exp`] on an array, for kernels compiled per level.
#[inline(always)]
pub(super) fn exp16(x: [f32; LANES]) -> [f32; LANES] {
    // SAFETY: arrays need no instructions.
    unsafe { exp(Portable(x)).0 }
}

/// `2^x` of one number as [`exp2_to_one`] has it.
#[inline(always)]
pub(super) fn exp2_to_one_scalar(x: f32) -> f32 {
    // SAFETY: as above.
    unsafe { exp2_to_one(Portable([x; LANES])).0[0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::level::{Level, per_level};

    #[inline(always)]
    fn both_body(x: &[f32; LANES], out: &mut [[f32; LANES]; 2]) {
        // SAFETY: arrays need no instructions.
        out[0] = unsafe { exp2_to_one(Portable(*x)).0 };
        out[1] = exp16(*x);
    }

    per_level! {
        fn both = both_body(x: &[f32; LANES], out: &mut [[f32; LANES]; 2])
    }

    /// Distance from the exact value in units of its last place.
    fn ulps(y: f32, exact: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) * exact.log2().floor().exp2();
        (f64::from(y) - exact).abs() / unit
    }

    #[test]
    fn exponentials_are_close_and_the_same_at_every_level() {
        let (mut worst2, mut worst) = (0.0f64, 0.0f64);
        for i in 0..200_000u32 {
            let x: [f32; LANES] = std::array::from_fn(|lane| {
                -126.0 + (i * 16 + lane as u32) as f32 * (1.1 / 16384.0)
            });
            let mut results = Level::available().into_iter().map(|level| {
                let mut out = [[0.0; LANES]; 2];
                both(level, &x, &mut out);
                out.map(|lanes| lanes.map(f32::to_bits))
            });
            let first = results.next().expect("a level");
            assert!(results.all(|result| result == first));
            for (lane, &x) in x.iter().enumerate() {
                let wide = f64::from(x);
                if x <= 0.0 {
                    worst2 = worst2.max(ulps(f32::from_bits(first[0][lane]), wide.exp2()));
                }
                if (-86.899..88.722).contains(&x) {
                    worst = worst.max(ulps(f32::from_bits(first[1][lane]), wide.exp()));
                }
            }
        }
        assert!(worst2 < 1.0 && worst < 2.0, "{worst2} {worst}");
    }

    #[test]
    fn exponentials_of_the_far_ends() {
        let mut x = [0.0; LANES];
        x[..8].copy_from_slice(&[
            0.0,
            -0.0,
            -1e30,
            f32::NEG_INFINITY,
            1e30,
            88.73,
            f32::NAN,
            -88.0,
        ]);
        let y = exp16(x);
        assert_eq!(y[..6], [1.0, 1.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY]);
        assert!(y[6].is_nan() && y[7] == 0.0);
        assert!(exp16([88.722; LANES])[0].is_finite());
        let y = [0.0, -0.0, -126.0, -126.1, f32::MIN, f32::NEG_INFINITY].map(exp2_to_one_scalar);
        assert_eq!(y, [1.0, 1.0, f32::MIN_POSITIVE, 0.0, 0.0, 0.0]);
    }
}
