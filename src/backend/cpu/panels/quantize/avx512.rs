//! Rotation and quantization with AVX-512: the operations of the portable body
//! in the same order, so the same bits.

use std::arch::x86_64::*;

use super::{ROUNDER, Token};
use crate::backend::cpu::panels::Order;
use crate::quant::blocks;

/// Numbers of a vector.
const LANES: usize = 16;

/// Columns whose integers leave together, as one vector of bytes per plane.
pub(super) const STEP: usize = 64;

/// Columns of a vector of sums.
const SUMMED: usize = 32;

/// Vectors that the first pass of a transform holds in registers.
const FIRST: usize = 16;

/// Defines a function for processors with the features of `Level::Avx512`.
macro_rules! features {
    ($(#[$attribute:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$attribute])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma,f16c"
        )]
        $vis unsafe fn $($rest)*
    };
}

features! {
/// `to = rotate(from)`, as `quant::rotate` has it.
///
/// # Safety
/// The processor has these features.
///
/// # Panics
/// If the lengths differ or are no multiple of 16.
pub(super) unsafe fn rotate(from: &[f32], signs: &[f32], to: &mut [f32]) {
    assert!(from.len() == to.len() && signs.len() == to.len());
    assert!(to.len().is_multiple_of(LANES));
    let mut start = 0;
    for block in blocks(to.len()) {
        let count = block / LANES;
        let (first, last) = (count.min(FIRST), start + block);
        let whole = (1.0 / (block as f64).sqrt()) as f32;
        let mut scale = if count == first { whole } else { 1.0 };
        for at in (start..last).step_by(first * LANES) {
            // SAFETY: `first` vectors from `at` on lie within the block, and so
            // within all three.
            unsafe {
                let (from, signs) = (from.as_ptr().add(at), signs.as_ptr().add(at));
                let to = to.as_mut_ptr().add(at);
                match first {
                    1 => near::<1>(from, signs, to, scale),
                    2 => near::<2>(from, signs, to, scale),
                    4 => near::<4>(from, signs, to, scale),
                    8 => near::<8>(from, signs, to, scale),
                    _ => near::<FIRST>(from, signs, to, scale),
                }
            }
        }
        let mut stride = first;
        while stride < count {
            let radix = (count / stride).min(FIRST);
            if stride * radix == count {
                scale = whole;
            }
            for at in (start..last).step_by(stride * radix * LANES) {
                // SAFETY: `radix` times `stride` vectors from `at` on lie within
                // the block.
                unsafe {
                    let to = to.as_mut_ptr().add(at);
                    match radix {
                        2 => far::<2>(to, stride, scale),
                        4 => far::<4>(to, stride, scale),
                        8 => far::<8>(to, stride, scale),
                        _ => far::<FIRST>(to, stride, scale),
                    }
                }
            }
            stride *= radix;
        }
        start = last;
    }
}
}

features! {
/// Signs, and butterflies at all distances within `V` vectors.
///
/// # Safety
/// The processor has these features; `V` vectors can be read, and written.
unsafe fn near<const V: usize>(from: *const f32, signs: *const f32, to: *mut f32, scale: f32) {
    let mut x = [_mm512_setzero_ps(); V];
    for (v, x) in x.iter_mut().enumerate() {
        // SAFETY: within the `V` vectors.
        let (from, sign) = unsafe {
            let at = v * LANES;
            (_mm512_loadu_ps(from.add(at)), _mm512_loadu_ps(signs.add(at)))
        };
        *x = within(_mm512_mul_ps(from, sign));
    }
    butterflies(&mut x);
    for (v, x) in x.iter().enumerate() {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(to.add(v * LANES), _mm512_mul_ps(*x, _mm512_set1_ps(scale))) };
    }
}
}

features! {
/// Butterflies at `stride` vectors and its doubles, `log2 R` of them.
///
/// # Safety
/// The processor has these features; `R * stride` vectors are `x`'s.
unsafe fn far<const R: usize>(x: *mut f32, stride: usize, scale: f32) {
    for j in 0..stride {
        let at = |r: usize| x.wrapping_add((r * stride + j) * LANES);
        // SAFETY: `r < R` and `j < stride`.
        let mut v: [__m512; R] = std::array::from_fn(|r| unsafe { _mm512_loadu_ps(at(r)) });
        butterflies(&mut v);
        for (r, v) in v.iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(at(r), _mm512_mul_ps(*v, _mm512_set1_ps(scale))) };
        }
    }
}
}

/// `(a + b, a - b)` of vectors at distances 1, 2, 4, ...
#[inline]
#[target_feature(enable = "avx512f")]
fn butterflies<const V: usize>(x: &mut [__m512; V]) {
    let mut half = 1;
    while half < V {
        for i in 0..V {
            if i & half == 0 {
                let (a, b) = (x[i], x[i + half]);
                (x[i], x[i + half]) = (_mm512_add_ps(a, b), _mm512_sub_ps(a, b));
            }
        }
        half *= 2;
    }
}

/// Butterflies at distances 1, 2, 4 and 8 of a vector's own numbers. A lane's
/// partner plus or minus the lane is one multiply-add with 1 or -1, which rounds
/// as the addition does.
#[inline]
#[target_feature(enable = "avx512f")]
fn within(x: __m512) -> __m512 {
    let signed =
        |mask: __mmask16| _mm512_mask_blend_ps(mask, _mm512_set1_ps(1.0), _mm512_set1_ps(-1.0));
    let x = _mm512_fmadd_ps(x, signed(0xaaaa), _mm512_permute_ps::<0b10_11_00_01>(x));
    let x = _mm512_fmadd_ps(x, signed(0xcccc), _mm512_permute_ps::<0b01_00_11_10>(x));
    let swapped = _mm512_shuffle_f32x4::<0b10_11_00_01>(x, x);
    let x = _mm512_fmadd_ps(x, signed(0xf0f0), swapped);
    let swapped = _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x);
    _mm512_fmadd_ps(x, signed(0xff00), swapped)
}

/// Whether [`quantize`] takes rows of this width with sums of these groups.
pub(super) fn suits(width: usize, group: usize) -> bool {
    width.is_multiple_of(STEP) && (group == width || group.is_multiple_of(SUMMED))
}

features! {
/// # Safety
/// The processor has these features.
///
/// # Panics
/// If the row does not suit, or `out` is not planes of its width.
pub(super) unsafe fn quantize(row: &[f32], order: Order, group: usize, out: &mut Token<'_>) {
    let width = row.len();
    assert!(suits(width, group) && out.high.len() == width && out.low.len() == width);
    let Some((scale, inverse)) = super::scales(largest(row)) else {
        return super::not_finite(out);
    };
    *out.scale = scale;
    let inverse = _mm512_set1_ps(inverse);
    // SAFETY: 64 bytes.
    let order = unsafe { _mm512_loadu_si512(PLACES[order as usize].as_ptr().cast()) };
    let mut total = _mm512_setzero_si512();
    let per_sum = group / SUMMED;
    for (part, chunk) in row.chunks(LANES * SUMMED).enumerate() {
        let mut sums = [_mm512_setzero_si512(); LANES];
        for (step, x) in chunk.chunks_exact(STEP).enumerate() {
            let at = part * LANES * SUMMED + step * STEP;
            let bits: [__m512i; 4] = std::array::from_fn(|v| {
                // SAFETY: 64 numbers.
                let x = unsafe { _mm512_loadu_ps(x.as_ptr().add(v * LANES)) };
                // Rounded twice, as the portable body does.
                let scaled = _mm512_mul_ps(x, inverse);
                _mm512_castps_si512(_mm512_add_ps(scaled, _mm512_set1_ps(ROUNDER)))
            });
            // The rounder's own bits go in the sums of two.
            let twice = _mm512_set1_epi32((ROUNDER.to_bits() as i32).wrapping_mul(2));
            let pair = |a, b| _mm512_sub_epi32(_mm512_add_epi32(a, b), twice);
            sums[2 * step] = pair(bits[0], bits[1]);
            sums[2 * step + 1] = pair(bits[2], bits[3]);
            // The lowest 16 bits are the integers.
            let (upper_a, low_a) = planes(words(bits[0], bits[1]));
            let (upper_b, low_b) = planes(words(bits[2], bits[3]));
            let high = _mm512_permutexvar_epi8(order, bytes(upper_a, upper_b));
            let low = _mm512_permutexvar_epi8(order, bytes(low_a, low_b));
            // SAFETY: 64 columns from `at` on, as asserted.
            unsafe {
                _mm512_storeu_si512(out.high.as_mut_ptr().add(at).cast(), high);
                _mm512_storeu_si512(out.low.as_mut_ptr().add(at).cast(), low);
            }
        }
        if group == width {
            for sum in sums {
                total = _mm512_add_epi32(total, sum);
            }
            continue;
        }
        let mut lanes = [0i32; LANES];
        // SAFETY: 16 integers.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), across(&sums)) };
        let count = chunk.len() / SUMMED;
        if per_sum == 1 {
            out.sums[part * LANES..][..count].copy_from_slice(&lanes[..count]);
            continue;
        }
        for (i, lane) in lanes[..count].iter().enumerate() {
            let place = part * LANES + i;
            let sum = &mut out.sums[place / per_sum];
            *sum = lane + if place.is_multiple_of(per_sum) { 0 } else { *sum };
        }
    }
    if group == width {
        out.sums[0] = _mm512_reduce_add_epi32(total);
    }
}
}

/// The largest magnitude; infinite or NaN if a number is. Without its sign a
/// float's bits are an integer in the same order.
#[inline]
#[target_feature(enable = "avx512f")]
fn largest(row: &[f32]) -> f32 {
    let mut most = [_mm512_setzero_si512(); 4];
    let magnitude = _mm512_set1_epi32(i32::MAX);
    for x in row.as_chunks::<STEP>().0 {
        for (v, most) in most.iter_mut().enumerate() {
            // SAFETY: 64 numbers.
            let x = unsafe { _mm512_loadu_si512(x.as_ptr().add(v * LANES).cast()) };
            *most = _mm512_max_epi32(*most, _mm512_and_si512(x, magnitude));
        }
    }
    let [a, b, c, d] = most;
    let most = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
    f32::from_bits(_mm512_reduce_max_epi32(most) as u32)
}

/// The lower halves of `a` and `b`, by turns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(a: __m512i, b: __m512i) -> __m512i {
    _mm512_mask_blend_epi16(0xaaaa_aaaa, a, _mm512_slli_epi32::<16>(b))
}

/// The lower halves of words of `a` and `b`, by turns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bytes(a: __m512i, b: __m512i) -> __m512i {
    _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, a, _mm512_slli_epi16::<8>(b))
}

/// Words as `128 * high + low`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn planes(x: __m512i) -> (__m512i, __m512i) {
    let upper = _mm512_srai_epi16::<7>(_mm512_add_epi16(x, _mm512_set1_epi16(64)));
    (upper, _mm512_sub_epi16(x, _mm512_slli_epi16::<7>(upper)))
}

/// Lane `i` is the sum of the lanes of vector `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn across(x: &[__m512i; LANES]) -> __m512i {
    // Each 128 bits of them: sums of four vectors.
    let four = |i: usize| {
        let two = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (a, b) = (two(x[i], x[i + 1]), two(x[i + 2], x[i + 3]));
        _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
    };
    let halves = |a, b| {
        let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        _mm512_add_epi32(even, _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b))
    };
    halves(halves(four(0), four(4)), halves(four(8), four(12)))
}

/// For each [`Order`], where the bytes of 64 columns lie in what [`bytes`] of
/// [`words`] makes.
static PLACES: [[u8; STEP]; 3] = [
    places(Order::Natural),
    places(Order::Nibbles),
    places(Order::Crumbs),
];

const fn places(order: Order) -> [u8; STEP] {
    let mut places = [0; STEP];
    let mut i = 0;
    while i < STEP {
        let column = match order {
            Order::Natural => i,
            Order::Nibbles => i / 8 * 8 + i % 4 * 2 + i % 8 / 4,
            Order::Crumbs => i / 16 * 16 + i % 4 * 4 + i % 16 / 4,
        };
        let vector = [0, 2, 1, 3][column / LANES];
        places[i] = (column % LANES * 4 + vector) as u8;
        i += 1;
    }
    places
}
