//! What makes a folder a JANG bundle beside its tensors: the keys that the
//! format adds to `config.json`, `jang_config.json`, the shard index, and the
//! sidecar with signs and codebooks.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

/// The seed of every published bundle's sign vectors.
pub const SEED: u64 = 42;
/// Inputs that share an affine scale and bias.
pub const GROUP: usize = 32;

/// Which code widths a bundle uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// MXTQ experts: 2-bit gate and up, 4-bit down
    #[value(name = "jangtq_k")]
    JangtqK,
    /// MXTQ experts of 2 bits
    #[value(name = "jangtq2")]
    Jangtq2,
    /// MXTQ experts of 3 bits
    #[value(name = "jangtq3")]
    Jangtq3,
    /// MXTQ experts of 4 bits
    #[value(name = "jangtq4")]
    Jangtq4,
    /// Affine 4-bit everywhere, 8-bit embedding
    #[value(name = "mxfp4")]
    Mxfp4,
}

impl Profile {
    /// Code widths of the experts' gate, up and down matrices; `None` for affine.
    pub fn mxtq_bits(self) -> Option<[u32; 3]> {
        match self {
            Self::JangtqK => Some([2, 2, 4]),
            Self::Jangtq2 => Some([2; 3]),
            Self::Jangtq3 => Some([3; 3]),
            Self::Jangtq4 => Some([4; 3]),
            Self::Mxfp4 => None,
        }
    }

    /// Affine code width of attention; the embedding always has 8 bits.
    pub fn attention_bits(self) -> u32 {
        if self.mxtq_bits().is_some() { 8 } else { 4 }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::JangtqK => "JANGTQ_K",
            Self::Jangtq2 => "JANGTQ2",
            Self::Jangtq3 => "JANGTQ3",
            Self::Jangtq4 => "JANGTQ4",
            Self::Mxfp4 => "MXFP4",
        }
    }

    fn weight_format(self) -> &'static str {
        if self.mxtq_bits().is_some() {
            "mxtq"
        } else {
            "mxfp4"
        }
    }

    /// The experts' bits as metadata writes them: a number where all agree.
    fn routed_bits(self) -> Option<Value> {
        self.mxtq_bits().map(|[gate, up, down]| {
            if gate == down {
                json!(gate)
            } else {
                json!({"gate_proj": gate, "up_proj": up, "down_proj": down})
            }
        })
    }

    fn role_bits(self) -> Option<Value> {
        self.routed_bits().map(|routed| {
            json!({
                "routed_expert": routed,
                "attention": 8,
                "router": 16,
                "embed_tokens": 8,
                "lm_head": 8,
                "cca_conv": 16,
                "norms_residual": 16,
            })
        })
    }

    /// Adds the format's keys to a source configuration.
    pub fn extend_config(self, config: &mut Map<String, Value>) {
        config.insert("weight_format".into(), json!(self.weight_format()));
        config.insert("zaya_expert_layout".into(), json!("split_switch_mlp"));
        config.entry("tie_word_embeddings").or_insert(json!(true));
        let quantization = match self.role_bits() {
            Some(roles) => {
                config.insert("mxtq_bits".into(), roles.clone());
                config.insert("mxtq_seed".into(), json!(SEED));
                json!({
                    "bits": 8,
                    "group_size": GROUP,
                    "mode": "affine",
                    "routed_expert_bits": self.routed_bits(),
                    "mxtq_bits": roles,
                    "expert_layout": "split_switch_mlp",
                })
            }
            None => json!({
                "bits": 4,
                "group_size": GROUP,
                "mode": "affine",
                "embed_bits": 8,
                "router_bits": 16,
                "expert_layout": "split_switch_mlp",
            }),
        };
        config.insert("quantization".into(), quantization);
        config.insert("capabilities".into(), capabilities());
    }

    /// `jang_config.json` of a model called `model` by `org`; `widths` are the
    /// input widths of the MXTQ matrices, by base name.
    pub fn jang_config(self, model: &str, org: &str, widths: &[(String, usize)]) -> Value {
        let mut config = json!({
            "version": 2,
            "weight_format": self.weight_format(),
            "profile": self.name(),
            "cache_subtype": "zaya_cca",
            "source_model": {"name": model, "org": org, "architecture": "zaya"},
            "expert_layout": "split_switch_mlp",
        });
        let quantization = match self.mxtq_bits() {
            Some([.., down]) => {
                let widths: Map<String, Value> = widths
                    .iter()
                    .map(|(name, n)| (name.clone(), json!(n)))
                    .collect();
                config["mxtq_seed"] = json!(SEED);
                config["mxtq_bits"] = json!(self.role_bits());
                config["tq_in_features"] = Value::Object(widths);
                json!({"method": "affine+mxtq", "group_size": GROUP, "bits_default": down})
            }
            None => json!({
                "method": "affine",
                "group_size": GROUP,
                "bits": 4,
                "embed_bits": 8,
            }),
        };
        config["quantization"] = quantization;
        config["capabilities"] = capabilities();
        config
    }

    /// `format` of the shard index's metadata.
    pub fn index_format(self) -> &'static str {
        if self.mxtq_bits().is_some() {
            "jangtq"
        } else {
            "mxfp4"
        }
    }
}

fn capabilities() -> Value {
    json!({
        "reasoning_parser": "qwen3",
        "tool_parser": "zaya_xml",
        "think_in_template": false,
        "supports_tools": true,
        "supports_thinking": true,
        "family": "zaya",
        "modality": "text",
        "cache_type": "hybrid",
    })
}

/// The configuration of an 80-layer checkpoint as first published, with these
/// values in place of the geometry.
pub fn legacy_config(values: &[(&str, Value)]) -> Result<Map<String, Value>> {
    let text = include_str!("legacy_config.json");
    let mut config: Map<String, Value> = serde_json::from_str(text)?;
    for (key, value) in values {
        config.insert((*key).to_owned(), value.clone());
    }
    Ok(config)
}

/// Writes the sidecar for MXTQ matrices of these input and code widths.
pub fn write_sidecar(folder: &Path, used: &BTreeSet<(usize, u32)>) -> Result<()> {
    let mut tensors: Vec<(String, Vec<f32>)> = Vec::new();
    for &(width, bits) in used {
        let tables = cairn::quant::MxtqTables::new(width, bits, SEED);
        let signs = format!("signs.{width}.{SEED}");
        if !tensors.iter().any(|(name, _)| *name == signs) {
            tensors.push((signs, tables.signs.clone()));
        }
        tensors.push((format!("codebook.{width}.{bits}"), tables.codebook.clone()));
    }
    let bytes: Vec<(String, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, values)| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::new();
    for (name, data) in &bytes {
        let shape = vec![data.len() / 4];
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data)?;
        views.push((name.as_str(), view));
    }
    let path = folder.join("jangtq_runtime.safetensors");
    let file = safetensors::serialize(views, None)?;
    std::fs::write(&path, file).with_context(|| path.display().to_string())
}

/// Writes `value` as JSON with an indent of two.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
