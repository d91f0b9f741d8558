//! Vectors of 16 f32, one type per instruction set. A kernel written once over
//! [`Lanes`] does the same operations in the same order on all of them, so it
//! yields the same bits: every operation here is exact or rounds once, as IEEE
//! 754 says.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

/// Numbers of a vector.
pub(super) const LANES: usize = 16;

/// 16 numbers. A value exists only where the instructions of its type do, which
/// is why only the constructors are unsafe.
pub(super) trait Lanes: Copy {
    /// # Safety
    /// The processor has the type's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// # Safety
    /// As [`Lanes::splat`]; 16 numbers can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;

    /// Halves, widened. Only of finite ones every instruction set makes the same.
    ///
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn load_halves(from: *const u16) -> Self;

    /// Stores the nearest halves.
    ///
    /// # Safety
    /// 16 halves can be written at `to`.
    unsafe fn store_halves(self, to: *mut u16);

    /// # Safety
    /// 16 numbers can be written at `to`.
    unsafe fn store(self, to: *mut f32);

    fn add(self, other: Self) -> Self;

    fn sub(self, other: Self) -> Self;

    fn mul(self, other: Self) -> Self;

    /// `self * factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// The greater ones; `other` where there is no order.
    fn max(self, other: Self) -> Self;

    /// `then` where this is less than `bound`, else `other`.
    fn where_less(self, bound: Self, then: Self, other: Self) -> Self;

    /// This in the first `count` lanes, `other` in the rest.
    fn first(self, count: usize, other: Self) -> Self;

    /// The bits, as integers, shifted left by 23: an integer in the lowest bits
    /// becomes an exponent.
    fn to_exponent(self) -> Self;

    /// The greatest lane.
    fn greatest(self) -> f32;
}

/// What is stored and widened to f32 when it is loaded.
pub(super) trait Element: Copy {
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn lanes<L: Lanes>(from: *const Self) -> L;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn lanes<L: Lanes>(from: *const Self) -> L {
        // SAFETY: the caller's.
        unsafe { L::load(from) }
    }
}

impl Element for u16 {
    #[inline(always)]
    unsafe fn lanes<L: Lanes>(from: *const Self) -> L {
        // SAFETY: the caller's.
        unsafe { L::load_halves(from) }
    }
}

/// Asks for the cache line at `at`, which may be any address, to be brought near.
#[inline(always)]
pub(super) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing; SSE is part of the target.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// [`prefetch`] into the second-level cache only. It has many more requests under
/// way at a time than the first.
#[inline(always)]
pub(super) fn prefetch_far(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
