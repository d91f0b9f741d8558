//! What the parts of a ZAYA model weigh on the backend that has them.

use super::Zaya;
use crate::backend::{Backend, KvDtype};
use crate::bundle::zaya::{Layer as Stored, Tensors};
use crate::model::Traffic;
use crate::quant::Matrix;

/// Bytes of a vector of parameters.
fn vector(values: &[f32]) -> u64 {
    size_of_val(values) as u64
}

impl<B: Backend> Zaya<B> {
    /// `tensors` are those that the model was made of: what a backend can't tell
    /// the size of counts as it is stored.
    pub fn traffic(&self, backend: &B, tensors: &Tensors, kv: KvDtype) -> Traffic {
        let weight = |weight: &B::Weight, stored: &Matrix| {
            let bytes = backend.weight_bytes(weight);
            bytes.unwrap_or_else(|| stored.bytes() as u64)
        };
        let head = weight(&self.weights.embed, &tensors.embed);
        let config = &self.config;
        let numbers = 2 * config.kv_heads * config.head_dim * config.layers;
        let mut all = Traffic {
            embedding: tensors.embed.bytes() as u64 / config.vocab.max(1) as u64,
            head,
            position: match kv {
                KvDtype::F16 => 2 * numbers as u64,
                KvDtype::F32 => 4 * numbers as u64,
            },
            vectors: [
                &tensors.input_scale,
                &tensors.input_bias,
                &tensors.final_norm,
            ]
            .into_iter()
            .map(|v| vector(v))
            .sum(),
            ..Traffic::default()
        };
        for (layer, stored) in self.weights.layers.iter().zip(&tensors.layers) {
            let (a, s) = (&layer.attention, &stored.attention);
            all.qkv += weight(&a.q, &s.q)
                + weight(&a.k, &s.k)
                + weight(&a.v_current, &s.v_current)
                + weight(&a.v_delayed, &s.v_delayed);
            all.convolutions += weight(&a.cca.depthwise, &s.conv_depthwise)
                + weight(&a.cca.grouped, &s.conv_grouped)
                + vector(&s.conv_depthwise_bias)
                + vector(&s.conv_grouped_bias);
            all.output += weight(&a.o, &s.o);
            let (r, s) = (&layer.router, &stored.router);
            all.router += weight(&r.down, &s.down)
                + weight(&r.fc1, &s.fc1)
                + weight(&r.fc2, &s.fc2)
                + weight(&r.out, &s.out);
            all.vectors += vectors_of(stored);
            let e = &layer.experts;
            let stacks = [&e.gate, &e.up, &e.down].map(|stack| backend.stack_bytes(stack));
            let expert = |(i, expert): (usize, &crate::bundle::zaya::Expert)| {
                let stored = [&expert.gate, &expert.up, &expert.down];
                let parts = stacks.iter().zip(stored).map(|(stack, stored)| {
                    let known = stack.as_ref().and_then(|bytes| bytes.get(i).copied());
                    known.unwrap_or_else(|| stored.bytes() as u64)
                });
                parts.sum::<u64>()
            };
            all.experts
                .push(stored.experts.iter().enumerate().map(expert).collect());
        }
        all
    }
}

/// Norms, merges and the router's biases of one layer.
fn vectors_of(layer: &Stored) -> u64 {
    let merges = [&layer.after_attention, &layer.after_experts];
    let merges = merges.into_iter().flat_map(|m| {
        [
            &m.residual_scale,
            &m.residual_bias,
            &m.hidden_scale,
            &m.hidden_bias,
        ]
    });
    let r = &layer.router;
    [&layer.input_norm, &layer.post_norm]
        .into_iter()
        .chain([
            &r.down_bias,
            &r.norm,
            &r.fc1_bias,
            &r.fc2_bias,
            &r.balancing_biases,
        ])
        .chain(&r.state_scale)
        .chain(merges)
        .map(|v| vector(v))
        .sum()
}
