//! The kernels for aarch64 with dot products of bytes. `sdot` wants both operands
//! signed: codes lose 128, which the sums of the activations give back exactly.
//! It and the conversion from f16 have no stable intrinsics: they are written as
//! assembly. Codebooks are looked up by `tbl`.

macro_rules! features {
    ($(#[$doc:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(enable = "neon,dotprod")]
        $vis unsafe fn $($rest)*
    };
}

mod codes;
mod float;
mod integer;

pub use float::float;
pub use integer::integer;
