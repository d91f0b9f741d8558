//! Whole bundles written by jang's converters, re-encoded from the checkpoint
//! they were made from: every tensor must come out byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cairn::quant::{encode_affine, encode_mxtq};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Values of a float tensor; BF16 and F32 sources widen exactly.
    fn floats(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::BF16 => halves(&self.bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F32 => self
                .bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            other => panic!("{other:?} in a source checkpoint"),
        }
    }

    fn last(&self) -> usize {
        *self.shape.last().expect("not a scalar")
    }
}

fn halves(bytes: &[u8], widen: impl Fn([u8; 2]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|b| widen(*b)).collect()
}

fn le_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn le_halves(halves: &[f16]) -> Vec<u8> {
    halves.iter().flat_map(|h| h.to_le_bytes()).collect()
}

/// All tensors of a folder's shards; the sidecar is not one.
fn load(folder: &Path) -> BTreeMap<String, Tensor> {
    let mut out = BTreeMap::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !(name.starts_with("model-") && name.ends_with(".safetensors")) {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        for (name, view) in SafeTensors::deserialize(&file).unwrap().tensors() {
            let tensor = Tensor {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            assert!(out.insert(name, tensor).is_none(), "twice");
        }
    }
    out
}

/// What the converter encoded under `base`: a matrix of the checkpoint, or one
/// projection of a layer's experts, stacked. Values and inputs per row.
fn weights(source: &BTreeMap<String, Tensor>, base: &str) -> (Vec<f32>, usize) {
    let Some((layer, projection)) = base.split_once(".switch_mlp.") else {
        let tensor = &source[&format!("{base}.weight")];
        return (tensor.floats(), tensor.last());
    };
    let linear = match projection {
        "down_proj" => "linear_fc2",
        _ => "linear_fc1",
    };
    let experts =
        (0..).map_while(|e| source.get(&format!("{layer}.local_experts.{e}.{linear}.weight")));
    let (mut values, mut cols) = (Vec::new(), 0);
    for tensor in experts {
        let all = tensor.floats();
        cols = tensor.last();
        // fc1 holds the rows of gate, then those of up.
        let (first, second) = all.split_at(all.len() / 2);
        match projection {
            "gate_proj" => values.extend(first),
            "up_proj" => values.extend(second),
            _ => values.extend(&all),
        }
    }
    assert!(cols > 0, "{base} has no source");
    (values, cols)
}

/// Re-encodes a bundle. Returns how many tensors were compared.
fn check(source: &Path, bundle: &Path) -> usize {
    let (source, bundled) = (load(source), load(bundle));
    let mut compared = 0;
    let mut same = |name: &str, ours: Vec<u8>| {
        assert!(
            ours == bundled[name].bytes,
            "{name} of {} differs",
            bundle.display()
        );
        compared += 1;
    };
    for (name, tensor) in &bundled {
        let base = name.rsplit_once('.').expect("dotted").0;
        if name.ends_with(".tq_packed") {
            let (values, cols) = weights(&source, base);
            let bits = u32::from(bundled[&format!("{base}.tq_bits")].bytes[0]);
            let ours = encode_mxtq(&values, values.len() / cols, cols, bits, 42);
            same(name, le_words(&ours.words));
            same(&format!("{base}.tq_norms"), le_halves(&ours.norms));
            same(&format!("{base}.tq_bits"), vec![bits as u8]);
        } else if let Some(scales) = bundled.get(&format!("{base}.scales")) {
            if !name.ends_with(".weight") {
                continue;
            }
            let (values, cols) = weights(&source, base);
            let bits = (32 * tensor.last() / cols) as u32;
            let group = cols / scales.last();
            let ours = encode_affine(&values, values.len() / cols, cols, bits, group);
            same(name, le_words(&ours.words));
            same(&format!("{base}.scales"), le_halves(&ours.scales));
            same(&format!("{base}.biases"), le_halves(&ours.biases));
        } else if !name.contains(".tq_") {
            let values = source[name].floats();
            same(
                name,
                le_halves(&values.into_iter().map(f16::from_f32).collect::<Vec<_>>()),
            );
        }
    }
    assert_eq!(compared, bundled.len());
    compared
}

const KINDS: [&str; 5] = ["JANGTQ2", "JANGTQ3", "JANGTQ4", "JANGTQ_K", "MXFP4"];

#[test]
fn golden_bundles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya");
    for kind in KINDS {
        check(&root.join("BF16"), &root.join(kind));
    }
}

/// The folders that `cargo xtask oracle` makes, which runs this.
#[test]
#[ignore = "needs CAIRN_ORACLE_DIR, a folder made with Python"]
fn oracle_bundles() {
    let root = std::env::var_os("CAIRN_ORACLE_DIR").expect("CAIRN_ORACLE_DIR names the folder");
    for hidden in ["256", "320"] {
        let folder = PathBuf::from(&root).join(hidden);
        for kind in KINDS {
            let count = check(&folder.join("source"), &folder.join(kind));
            println!("{hidden} {kind}: {count} tensors, equal bytes");
        }
    }
}
