#![cfg(feature = "mlx")]
//! The same logits through the MLX backend, within 2e-4 as well.

#[path = "parity/mod.rs"]
mod parity;

#[test]
fn logits_are_those_of_other_implementations() {
    parity::agree(cairn::model::BackendKind::Mlx);
}
