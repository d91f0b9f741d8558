//! Weights of the fused operations, uploaded.

use super::Backend;

/// Residual merge: `(r + residual_bias) * residual_scale + (x + hidden_bias) * hidden_scale`.
pub struct MergeWeights<B: Backend> {
    /// Scale and bias of the residual stream; `None` where there is none yet.
    pub residual: Option<(B::Vector, B::Vector)>,
    pub hidden: (B::Vector, B::Vector),
}

/// The two convolutions over time and the key temperature of CCA.
pub struct CcaWeights<B: Backend> {
    /// `[channels, K0]`
    pub depthwise: B::Weight,
    pub depthwise_bias: B::Vector,
    /// `[channels, head_dim * K1]`
    pub grouped: B::Weight,
    pub grouped_bias: B::Vector,
    /// Multiplier of each KV head's unit key, the clamp already applied.
    pub temp: B::Vector,
}

pub struct RouterWeights<B: Backend> {
    pub down: B::Weight,
    pub down_bias: B::Vector,
    pub state_scale: Option<B::Vector>,
    pub norm: B::Vector,
    pub norm_eps: f32,
    pub fc1: B::Weight,
    pub fc1_bias: B::Vector,
    pub fc2: B::Weight,
    pub fc2_bias: B::Vector,
    pub out: B::Weight,
    pub balancing_biases: B::Vector,
}

/// Experts as stacks: one matrix per expert.
pub struct ExpertWeights<B: Backend> {
    /// Number of experts; a class from here on skips them.
    pub count: usize,
    pub gate: B::Stack,
    pub up: B::Stack,
    pub down: B::Stack,
}
