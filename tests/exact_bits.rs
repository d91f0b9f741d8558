//! The default path gives the same bits however its work is divided, and all
//! but the same logits on any instruction set.

#[path = "exact_bits/mod.rs"]
mod exact_bits;

use std::path::Path;

use cairn::backend::cpu::Instructions;
use cairn::bundle::Bundle;
use exact_bits::{Way, check, engine, logits};

/// How far logits of instruction sets may lie apart.
const TOLERANCE: f32 = 1e-4;

fn open(path: &str) -> Bundle {
    Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn exact(path: &str) {
    let bundle = open(path);
    let want = check(&bundle).unwrap_or_else(|what| panic!("{path}: {what}"));
    for level in [
        Instructions::Portable,
        Instructions::Neon,
        Instructions::Avx2,
    ] {
        let way = Way {
            threads: 2,
            chunk: 32,
            instructions: Some(level),
        };
        let found = logits(&*engine(&bundle, way));
        let apart = want.iter().zip(&found).map(|(w, f)| (w - f).abs());
        let most = apart.fold(0.0, f32::max);
        assert!(most <= TOLERANCE, "{path}, {level:?}: {most} apart");
    }
}

#[test]
fn the_demo() {
    exact("models/demo");
}

#[test]
fn codebooks() {
    for name in ["JANGTQ2", "JANGTQ3", "JANGTQ4", "JANGTQ_K", "JANGTQ_K-96"] {
        exact(&format!("tests/golden/zaya/{name}"));
    }
}

#[test]
fn affine_codes() {
    exact("tests/golden/zaya/MXFP4");
}

#[test]
fn floats() {
    for name in ["BF16", "transformers"] {
        exact(&format!("tests/golden/zaya/{name}"));
    }
}
