//! Arrays, for the compiler to make vectors of.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{LANES, Lanes};
use crate::quant::widen_f16;

#[derive(Clone, Copy)]
pub struct Portable(pub [f32; LANES]);

/// Lane by lane.
#[inline(always)]
fn zip(a: Portable, b: Portable, f: impl Fn(f32, f32) -> f32) -> Portable {
    let mut out = a.0;
    for (x, y) in out.iter_mut().zip(b.0) {
        *x = f(*x, y);
    }
    Portable(out)
}

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const u16) -> Self {
        // SAFETY: the caller's.
        let halves = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        let mut out = [0.0; LANES];
        for (x, half) in out.iter_mut().zip(halves) {
            *x = widen_f16(half);
        }
        Self(out)
    }

    #[inline(always)]
    unsafe fn store_halves(self, to: *mut u16) {
        let mut halves = [f16::ZERO; LANES];
        halves.convert_from_f32_slice(&self.0);
        // SAFETY: the caller's.
        unsafe {
            to.cast::<[u16; LANES]>()
                .write_unaligned(halves.map(f16::to_bits));
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        zip(self, other, |x, y| x + y)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        zip(self, other, |x, y| x - y)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        zip(self, other, |x, y| x * y)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let mut out = addend.0;
        for ((sum, x), y) in out.iter_mut().zip(self.0).zip(factor.0) {
            *sum = x.mul_add(y, *sum);
        }
        Self(out)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        zip(self, other, |x, y| if x > y { x } else { y })
    }

    #[inline(always)]
    fn where_less(self, bound: Self, then: Self, other: Self) -> Self {
        let mut out = other.0;
        let lanes = out.iter_mut().zip(self.0).zip(bound.0).zip(then.0);
        for (((out, x), bound), then) in lanes {
            *out = if x < bound { then } else { *out };
        }
        Self(out)
    }

    #[inline(always)]
    fn first(self, count: usize, other: Self) -> Self {
        let mut out = other.0;
        for (i, (out, x)) in out.iter_mut().zip(self.0).enumerate() {
            *out = if i < count { x } else { *out };
        }
        Self(out)
    }

    #[inline(always)]
    fn to_exponent(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(x.to_bits() << 23)))
    }

    #[inline(always)]
    fn greatest(self) -> f32 {
        self.0
            .into_iter()
            .fold(f32::MIN, |x, y| if x > y { x } else { y })
    }
}
