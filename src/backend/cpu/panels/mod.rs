//! Weights rearranged for the processor: panels of 16 rows, in which each group
//! of four columns of all 16 rows lies together. One 64-byte vector then holds
//! four inputs' codes of 16 rows, a product needs no sum across lanes, and a run
//! of panels is one stream of memory. The same layout is what AMX reads as its
//! second operand.
//!
//! What a product means is fixed here and is the same for every instruction
//! set, to the last bit. Inputs are integers `X` with one scale per token
//! ([`Activations`]). With integer codes, sums of products are integers and
//! exact. Affine: `y = scale * sum over groups g, in order, of
//! (s_g * D_g + b_g * S_g)`, two fused multiply-adds per group, where
//! `D_g = sum q X` and `S_g = sum X`. MXTQ: `y = D * norm * (unit * scale)` with
//! `D = sum c X` and `c` the codebook in integers ([`Lut`]). Floats: fused
//! multiply-adds over the columns in order.

mod activations;
mod float;
mod integer;
mod lazy;
mod lut;
mod pack;
mod product;
mod quantize;
mod simd;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod bits_tests;
#[cfg(test)]
mod tests;

pub(super) use activations::Activations;
pub(super) use float::FloatPanels;
pub(super) use integer::{Encoding, IntegerPanels, Order, ScaleWidth};
pub(super) use lazy::{Form, LazyPanels, Spread};
pub(super) use lut::{Lut, Luts};
pub(super) use product::{Sink, float_product, integer_product, pair_product};
#[cfg(target_arch = "x86_64")]
pub(super) use simd::amx::available as amx_available;

/// Rows of a panel.
pub(super) const PANEL: usize = 16;
