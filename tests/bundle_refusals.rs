//! Every way in which weight files can be unusable, and the line that says so:
//! file, tensor, problem, remedy.

mod bundle_support;

use std::path::Path;

use bundle_support::{Build, EXPERTS, HIDDEN, Tensor, WIDTH, refusal};
use cairn::bundle::Bundle;
use safetensors::Dtype;
use serde_json::{Value, json};

const AGAIN: &str = "download the bundle again";
const CONVERT: &str = "convert the model again or use a published bundle";
const EXPERT: &str = "model.layers.3.zaya_block.experts.switch_mlp.down_proj";
const FC1: &str = "model.layers.1.zaya_block.experts.local_experts.0.linear_fc1.weight";

fn mixed() -> Build {
    Build::jangtq([2, 2, 4])
}

/// The refusal of a bundle whose weights are `bytes`.
fn with_weights(bytes: Vec<u8>) -> String {
    let mut build = mixed();
    build.files.insert("model.safetensors".into(), bytes);
    build.refusal()
}

/// Weights with a header of this text.
fn header(text: &str, data: usize) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn changed(name: &str, change: impl Fn(&mut Tensor)) -> String {
    let mut build = mixed();
    change(build.tensor(name));
    build.refusal()
}

#[test]
fn folders_and_files_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    assert_eq!(
        refusal(Bundle::open(&none)),
        format!(
            "{}: can't be opened (entity not found); give the folder of a downloaded bundle",
            none.display()
        )
    );
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(
        refusal(Bundle::open(&file)),
        format!(
            "{}: is not a folder; give the folder that the file is in",
            file.display()
        )
    );
    assert_eq!(
        refusal(Bundle::open(dir.path())),
        "config.json: is missing: the model's configuration; give the folder of a complete bundle"
    );
    let without = |name: &str| {
        let files = mixed()
            .write()
            .into_iter()
            .filter(|(n, _)| n != name)
            .collect();
        refusal(Bundle::from_memory("tiny", files))
    };
    assert_eq!(
        without("tokenizer.json"),
        "tokenizer.json: is missing: the model's tokenizer; give the folder of a complete bundle"
    );
    assert_eq!(
        without("model.safetensors"),
        "model.safetensors: is missing, and there are no model-*-of-*.safetensors either; give the folder of a complete bundle"
    );
}

fn write_to(dir: &Path, build: &Build) {
    for (name, content) in build.write() {
        std::fs::write(dir.join(name), content).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn files_that_are_no_files() {
    use std::os::unix::net::UnixListener;
    let dir = tempfile::tempdir().unwrap();
    write_to(dir.path(), &mixed());
    let weights = dir.path().join("model.safetensors");
    std::fs::remove_file(&weights).unwrap();
    let _socket = UnixListener::bind(&weights).unwrap();
    let line = format!("model.safetensors: is not a regular file; {AGAIN}");
    assert_eq!(refusal(Bundle::open(dir.path())), line);
    std::fs::remove_file(&weights).unwrap();
    std::fs::create_dir(&weights).unwrap();
    assert_eq!(refusal(Bundle::open(dir.path())), line);
    // A link to nowhere is a missing file.
    std::fs::remove_dir(&weights).unwrap();
    std::os::unix::fs::symlink("/nonexistent/weights", &weights).unwrap();
    assert_eq!(
        refusal(Bundle::open(dir.path())),
        "model.safetensors: is missing: a weight file of the model; give the folder of a complete bundle"
    );
}

/// As sparse as the file is, reading it would take minutes.
#[test]
fn small_files_that_are_huge() {
    let dir = tempfile::tempdir().unwrap();
    write_to(dir.path(), &mixed());
    for (file, limit) in [("config.json", 4_194_304), ("tokenizer.json", 536_870_912)] {
        let path = dir.path().join(file);
        let real = std::fs::read(&path).unwrap();
        let sparse = std::fs::File::options().write(true).open(&path).unwrap();
        sparse.set_len(1 << 36).unwrap();
        assert_eq!(
            refusal(Bundle::open(dir.path())),
            format!(
                "{file}: has 68719476736 bytes, more than the {limit} that are sensible; {AGAIN}"
            )
        );
        std::fs::write(&path, real).unwrap();
    }
}

#[test]
fn weight_files_cut_short() {
    assert_eq!(
        with_weights(vec![0; 5]),
        format!("model.safetensors: is truncated: 5 bytes, no header; {AGAIN}")
    );
    assert_eq!(
        with_weights(Vec::new()),
        format!("model.safetensors: is truncated: 0 bytes, no header; {AGAIN}")
    );
    let mut long = header("{}", 0);
    long[7] = 0x7f;
    assert_eq!(
        with_weights(long),
        format!(
            "model.safetensors: the header claims 9151314442816847874 bytes, longer than the file's 10; {AGAIN}"
        )
    );
    let whole = bundle_support::write(&mixed().tensors);
    let line = with_weights(whole[..whole.len() - 100].to_vec());
    assert!(line.starts_with("model.safetensors, tensor "), "{line}");
    assert!(
        line.contains(" are out of range: the file holds "),
        "{line}"
    );
    assert!(
        line.ends_with(" bytes of data (truncated?); download the bundle again"),
        "{line}"
    );
}

#[test]
fn headers_that_lie() {
    let tensor = |name: &str, dtype: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let line = |entries: &[String], data| {
        with_weights(header(&format!("{{{}}}", entries.join(",")), data))
    };
    let a = tensor("a", "U8", "[4]", 0, 4);
    assert_eq!(
        line(&[a.clone(), tensor("b", "U8", "[4]", 2, 6)], 6),
        format!("model.safetensors, tensor b: its offsets overlap the tensor before it; {AGAIN}")
    );
    assert_eq!(
        line(&[a.clone(), tensor("b", "U8", "[4]", 5, 9)], 9),
        format!(
            "model.safetensors, tensor b: its offsets leave a gap after the tensor before it; {AGAIN}"
        )
    );
    assert_eq!(
        line(&[tensor("b", "U8", "[4]", 4, 8)], 4),
        format!(
            "model.safetensors, tensor b: its offsets 4..8 are out of range: the file holds 4 bytes of data (truncated?); {AGAIN}"
        )
    );
    assert_eq!(
        line(&[tensor("b", "U8", "[4]", 4, 0)], 4),
        format!("model.safetensors, tensor b: its offsets 4..0 run backwards; {AGAIN}")
    );
    assert_eq!(
        line(&[tensor("b", "U32", "[4]", 0, 4)], 4),
        format!("model.safetensors, tensor b: [4] of U32 does not fill its 4 bytes; {AGAIN}")
    );
    let huge = "[4294967296,4294967296,4294967296]";
    assert_eq!(
        line(&[tensor("b", "U32", huge, 0, 4)], 4),
        format!(
            "model.safetensors, tensor b: [4294967296, 4294967296, 4294967296] of U32 does not fill its 4 bytes; {AGAIN}"
        )
    );
    // Next to a 0, any dimension fits.
    let huge = "[18446744073709551615,0]";
    assert_eq!(
        line(&[tensor("b", "U32", huge, 0, 0)], 0),
        format!(
            "model.safetensors, tensor b: [18446744073709551615, 0] of U32 does not fill its 0 bytes; {AGAIN}"
        )
    );
    assert_eq!(
        line(&[tensor("b", "F7", "[4]", 0, 4)], 4),
        format!("model.safetensors, tensor b: unknown dtype F7; {AGAIN}")
    );
    assert_eq!(
        line(std::slice::from_ref(&a), 9),
        format!("model.safetensors: 5 bytes at its end belong to no tensor; {AGAIN}")
    );
    assert_eq!(
        line(&[tensor("a", "U8", "[0]", 0, 0), a], 4),
        format!("model.safetensors, tensor a: is in this file twice; {AGAIN}")
    );
    assert_eq!(
        with_weights(header("[]", 0)),
        format!(
            "model.safetensors: the header is not a valid tensor list (invalid type: sequence, expected an object of tensors at line 1 column 0); {AGAIN}"
        )
    );
}

#[test]
fn hostile_names_are_shown_harmlessly() {
    let name = format!("\u{1b}[2J\n{}", "n".repeat(5000));
    let mut build = mixed();
    build
        .tensors
        .insert(name, Tensor::new(Dtype::F64, &[1], vec![0; 8]));
    let bundle = build.open().unwrap();
    let [warning] = &bundle.warnings[..] else {
        panic!("{:?}", bundle.warnings)
    };
    assert!(
        warning.starts_with("tensor \\u{1b}[2J\\u{a}nnn"),
        "{warning}"
    );
    assert!(warning.len() < 300);
}

#[test]
fn missing_tensors_are_counted() {
    let mut build = mixed();
    build.tensors.retain(|name, _| !name.contains(".conv_qk."));
    assert_eq!(
        build.refusal(),
        "model.safetensors: 8 tensors are missing: model.layers.0.self_attn.qkv.conv_qk.0.weight, \
         model.layers.0.self_attn.qkv.conv_qk.0.bias, model.layers.0.self_attn.qkv.conv_qk.1.weight, \
         model.layers.0.self_attn.qkv.conv_qk.1.bias, model.layers.2.self_attn.qkv.conv_qk.0.weight, …; \
         download the complete bundle"
    );
    let mut build = mixed();
    build.tensors.remove(&format!("{EXPERT}.tq_norms"));
    assert_eq!(
        build.refusal(),
        format!("model.safetensors, tensor {EXPERT}.tq_norms: is missing; {AGAIN}")
    );
    let mut build = Build::alternating();
    build.tensors.remove(FC1);
    assert_eq!(
        build.refusal(),
        format!("model.safetensors: 1 tensor is missing: {FC1}; download the complete bundle")
    );
    let mut build = mixed();
    build.config["num_hidden_layers"] = json!(6);
    assert!(
        build
            .refusal()
            .starts_with("model.safetensors: 33 tensors are missing: "),
        "{}",
        build.refusal()
    );
}

#[test]
fn wrong_types_and_shapes() {
    let norm = "model.layers.0.input_norm.weight";
    assert_eq!(
        changed(norm, |t| *t = Tensor::codes(Dtype::U32, "x", &[HIDDEN])),
        format!("model.safetensors, tensor {norm}: is U32, expected F16, BF16 or F32; {CONVERT}")
    );
    assert_eq!(
        changed(norm, |t| *t = Tensor::float(Dtype::F16, "x", &[HIDDEN - 1])),
        format!("model.safetensors, tensor {norm}: is [63], expected [64]; {CONVERT}")
    );
    let q = "model.layers.2.self_attn.qkv.linear_q";
    assert_eq!(
        changed(&format!("{q}.weight"), |t| t.shape = vec![16, 32]),
        format!("model.safetensors, tensor {q}.weight: is [16, 32], expected [32, 32]; {CONVERT}")
    );
    assert_eq!(
        changed(&format!("{q}.weight"), |t| *t =
            Tensor::codes(Dtype::U32, "x", &[32, 32])),
        format!(
            "model.safetensors, tensor {q}.weight: is affine of 16 bits in groups of 32; \
             known are 2-6 and 8 bits, groups of 32, 64 and 128; {CONVERT}"
        )
    );
    assert_eq!(
        changed(&format!("{q}.biases"), |t| *t =
            Tensor::float(Dtype::F32, "x", &[32, 2])),
        format!("model.safetensors, tensor {q}.biases: is F32, expected F16; {CONVERT}")
    );
    assert_eq!(
        changed(&format!("{q}.scales"), |t| *t =
            Tensor::float(Dtype::F16, "x", &[32, 3])),
        format!(
            "model.safetensors, tensor {q}.weight: 16 words and 3 scales per row don't divide 64 inputs evenly; {CONVERT}"
        )
    );
    let mut build = mixed();
    build.tensors.remove(&format!("{q}.scales"));
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors, tensor {q}.weight: is packed U32, but has no .scales; {CONVERT}"
        )
    );
    let gate = "model.layers.1.mlp.experts.gate_up_proj";
    let mut build = Build::fused();
    *build.tensor("model.layers.0.mlp.experts.down_proj") =
        Tensor::float(Dtype::BF16, "x", &[EXPERTS, HIDDEN, WIDTH + 1]);
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors, tensor model.layers.0.mlp.experts.down_proj: is [3, 64, 33], expected [3, 64, 32]; {CONVERT}"
        )
    );
    let mut build = Build::fused();
    *build.tensor(gate) = Tensor::new(
        Dtype::F8_E4M3,
        &[EXPERTS, 2 * WIDTH, HIDDEN],
        vec![0; EXPERTS * 2 * WIDTH * HIDDEN],
    );
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors, tensor {gate}: is F8_E4M3, expected F16, BF16, F32 or packed U32; {CONVERT}"
        )
    );
    let mut build = Build::mxfp4();
    let down = format!("{EXPERT}.weight");
    *build.tensor(&down) = Tensor::codes(Dtype::U32, "x", &[EXPERTS, HIDDEN, WIDTH / 4]);
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors, tensor {down}: is MX float of 8 bits in groups of 32; only mxfp4 (4, 32) is known; {CONVERT}"
        )
    );
}

#[test]
fn tensors_without_numbers() {
    let mut build = Build::alternating();
    *build.tensor("model.embed_tokens.weight") = Tensor::float(Dtype::BF16, "x", &[0, HIDDEN]);
    assert_eq!(
        build.refusal(),
        format!("model.safetensors, tensor model.embed_tokens: has no rows; {CONVERT}")
    );
    for (name, shape) in [
        ("model.layers.0.self_attn.qkv.linear_q.weight", [1 << 40, 0]),
        ("model.layers.0.self_attn.qkv.linear_k.weight", [1 << 40, 0]),
        ("model.layers.0.self_attn.o_proj.weight", [0, 1 << 40]),
    ] {
        let mut build = mixed();
        build.config["cca_num_q_heads"] = Value::Null;
        *build.tensor(name) = Tensor::new(Dtype::U32, &shape, Vec::new());
        let line = build.refusal();
        assert!(
            line.starts_with("model.safetensors, tensor model.layers.0."),
            "{line}"
        );
    }
}

#[test]
fn packed_columns_must_agree_with_tq_bits() {
    let bits = format!("{EXPERT}.tq_bits");
    assert_eq!(
        changed(&bits, |t| t.data[0] = 2),
        format!(
            "model.safetensors, tensor {EXPERT}.tq_packed: has 4 packed columns, but .tq_bits says 2, which takes 2 for 32 inputs; {CONVERT}"
        )
    );
    assert_eq!(
        changed(&bits, |t| t.data[0] = 5),
        format!(
            "model.safetensors, tensor {bits}: says 5 bits; known are 1, 2, 3, 4 and 8; {CONVERT}"
        )
    );
    assert_eq!(
        changed(&bits, |t| *t = Tensor::codes(Dtype::U32, "x", &[1])),
        format!("model.safetensors, tensor {bits}: is U32, expected U8; {CONVERT}")
    );
}

#[test]
fn numbers_must_be_finite() {
    let f16 = |t: &mut Tensor, at: usize, v: f32| {
        t.data[2 * at..2 * at + 2].copy_from_slice(&half::f16::from_f32(v).to_le_bytes())
    };
    let norms = format!("{EXPERT}.tq_norms");
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        assert_eq!(
            changed(&norms, |t| f16(t, 7, bad)),
            format!(
                "model.safetensors, tensor {norms}: element 7 is not a finite number of at least 0; {CONVERT}"
            )
        );
    }
    for name in [
        "model.embed_tokens.scales",
        "model.embed_tokens.biases",
        "model.layers.0.self_attn.qkv.conv_qk.1.weight",
    ] {
        assert_eq!(
            changed(name, |t| f16(t, 9, f32::NEG_INFINITY)),
            format!(
                "model.safetensors, tensor {name}: element 9 is not a finite number; {CONVERT}"
            )
        );
    }
    let norm = "model.final_norm.weight";
    assert_eq!(
        changed(norm, |t| f16(t, 3, f32::INFINITY)),
        format!(
            "model.safetensors, tensor {norm}: element 3 is inf, not a finite number; {CONVERT}"
        )
    );
    let mut build = Build::mxfp4();
    build.tensor(&format!("{EXPERT}.scales")).data[11] = 255;
    assert_eq!(
        build.refusal(),
        format!("model.safetensors, tensor {EXPERT}.scales: element 11 is not a number; {CONVERT}")
    );
}

/// Sharded files after `change`.
fn sharded(change: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> String {
    let mut build = mixed();
    build.shards = 2;
    let mut files = build.write();
    change(&mut files);
    refusal(Bundle::from_memory("tiny", files))
}

#[test]
fn shards_and_index_must_agree() {
    let index = "model.safetensors.index.json";
    let (one, two) = (
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    );
    let embed = "model.embed_tokens.scales";
    let edit = |change: &dyn Fn(&mut Value)| {
        sharded(|files| {
            let (_, text) = files.iter_mut().find(|(n, _)| n == index).unwrap();
            let mut value = serde_json::from_slice(text).unwrap();
            change(&mut value);
            *text = value.to_string().into_bytes();
        })
    };
    let lie = "download the index and the shards again, from one source";
    assert_eq!(
        edit(&|v| v["weight_map"][embed] = json!(two)),
        format!("{index}, tensor {embed}: should be in {two} but is in {one}; {lie}")
    );
    assert_eq!(
        edit(&|v| v["weight_map"]["model.ghost"] = json!(two)),
        format!("{index}, tensor model.ghost: is not in {two}; {lie}")
    );
    assert_eq!(
        edit(&|v| drop(v["weight_map"].as_object_mut().unwrap().remove(embed))),
        format!("{index}, tensor {embed}: is in {one} but not in the index; {lie}")
    );
    assert_eq!(
        edit(&|v| v["weight_map"][embed] = json!("../secrets.safetensors")),
        format!("{index}: names ../secrets.safetensors, not a shard; {AGAIN}")
    );
    assert_eq!(
        edit(&|v| v["weight_map"] = json!({})),
        format!("{index}: names no shard; {AGAIN}")
    );
    assert_eq!(
        edit(&|v| *v = json!([])),
        format!(
            "{index}: is not a valid index (invalid length 0, expected struct Root with 1 element at line 1 column 2); {AGAIN}"
        )
    );
    assert_eq!(
        sharded(|files| files.retain(|(n, _)| n != two)),
        format!(
            "{two}: is missing: a weight file of the model; give the folder of a complete bundle"
        )
    );
    // The same tensor in two shards, without an index.
    let twice = sharded(|files| {
        let copy = files.iter().find(|(n, _)| n == one).unwrap().1.clone();
        files.retain(|(n, _)| n != index && n != two);
        files.push((two.into(), copy));
    });
    assert!(
        twice.starts_with(&format!("{two}, tensor model.")),
        "{twice}"
    );
    assert!(
        twice.ends_with(&format!(": is also in {one}; {AGAIN}")),
        "{twice}"
    );
    assert_eq!(
        sharded(|files| {
            files.retain(|(n, _)| n != index);
            files.push(("model-00001-of-00003.safetensors".into(), Vec::new()));
        }),
        format!(
            "model-00001-of-00003.safetensors: belongs to another set of shards than {one}; keep only one set of shards in the folder"
        )
    );
    assert_eq!(
        sharded(|files| {
            files.retain(|(n, _)| n.ends_with(".json"));
            files.retain(|(n, _)| n != index);
            files.push(("model-00001-of-XXXXX.safetensors".into(), Vec::new()));
        }),
        "model-00001-of-XXXXX.safetensors: comes from a conversion that was interrupted; convert the model again"
    );
}

#[test]
fn experts_stored_twice_or_in_an_unknown_way() {
    let mut build = mixed();
    build.tensors.insert(
        FC1.into(),
        Tensor::float(Dtype::BF16, "x", &[2 * WIDTH, HIDDEN]),
    );
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors: the experts are stored twice, as .switch_mlp. and as .local_experts.; {CONVERT}"
        )
    );
    let mut build = Build::fused();
    let base = "model.layers.1.mlp.experts.gate_up_proj";
    build.tensors.insert(
        format!("{base}_scale"),
        Tensor::float(Dtype::F32, "x", &[EXPERTS]),
    );
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors, tensor {base}: is BF16 with _scale, an unknown format; use a JANGTQ, affine or bf16 bundle"
        )
    );
    let mut build = mixed();
    build.tensors.retain(|name, _| !name.contains("layers"));
    assert_eq!(
        build.refusal(),
        format!(
            "model.safetensors: the tensor names are of neither ZAYA layout (or of both); {CONVERT}"
        )
    );
}
