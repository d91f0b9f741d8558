//! The JSON files and the chat template of a synthetic bundle, in the form in
//! which published ZAYA bundles carry them: the configuration of the first
//! upload (uncompressed head count, fused expert width), the generation
//! configuration that names the wrong end token.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::geometry::Geometry;
use super::shards::Shards;
use super::tensors::{Fill, Tensor};
use crate::jang::{self, Profile};

const TEMPLATE: &str = include_str!("chat_template.jinja");

pub fn write(
    out: &Path,
    geometry: &Geometry,
    profile: Profile,
    tensors: &[Tensor],
    shards: &Shards,
) -> Result<()> {
    let mut config = config(geometry)?;
    profile.extend_config(&mut config);
    let matrices = mxtq_matrices(tensors);
    let widths: Vec<(String, usize)> = matrices
        .iter()
        .map(|(name, width, _)| (name.clone(), *width))
        .collect();
    let files = [
        ("config.json", Value::Object(config)),
        (
            "jang_config.json",
            profile.jang_config(geometry.name, "synthetic", &widths),
        ),
        ("model.safetensors.index.json", index(profile, shards)),
        ("generation_config.json", generation_config()),
        ("tokenizer_config.json", tokenizer_config(geometry)),
    ];
    for (name, value) in &files {
        jang::write_json(&out.join(name), value)?;
    }
    let path = out.join("chat_template.jinja");
    std::fs::write(&path, TEMPLATE).with_context(|| path.display().to_string())?;
    if !matrices.is_empty() {
        let used: BTreeSet<(usize, u32)> = matrices.iter().map(|m| (m.1, m.2)).collect();
        jang::write_sidecar(out, &used)?;
    }
    Ok(())
}

/// Base name, input width and code width of every MXTQ matrix.
fn mxtq_matrices(tensors: &[Tensor]) -> Vec<(String, usize, u32)> {
    let matrix = |tensor: &Tensor| match tensor.fill {
        Fill::PackedCodes { bits, columns, .. } => {
            let base = tensor.name.trim_end_matches(".tq_packed");
            Some((base.to_owned(), columns, bits))
        }
        _ => None,
    };
    tensors.iter().filter_map(matrix).collect()
}

fn config(g: &Geometry) -> Result<Map<String, Value>> {
    jang::legacy_config(&[
        ("cca_num_q_heads", json!(g.query_heads)),
        ("ffn_hidden_size", json!(2 * g.expert_width)),
        ("hidden_size", json!(g.hidden)),
        ("kv_channels", json!(g.head_dim)),
        ("max_position_embeddings", json!(g.context)),
        // The count before compression, as the first upload has it.
        ("num_attention_heads", json!(2 * g.query_heads)),
        ("num_experts", json!(g.experts)),
        ("num_hidden_layers", json!(g.layers)),
        ("num_key_value_heads", json!(g.kv_heads)),
        ("num_query_groups", json!(g.kv_heads)),
        ("rope_theta", json!(5_000_000)),
        ("vocab_size", json!(g.vocab)),
        ("zaya_mlp_expansion", json!(g.router_width)),
    ])
}

fn index(profile: Profile, shards: &Shards) -> Value {
    let mut weight_map = Map::new();
    for file in &shards.files {
        for tensor in &file.tensors {
            weight_map.insert(tensor.clone(), json!(file.name));
        }
    }
    json!({
        "metadata": {"format": profile.index_format(), "total_size": shards.total_size()},
        "weight_map": weight_map,
    })
}

/// Names id 1 as the end, as published; only the union with `config.json` stops.
fn generation_config() -> Value {
    json!({
        "_from_model_config": true,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "transformers_version": "4.57.1",
    })
}

fn tokenizer_config(geometry: &Geometry) -> Value {
    json!({
        "add_bos_token": true,
        "add_eos_token": true,
        "bos_token": "<bos>",
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|im_end|>",
        "model_max_length": geometry.context,
        "pad_token": "<pad>",
        "tokenizer_class": "GemmaTokenizerFast",
        "unk_token": "<unk>",
    })
}
