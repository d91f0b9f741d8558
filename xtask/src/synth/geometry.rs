//! Shapes of the presets, in the terms of ZAYA's 80-layer configuration.

use super::{Logits, Preset};

pub struct Geometry {
    pub name: &'static str,
    pub hidden: usize,
    /// Alternating layers: even ones attend, odd ones route.
    pub layers: usize,
    pub query_heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub experts: usize,
    /// Width of one expert's gate or up branch.
    pub expert_width: usize,
    pub router_width: usize,
    /// Rows of the embedding and entries of the tokenizer.
    pub vocab: usize,
    /// First id after the tokenizer's own vocabulary: added tokens follow.
    pub added_from: usize,
    pub context: usize,
    /// A shard is closed once it holds this many bytes.
    pub shard_bytes: u64,
    /// Size of the embedding's elements in the residual stream.
    pub input_gain: f32,
    /// Size of the head's input elements.
    pub output_gain: f32,
}

impl Geometry {
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Zaya1_8b => Self {
                name: "ZAYA1-8B",
                hidden: 2048,
                layers: 80,
                query_heads: 8,
                kv_heads: 2,
                head_dim: 128,
                experts: 16,
                expert_width: 2048,
                router_width: 256,
                vocab: 262_272,
                added_from: 262_144,
                context: 131_072,
                shard_bytes: 1_000_000_000,
                input_gain: 1.0,
                output_gain: 2.0,
            },
            Preset::Tiny => Self {
                name: "ZAYA-tiny",
                hidden: 64,
                layers: 6,
                query_heads: 4,
                kv_heads: 2,
                head_dim: 16,
                experts: 4,
                expert_width: 96,
                router_width: 32,
                vocab: 2048,
                added_from: 1984,
                context: 4096,
                shard_bytes: 100_000,
                input_gain: 1.0,
                output_gain: 2.0,
            },
        }
    }

    /// The same with logits spread this way.
    pub fn with(self, logits: Logits) -> Self {
        match logits {
            Logits::Flat => self,
            Logits::Peaked => Self {
                input_gain: 1.62,
                output_gain: 3.4,
                ..self
            },
        }
    }

    pub fn query_rows(&self) -> usize {
        self.query_heads * self.head_dim
    }

    pub fn kv_rows(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}
