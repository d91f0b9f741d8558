//! Bit-exactness in a real model's shapes: the same check that the tests make of
//! small bundles.

#[path = "../../../tests/exact_bits/mod.rs"]
#[allow(
    dead_code,
    reason = "the tests use more of it, to compare instruction sets"
)]
mod exact_bits;

use std::path::Path;

use anyhow::{Result, anyhow};
use cairn::bundle::Bundle;

/// Every way to divide the work gives the bits of the usual one.
pub fn check(folder: &Path) -> Result<String> {
    let bundle = Bundle::open(folder)?;
    let logits = exact_bits::check(&bundle).map_err(|what| anyhow!("{what}"))?;
    let ways = exact_bits::same_bits().len();
    Ok(format!(
        "{} logits, the same in {} ways; batches of 1 to 8",
        logits.len(),
        ways + 1
    ))
}
