//! Logits of tiny ZAYA bundles against those of other implementations:
//! jang 2.5.50 on MLX and transformers 5.23 (`tests/golden/README.md` says how
//! they were made), within 2e-4.

#[path = "parity/mod.rs"]
mod parity;

#[test]
fn logits_are_those_of_other_implementations() {
    parity::agree(cairn::model::BackendKind::Cpu);
}
