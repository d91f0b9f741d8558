//! The kernels for AVX2, which has no dot product of bytes that is exact: codes
//! are taken apart into columns 0 and 2 and columns 1 and 3 of each four, as 16
//! bits each, so that `vpmaddwd` with 16-bit activations adds two columns of a
//! row into the row's lane. Codebooks are looked up by `vpshufb`.

macro_rules! features {
    ($(#[$doc:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(enable = "avx2,fma,f16c")]
        $vis unsafe fn $($rest)*
    };
}

mod codes;
mod float;
mod integer;

pub use float::float;
pub use integer::integer;

/// Bytes ahead of a load that are fetched.
const AHEAD: usize = 4096;
