//! A ZAYA bundle's tensors, uploaded to a backend.

use crate::backend::{Backend, CcaWeights, ExpertWeights, MergeWeights, RouterWeights};
use crate::bundle::zaya::{self, Merge, Tensors};
use crate::model::Loading;
use crate::quant::Matrix;

pub(super) struct Weights<B: Backend> {
    pub embed: B::Weight,
    pub input: MergeWeights<B>,
    pub final_norm: B::Vector,
    pub layers: Vec<Layer<B>>,
}

pub(super) struct Layer<B: Backend> {
    pub input_norm: B::Vector,
    pub attention: Attention<B>,
    pub after_attention: MergeWeights<B>,
    pub post_norm: B::Vector,
    pub router: RouterWeights<B>,
    pub experts: ExpertWeights<B>,
    pub after_experts: MergeWeights<B>,
}

pub(super) struct Attention<B: Backend> {
    pub q: B::Weight,
    pub k: B::Weight,
    pub v_current: B::Weight,
    pub v_delayed: B::Weight,
    pub o: B::Weight,
    pub cca: CcaWeights<B>,
}

impl<B: Backend> Weights<B> {
    /// Gain of the norm before a layer; after the last one, of the final norm.
    pub fn input_norm(&self, layer: usize) -> &B::Vector {
        let layer = self.layers.get(layer);
        layer.map_or(&self.final_norm, |layer| &layer.input_norm)
    }

    pub fn upload(b: &B, tensors: &Tensors, loading: &Loading) -> Self {
        loading.begin(tensors.layers.len());
        Self {
            embed: b.head(&tensors.embed),
            input: MergeWeights {
                residual: None,
                hidden: (
                    b.vector(&tensors.input_scale),
                    b.vector(&tensors.input_bias),
                ),
            },
            final_norm: b.vector(&tensors.final_norm),
            layers: tensors
                .layers
                .iter()
                .map(|l| {
                    let uploaded = layer(b, l, &tensors.config);
                    loading.one_more();
                    uploaded
                })
                .collect(),
        }
    }
}

fn layer<B: Backend>(b: &B, layer: &zaya::Layer, config: &zaya::Config) -> Layer<B> {
    Layer {
        input_norm: b.vector(&layer.input_norm),
        attention: attention(b, &layer.attention, config),
        after_attention: merge(b, &layer.after_attention),
        post_norm: b.vector(&layer.post_norm),
        router: router(b, &layer.router, config.norm_eps),
        experts: experts(b, &layer.experts),
        after_experts: merge(b, &layer.after_experts),
    }
}

fn attention<B: Backend>(b: &B, a: &zaya::Attention, config: &zaya::Config) -> Attention<B> {
    let temp: Vec<f32> = if config.clamp_temp {
        a.temp.iter().map(|t| t.clamp(1e-7, 2.0).exp()).collect()
    } else {
        a.temp.clone()
    };
    Attention {
        q: b.weight(&a.q),
        k: b.weight(&a.k),
        v_current: b.weight(&a.v_current),
        v_delayed: b.weight(&a.v_delayed),
        o: b.weight(&a.o),
        cca: CcaWeights {
            depthwise: b.filter(&a.conv_depthwise),
            depthwise_bias: b.vector(&a.conv_depthwise_bias),
            grouped: b.filter(&a.conv_grouped),
            grouped_bias: b.vector(&a.conv_grouped_bias),
            temp: b.vector(&temp),
        },
    }
}

fn merge<B: Backend>(b: &B, m: &Merge) -> MergeWeights<B> {
    MergeWeights {
        residual: Some((b.vector(&m.residual_scale), b.vector(&m.residual_bias))),
        hidden: (b.vector(&m.hidden_scale), b.vector(&m.hidden_bias)),
    }
}

fn router<B: Backend>(b: &B, r: &zaya::Router, norm_eps: f32) -> RouterWeights<B> {
    RouterWeights {
        down: b.weight(&r.down),
        down_bias: b.vector(&r.down_bias),
        state_scale: r.state_scale.as_ref().map(|s| b.vector(s)),
        norm: b.vector(&r.norm),
        norm_eps,
        fc1: b.weight(&r.fc1),
        fc1_bias: b.vector(&r.fc1_bias),
        fc2: b.weight(&r.fc2),
        fc2_bias: b.vector(&r.fc2_bias),
        out: b.weight(&r.out),
        balancing_biases: b.vector(&r.balancing_biases),
    }
}

fn experts<B: Backend>(b: &B, experts: &[zaya::Expert]) -> ExpertWeights<B> {
    let stack =
        |part: fn(&zaya::Expert) -> &Matrix| b.stack(&experts.iter().map(part).collect::<Vec<_>>());
    ExpertWeights {
        count: experts.len(),
        gate: stack(|e| &e.gate),
        up: stack(|e| &e.up),
        down: stack(|e| &e.down),
    }
}
