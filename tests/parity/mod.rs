//! Logits of tiny ZAYA bundles against those of other implementations, on any
//! backend. Each case runs as one prefill and in chunks of 1, 3 and 7.

use std::path::{Path, PathBuf};

use cairn::backend::cpu::{CpuOptions, Precision};
use cairn::backend::{KvDtype, SkipMode};
use cairn::bundle::Bundle;
use cairn::model::{BackendKind, LoadOptions, load};
use safetensors::SafeTensors;

const TOLERANCE: f32 = 2e-4;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya")
}

/// One prompt with the logits that another implementation gave it.
struct Case {
    tokens: Vec<u32>,
    logits: Vec<f32>,
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

fn cases(name: &str) -> Vec<Case> {
    let ids = std::fs::read(golden().join(format!("{name}.ids.json"))).unwrap();
    let ids: serde_json::Value = serde_json::from_slice(&ids).unwrap();
    let list = |key: &str| -> Vec<u32> {
        ids[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap() as u32)
            .collect()
    };
    let bytes = std::fs::read(golden().join(format!("{name}.expected.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    if ids.get("tokens").is_some() {
        return vec![Case {
            tokens: list("tokens"),
            logits: floats(&file, "logits"),
        }];
    }
    ["short", "long"]
        .iter()
        .map(|prompt| Case {
            tokens: [list(prompt), list(&format!("{prompt}_decode"))].concat(),
            logits: [
                floats(&file, &format!("f32.{prompt}.prefill_logits")),
                floats(&file, &format!("f32.{prompt}.decode_logits")),
            ]
            .concat(),
        })
        .collect()
}

/// The bundles, with what a token without an expert gets in the reference. Width
/// 96 means rotation in blocks of 64 and 32; transformers has the 40-layer layout.
const BUNDLES: [(&str, SkipMode); 8] = [
    ("JANGTQ_K", SkipMode::ScaledInput),
    ("JANGTQ2", SkipMode::ScaledInput),
    ("JANGTQ3", SkipMode::ScaledInput),
    ("JANGTQ4", SkipMode::ScaledInput),
    ("MXFP4", SkipMode::ScaledInput),
    ("BF16", SkipMode::ScaledInput),
    ("JANGTQ_K-96", SkipMode::ScaledInput),
    ("transformers", SkipMode::Zero),
];

/// All bundles on one backend.
pub fn agree(backend: BackendKind) {
    for (name, skip) in BUNDLES {
        agree_on(backend, name, skip);
    }
}

fn agree_on(backend: BackendKind, name: &str, skip: SkipMode) {
    let bundle = Bundle::open(&golden().join(name)).unwrap();
    for case in cases(name) {
        for chunk in [usize::MAX, 1, 3, 7] {
            let options = LoadOptions {
                backend,
                cpu: CpuOptions {
                    threads: 2,
                    precision: Precision::F32,
                    ..CpuOptions::default()
                },
                kv: KvDtype::F32,
                skip,
                chunk: Some(chunk),
                ..LoadOptions::default()
            };
            let engine = load(&bundle, &options).unwrap();
            let mut cache = engine.new_cache();
            let got = engine.logits(&mut cache, &case.tokens).unwrap();
            assert_eq!(got.len(), case.logits.len(), "{name}");
            let worst = got
                .iter()
                .zip(&case.logits)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst <= TOLERANCE, "{name}, chunks of {chunk}: {worst}");
        }
    }
}
