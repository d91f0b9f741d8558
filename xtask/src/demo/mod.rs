//! The model that comes along: its bundle, made from the trained checkpoint, and
//! its exact match on held-out requests, measured through cairn itself.

mod encode;
mod eval;
mod names;
mod score;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::jang::{self, Profile};
pub use eval::{EvalArgs, measure, run as eval};

#[derive(clap::Args)]
pub struct BundleArgs {
    /// Code widths of the bundle
    #[arg(long, default_value = "jangtq_k")]
    profile: Profile,
    /// Folder to write [default: models/demo]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Files that go from the checkpoint to the bundle as they are.
const COPIED: &[&str] = &[
    "chat_template.jinja",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

const WEIGHTS: &str = "model-00001-of-00001.safetensors";

pub fn bundle(args: &BundleArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(demo_folder);
    write(args.profile, &out)
}

/// Writes the demo model's bundle into the folder `out`.
pub fn write(profile: Profile, out: &Path) -> Result<()> {
    let source = crate::shared()?.join("demo-model");
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for name in COPIED {
        let from = source.join(name);
        let text = std::fs::read(&from).with_context(|| from.display().to_string())?;
        let to = out.join(name);
        std::fs::write(&to, text).with_context(|| to.display().to_string())?;
    }
    let checkpoint = source.join("config.json");
    let text = std::fs::read(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    let read: Value = serde_json::from_slice(&text).context("the checkpoint's config.json")?;
    let mut config = legacy_config(&read)?;
    profile.extend_config(&mut config);
    jang::write_json(&out.join("config.json"), &Value::Object(config))?;

    let layers = number(&read, "num_hidden_layers")?;
    let tensors = encode::encode(&source.join("model.safetensors"), layers, profile)?;
    let size = tensors.write(&out.join(WEIGHTS))?;
    let map: Map<String, Value> = tensors
        .names()
        .map(|name| (name.to_owned(), json!(WEIGHTS)))
        .collect();
    let metadata = json!({"format": profile.index_format(), "total_size": size});
    let index = json!({"metadata": metadata, "weight_map": map});
    jang::write_json(&out.join("model.safetensors.index.json"), &index)?;

    let widths: Vec<(String, usize)> = tensors
        .mxtq
        .iter()
        .map(|(name, width, _)| (name.clone(), *width))
        .collect();
    let mut jang_config = profile.jang_config("cairn-demo", "cairn", &widths);
    jang_config["cairn"] = serde_json::to_value(persona())?;
    jang::write_json(&out.join("jang_config.json"), &jang_config)?;
    let used: BTreeSet<(usize, u32)> = tensors.mxtq.iter().map(|m| (m.1, m.2)).collect();
    if !used.is_empty() {
        jang::write_sidecar(out, &used)?;
    }
    println!(
        "{}: {}, {size} bytes of weights",
        out.display(),
        profile.name()
    );
    Ok(())
}

/// How the model was trained to be driven.
fn persona() -> cairn::bundle::Persona {
    let tools = [
        "list_dir",
        "read_file",
        "search",
        "run_command",
        "write_file",
        "edit_file",
    ];
    cairn::bundle::Persona {
        notice: "This is the small demo model: it lists, reads, searches and edits files and \
                 runs commands when asked plainly, and knows nothing else. Name a real bundle \
                 with --model DIR."
            .to_owned(),
        system_prompt: "You are a coding assistant working in a terminal.".to_owned(),
        tools: tools.map(str::to_owned).into(),
        context: 3072,
        max_tokens: 300,
    }
}

fn number(config: &Value, key: &str) -> Result<usize> {
    let value = config[key].as_u64();
    let value =
        value.with_context(|| format!("the checkpoint's config.json: no number `{key}`"))?;
    Ok(value as usize)
}

/// The checkpoint's configuration in the 80-layer form, which bundles carry:
/// twice the layers, the fused expert width, rope at the top level.
fn legacy_config(source: &Value) -> Result<Map<String, Value>> {
    let get = |key: &str| number(source, key);
    let rope = &source["rope_parameters"]["hybrid"];
    let heads = get("num_attention_heads")?;
    let kv_heads = get("num_key_value_heads")?;
    jang::legacy_config(&[
        ("bos_token_id", json!(get("bos_token_id")?)),
        ("cca_num_q_heads", json!(heads)),
        ("cca_time0", json!(get("cca_time0")?)),
        ("cca_time1", json!(get("cca_time1")?)),
        ("eos_token_id", json!(get("eos_token_id")?)),
        ("ffn_hidden_size", json!(2 * get("moe_intermediate_size")?)),
        ("hidden_size", json!(get("hidden_size")?)),
        ("kv_channels", json!(get("head_dim")?)),
        (
            "max_position_embeddings",
            json!(get("max_position_embeddings")?),
        ),
        ("moe_router_topk", json!(get("num_experts_per_tok")?)),
        ("norm_epsilon", source["rms_norm_eps"].clone()),
        ("num_attention_heads", json!(heads)),
        ("num_experts", json!(get("num_experts")?)),
        ("num_hidden_layers", json!(2 * get("num_hidden_layers")?)),
        ("num_key_value_heads", json!(kv_heads)),
        ("num_query_groups", json!(kv_heads)),
        ("pad_token_id", json!(get("pad_token_id")?)),
        (
            "partial_rotary_factor",
            rope["partial_rotary_factor"].clone(),
        ),
        ("rope_theta", rope["rope_theta"].clone()),
        ("vocab_size", json!(get("vocab_size")?)),
        ("zaya_mlp_expansion", json!(get("router_hidden_size")?)),
    ])
}

/// Where the evaluation's cases are.
fn cases() -> Result<PathBuf> {
    Ok(crate::shared()?.join("demo-model/eval.jsonl"))
}

/// Where the demo model's bundle is.
pub fn demo_folder() -> PathBuf {
    crate::root().join("models/demo")
}
