//! Logits of tiny ZAYA bundles against those of other implementations:
//! jang 2.5.50 on MLX and transformers 5.23 (`tests/golden/README.md` says how
//! they were made), within 2e-4.

#[path = "parity/mod.rs"]
mod parity;

use cairn::backend::SkipMode;
use cairn::model::BackendKind;

fn agree(name: &str, skip: SkipMode) {
    parity::agree(BackendKind::Cpu, name, skip);
}

#[test]
fn jangtq_k() {
    agree("JANGTQ_K", SkipMode::ScaledInput);
}

#[test]
fn jangtq2() {
    agree("JANGTQ2", SkipMode::ScaledInput);
}

#[test]
fn jangtq3() {
    agree("JANGTQ3", SkipMode::ScaledInput);
}

#[test]
fn jangtq4() {
    agree("JANGTQ4", SkipMode::ScaledInput);
}

#[test]
fn mxfp4() {
    agree("MXFP4", SkipMode::ScaledInput);
}

#[test]
fn bf16() {
    agree("BF16", SkipMode::ScaledInput);
}

/// Width 96: rotation in blocks of 64 and 32.
#[test]
fn jangtq_k_of_a_width_that_is_no_power_of_two() {
    agree("JANGTQ_K-96", SkipMode::ScaledInput);
}

/// The 40-layer layout, in which a skipped token gets nothing.
#[test]
fn transformers() {
    agree("transformers", SkipMode::Zero);
}
