//! The kernels, one file per instruction set. All compute the same bits.

#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod portable;
