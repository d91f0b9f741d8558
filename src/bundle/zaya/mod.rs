//! ZAYA: configuration and tensors by role, whatever layout they came in.

mod claims;
mod load;
mod names;

use crate::quant::{Format, Matrix};

pub use names::Layout;

pub(super) use load::{leftovers, load};

/// The name that the architecture uses for the tensor `name` of a file.
pub(super) fn canonical(name: &str) -> String {
    names::canonical(name).into_owned()
}

/// Geometry, derived from tensor shapes and checked against `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub hidden: usize,
    /// Fused layers (40 for ZAYA1-8B).
    pub layers: usize,
    pub query_heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Kernel widths of the depthwise and the grouped convolution.
    pub conv_kernels: [usize; 2],
    /// Experts, the skip route not counted.
    pub experts: usize,
    /// Width of one expert's gate or up branch.
    pub expert_width: usize,
    pub router_width: usize,
    /// Rows of the embedding (may exceed the tokenizer's ids).
    pub vocab: usize,
    pub norm_eps: f32,
    pub rope_theta: f64,
    /// Leading dimensions of a head that are rotated.
    pub rotary_dims: usize,
    /// Key temperature is `exp(clamp(temp, 1e-7, 2))` instead of `temp`.
    pub clamp_temp: bool,
}

/// Scale and bias of both streams of a residual merge:
/// `r' = (r + residual_bias) * residual_scale + (x + hidden_bias) * hidden_scale`.
#[derive(Clone, Debug)]
pub struct Merge {
    pub residual_scale: Vec<f32>,
    pub residual_bias: Vec<f32>,
    pub hidden_scale: Vec<f32>,
    pub hidden_bias: Vec<f32>,
}

#[derive(Clone, Debug)]
pub struct Attention {
    /// `[query_heads * head_dim, hidden]`
    pub q: Matrix,
    /// `[kv_heads * head_dim, hidden]`
    pub k: Matrix,
    /// `[kv_heads * head_dim / 2, hidden]`, applied to the current token.
    pub v_current: Matrix,
    /// Same shape, applied to the previous token.
    pub v_delayed: Matrix,
    /// `[hidden, query_heads * head_dim]`
    pub o: Matrix,
    /// `[channels, K0]`; channels = q then k rows; tap 0 is the oldest frame.
    pub conv_depthwise: Matrix,
    pub conv_depthwise_bias: Vec<f32>,
    /// `[channels, head_dim * K1]`, index `d * K1 + tap`; one group per head.
    pub conv_grouped: Matrix,
    pub conv_grouped_bias: Vec<f32>,
    /// Raw key temperature per KV head.
    pub temp: Vec<f32>,
}

#[derive(Clone, Debug)]
pub struct Router {
    /// `[router_width, hidden]`
    pub down: Matrix,
    pub down_bias: Vec<f32>,
    /// Weight of the previous layer's router state; absent in the first layer.
    pub state_scale: Option<Vec<f32>>,
    pub norm: Vec<f32>,
    /// `[router_width, router_width]`
    pub fc1: Matrix,
    pub fc1_bias: Vec<f32>,
    pub fc2: Matrix,
    pub fc2_bias: Vec<f32>,
    /// `[experts + 1, router_width]`; the last class skips the experts.
    pub out: Matrix,
    pub balancing_biases: Vec<f32>,
}

#[derive(Clone, Debug)]
pub struct Expert {
    /// `[expert_width, hidden]`
    pub gate: Matrix,
    pub up: Matrix,
    /// `[hidden, expert_width]`
    pub down: Matrix,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub input_norm: Vec<f32>,
    pub attention: Attention,
    pub after_attention: Merge,
    pub post_norm: Vec<f32>,
    pub router: Router,
    pub experts: Vec<Expert>,
    pub after_experts: Merge,
}

/// All of a ZAYA model. Vectors are fp32; matrices stay in the file.
#[derive(Clone, Debug)]
pub struct Tensors {
    pub config: Config,
    /// `[vocab, hidden]`: embedding and, tied, the head.
    pub embed: Matrix,
    /// Scale and bias of the embedded input: `r = (e + bias) * scale`.
    pub input_scale: Vec<f32>,
    pub input_bias: Vec<f32>,
    pub final_norm: Vec<f32>,
    pub layers: Vec<Layer>,
}

impl Tensors {
    /// Layers in which some token could take the skip route. Biases are added
    /// to probabilities, so a class whose bias is at least 1 below another's
    /// can never win.
    pub fn layers_with_reachable_skip(&self) -> Vec<usize> {
        let reachable = |layer: &Layer| {
            let (skip, experts) = layer.router.balancing_biases.split_last()?;
            let best = experts.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            (skip + 1.0 > best).then_some(())
        };
        (0..self.layers.len())
            .filter(|l| reachable(&self.layers[*l]).is_some())
            .collect()
    }

    /// Whether all experts are coded so coarsely that thinking rarely ends.
    pub(super) fn experts_have_at_most_2_bits(&self) -> bool {
        self.layers
            .iter()
            .flat_map(|l| &l.experts)
            .flat_map(|e| [&e.gate, &e.up, &e.down])
            .all(|m| code_bits(m) <= 2)
    }
}

/// Bits per weight, scales not counted.
pub(super) fn code_bits(matrix: &Matrix) -> u32 {
    match &matrix.format {
        Format::F32 => 32,
        Format::F16 | Format::Bf16 => 16,
        Format::Affine { bits, .. } | Format::Mxtq { bits, .. } => *bits,
        Format::Mxfp4 { .. } => 4,
    }
}
