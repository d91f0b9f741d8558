//! The kernels, one module per instruction set. All compute the same bits.

use std::ops::Range;

/// Defines a function for processors with the AVX-512 features that
/// `Level::Avx512` stands for.
#[cfg(target_arch = "x86_64")]
macro_rules! features {
    ($(#[$attribute:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$attribute])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma,f16c"
        )]
        $vis unsafe fn $($rest)*
    };
}

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod portable;

/// Bytes of activations that are used with one panel after the other: they stay
/// in the second-level cache.
const BLOCK_BYTES: usize = 1 << 20;

/// `range` in as few parts of at most `most` as there can be, of nearly the same
/// size.
fn parts(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let count = range.len().div_ceil(most);
    let at = move |i: usize| range.start + i * range.len() / count.max(1);
    (0..count).map(move |i| at(i)..at(i + 1))
}

/// Tokens with so many bytes each that are multiplied with all panels before the
/// next are.
fn blocks(tokens: Range<usize>, bytes: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    parts(
        tokens,
        (BLOCK_BYTES / bytes.max(1)).max(16).next_multiple_of(16),
    )
}
