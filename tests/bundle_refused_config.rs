//! Every way in which a bundle's configuration, tokenizer or sidecar can be
//! unusable, and the line that says so.

mod bundle_support;

use bundle_support::{Build, HIDDEN, VOCAB, WIDTH};
use cairn::bundle::Error;
use serde_json::{Value, json};

const AGAIN: &str = "download the bundle again";
const CONVERT: &str = "convert the model again or use a published bundle";

fn mixed() -> Build {
    Build::jangtq([2, 2, 4])
}

fn configured(key: &str, value: Value) -> String {
    let mut build = mixed();
    build.config[key] = value;
    build.refusal()
}

#[test]
fn other_models_are_named() {
    let family =
        "use a zaya bundle: the only family known so far (deepseek_v4 and zaya1_vl will come)";
    for other in ["deepseek_v4", "zaya1_vl", "llama"] {
        assert_eq!(
            configured("model_type", json!(other)),
            format!("config.json: model_type {other} is not known; {family}")
        );
    }
    let mut build = mixed();
    build.config = json!({"architectures": ["LlamaForCausalLM"]});
    assert_eq!(
        build.refusal(),
        format!("config.json: architecture LlamaForCausalLM is not known; {family}")
    );
    build.config = json!({});
    assert_eq!(
        build.refusal(),
        format!("config.json: model_type is missing; {family}")
    );
}

#[test]
fn variants_that_are_not_computed() {
    let use_other = "use a ZAYA1-8B bundle, whose configuration is supported";
    let cases = [
        (
            "cca",
            json!(false),
            "cca = false is not supported; only true is",
        ),
        (
            "moe_router_topk",
            json!(2),
            "moe_router_topk = 2 is not supported; only 1 is",
        ),
        (
            "attention_bias",
            json!(true),
            "attention_bias = true is not supported; only false is",
        ),
        (
            "tie_word_embeddings",
            json!(false),
            "tie_word_embeddings = false is not supported; only true is",
        ),
        (
            "normalization",
            json!("LayerNorm"),
            "normalization = \"LayerNorm\" is unknown; known: RMSNorm",
        ),
        (
            "activation_func",
            json!("gelu"),
            "activation_func = \"gelu\" is unknown; known: swiglu, silu",
        ),
        (
            "rope_scaling",
            json!({"type": "yarn"}),
            "rope_scaling = {\"type\":\"yarn\"} is not supported",
        ),
        (
            "layer_types",
            json!(["hybrid_sliding"]),
            "layer_types = \"hybrid_sliding\" is not supported; only hybrid is",
        ),
        (
            "swa_layers",
            json!([0, 128]),
            "swa_layers = [0,128] is not supported",
        ),
        (
            "norm_epsilon",
            json!(0.0),
            "norm_epsilon = 0 is not a small positive number",
        ),
        ("rope_theta", json!(0), "rope_theta = 0 is out of range"),
        (
            "partial_rotary_factor",
            json!(0.4),
            "partial_rotary_factor = 0.4 does not leave an even part of 8 dimensions",
        ),
    ];
    for (key, value, problem) in cases {
        assert_eq!(
            configured(key, value),
            format!("config.json: {problem}; {use_other}")
        );
    }
}

#[test]
fn configurations_that_contradict_the_weights() {
    let belongs = "use the config.json that belongs to these weights";
    let cases = [
        (
            "hidden_size",
            65,
            "hidden_size = 65, but the tensors have 64",
        ),
        (
            "num_experts",
            16,
            "num_experts = 16, but the tensors have 3",
        ),
        (
            "vocab_size",
            100,
            "vocab_size = 100, but the tensors have 64",
        ),
        (
            "num_hidden_layers",
            2,
            "num_hidden_layers = 2, but model.safetensors has a layer 3",
        ),
        (
            "num_hidden_layers",
            5,
            "num_hidden_layers = 5 is odd, but attention and expert layers alternate",
        ),
        (
            "num_hidden_layers",
            1_000_000,
            "num_hidden_layers = 1000000 is out of range",
        ),
    ];
    for (key, value, problem) in cases {
        assert_eq!(
            configured(key, json!(value)),
            format!("config.json: {problem}; {belongs}")
        );
    }
    let correct = "correct it, or download the bundle again";
    assert_eq!(
        configured("hidden_size", json!("big")),
        format!("config.json: hidden_size = \"big\" is not a whole number; {correct}")
    );
    assert_eq!(
        configured("max_position_embeddings", json!(0)),
        format!("config.json: max_position_embeddings = 0 is out of range; {CONVERT}")
    );
    let own = "use the model's own config.json";
    assert_eq!(
        configured("rope_theta", Value::Null),
        format!("config.json: rope_theta is missing; {own}")
    );
    let mut build = mixed();
    build.files.insert("config.json".into(), b"{".to_vec());
    assert_eq!(
        build.refusal(),
        format!(
            "config.json: is not valid JSON (EOF while parsing an object at line 1 column 1); {AGAIN}"
        )
    );
    let mut build = mixed();
    build.jang()["cairn"] = json!({"notice": 3});
    assert_eq!(
        build.refusal(),
        format!(
            "jang_config.json: key cairn is not understood (invalid type: integer `3`, expected a string); {CONVERT}"
        )
    );
}

#[test]
fn tokenizers_that_do_not_parse() {
    let line = |text: &str| {
        let mut build = mixed();
        build
            .files
            .insert("tokenizer.json".into(), text.as_bytes().to_vec());
        build.refusal()
    };
    let error = |why: &str| format!("tokenizer.json: can't be used ({why}); {AGAIN}");
    assert_eq!(line("{\"model\": "), error("it is truncated"));
    assert_eq!(line("{}"), error("it has no model"));
    assert_eq!(
        line(r#"{"model": {"type": "Unigram"}}"#),
        error("its model is Unigram, only BPE is known")
    );
    let mut build = mixed();
    build.tokenizer["model"]["merges"] = json!([["a", "z"]]);
    assert_eq!(build.refusal(), error("Token `z` out of vocabulary"));
    let mut build = mixed();
    build.tokenizer["model"]["vocab"]["zz"] = json!(VOCAB + 5);
    assert_eq!(
        build.refusal(),
        "tokenizer.json: has ids up to 69, but the embedding has only 64 rows; use the tokenizer that belongs to these weights"
    );
}

#[test]
fn sidecars_must_equal_the_computed_tables() {
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut build = mixed().with_sidecar(&[(HIDDEN, 2), (WIDTH, 4)]);
        change(build.files.get_mut("jangtq_runtime.safetensors").unwrap());
        build.refusal()
    };
    let line = with(&|bytes| *bytes.last_mut().unwrap() ^= 0x80);
    assert!(
        line.starts_with("jangtq_runtime.safetensors, tensor signs.64.42: element 63 is "),
        "{line}"
    );
    assert!(line.contains(", but the format defines "), "{line}");
    let line = with(&|bytes| bytes.truncate(20));
    assert!(
        line.starts_with("jangtq_runtime.safetensors: the header claims "),
        "{line}"
    );
    let mut build = mixed().with_sidecar(&[(HIDDEN, 2)]);
    build.jang()["mxtq_seed"] = json!(7);
    assert_eq!(
        build.refusal(),
        format!(
            "jangtq_runtime.safetensors, tensor signs.64.42: is of seed 42, but the bundle's is 7; {CONVERT}"
        )
    );
}

#[test]
fn every_line_is_one_line() {
    let error: Error = Build {
        config: json!({"model_type": "a\nb\u{202e}c"}),
        ..mixed()
    }
    .open()
    .err()
    .unwrap();
    assert_eq!(error.problem, "model_type a\\u{a}b\\u{202e}c is not known");
}
