//! The `Backend` trait. Shapes are `[rows, columns]`. Norms, softmax, router,
//! residual stream and convolutions are computed in fp32 whatever the weights are.

use std::ops::Range;

use super::cpu::HeadMode;
use super::{
    CcaWeights, ExpertWeights, HeadAudit, MergeWeights, Projected, Qkv, RouterWeights, Rows,
    SampleSpec, TokenStats, sample_row,
};
use crate::quant::Matrix;

/// Head geometry and rotary embedding of an attention layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionShape {
    pub query_heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub conv_kernels: [usize; 2],
    pub rotary_dims: usize,
    pub rope_theta: f64,
}

impl AttentionShape {
    /// Convolution channels: all query rows, then all key rows.
    pub fn channels(&self) -> usize {
        (self.query_heads + self.kv_heads) * self.head_dim
    }

    /// Columns of either half of the values: the current one and the delayed one.
    pub fn half_values(&self) -> usize {
        self.kv_heads * self.head_dim / 2
    }

    /// (sin, cos) of each rotated pair at an absolute position: pair `i` turns by
    /// `position * theta^(-2 i / rotary_dims)`.
    pub fn rotation(&self, position: usize) -> impl Iterator<Item = (f32, f32)> {
        let (dims, theta) = (self.rotary_dims, self.rope_theta);
        (0..dims / 2).map(move |i| {
            let frequency = theta.powf(-2.0 * i as f64 / dims as f64);
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            (sin as f32, cos as f32)
        })
    }

    /// Frames of raw context that the two convolutions need.
    pub fn context_frames(&self) -> usize {
        self.conv_kernels[0] + self.conv_kernels[1] - 2
    }

    /// Numbers of one layer's CCA state.
    pub fn state_len(&self) -> usize {
        self.context_frames() * self.channels() + self.half_values()
    }
}

/// What a token routed to the skip class gets: its own input times the
/// router's weight (the original model), or nothing (transformers 5.23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkipMode {
    #[default]
    ScaledInput,
    Zero,
}

/// Precision of stored keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvDtype {
    #[default]
    F16,
    F32,
}

impl KvDtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Keys and values of one layer of one sequence. `clone` is a fork: cheap, and
/// neither side sees what the other does next.
pub trait KvStore: Clone + Send {
    /// Stored positions.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all positions from `len` on; no effect if there are fewer.
    fn truncate(&mut self, len: usize);

    /// Appends positions with made-up keys and values, for measuring, and says
    /// whether it did.
    fn fill(&mut self, _positions: usize) -> bool {
        false
    }
}

/// What steps have read of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeadReads {
    /// Rows of activations that were multiplied with the head.
    pub tokens: u64,
    /// Logits computed exactly, over all tokens.
    pub exact: u64,
    /// Bytes read, over all tokens.
    pub bytes: u64,
}

pub trait Backend: Send + Sync + Sized + 'static {
    /// Activations, `[rows, columns]`.
    type Tensor: Clone + Send;
    /// A matrix in the backend's own layout.
    type Weight: Send + Sync;
    /// One matrix per expert.
    type Stack: Send + Sync;
    /// An fp32 vector of parameters.
    type Vector: Send + Sync;
    /// Token ids, one per row.
    type Ids: Clone + Send;
    /// The chosen class and its weight, one per row.
    type Routes: Clone + Send;
    type Kv: KvStore;
    /// CCA state of one layer of one sequence: the last raw `[q | k]` frames and
    /// the previous token's delayed value half. `clone` is a snapshot.
    type CcaState: Clone + Send;
    /// Statistics of a sampling call, to be read when there is time.
    type Stats: From<Vec<TokenStats>> + Send;

    /// Short name for the user, e.g. "cpu".
    fn name(&self) -> &'static str;

    /// Name and activation type for the user, e.g. "cpu, f32 activations".
    fn describe(&self) -> String {
        format!("{}, f32 activations", self.name())
    }

    /// What decides the bits of its results: the kind of arithmetic and the
    /// version of the kernels. Caches and replays of one id may be mixed.
    fn numerics(&self) -> String {
        format!("{}-f32-1", self.name())
    }

    /// What the user should know about how the weights were taken in, a line each.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Runs a step's worth of operations where the backend wants them run
    /// (its own threads, its own stream). Uploads, reading and every operation
    /// are called in here; ids and empty states may be made anywhere.
    fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// The calling thread will be the one that enters, and has little else to do:
    /// it may be given a processor.
    fn adopt_thread(&self) {}

    /// Tokens of a prompt that are best run at a time: few enough for their
    /// activations to be small beside the weights, enough for each expert that is
    /// read to meet several.
    fn chunk(&self) -> usize {
        256
    }

    /// What has gone wrong on the device since this was last asked, in one line.
    /// What was read from it in that time means nothing.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Whether it pays to start a step before the last one's results are read:
    /// the device then works while the host looks at them.
    fn runs_ahead(&self) -> bool {
        false
    }

    /// Starts computing a step's results, without waiting for them.
    fn start(&self, _ids: &Self::Ids, _stats: &Self::Stats, _routes: &[Self::Routes]) {}

    /// Computes this and what it depends on, now.
    fn finish(&self, _tensor: &Self::Tensor) {}

    /// What the head did, if it does not always compute all rows.
    fn head_audit(&self) -> Option<HeadAudit> {
        None
    }

    /// All of the model's weights have been uploaded.
    fn loaded(&self) {}

    // Weights and states.
    fn weight(&self, matrix: &Matrix) -> Self::Weight;
    /// The taps of a convolution, which only `cca_mix` reads.
    fn filter(&self, matrix: &Matrix) -> Self::Weight {
        self.weight(matrix)
    }
    /// The matrix that embeds tokens and, as the head, gives their logits: what
    /// `embed` and `sample` are called with.
    fn head(&self, matrix: &Matrix) -> Self::Weight {
        self.weight(matrix)
    }
    fn stack(&self, matrices: &[&Matrix]) -> Self::Stack;
    fn vector(&self, values: &[f32]) -> Self::Vector;
    fn ids(&self, ids: &[u32]) -> Self::Ids;
    fn kv(&self, shape: &AttentionShape, dtype: KvDtype) -> Self::Kv;
    /// The state before the first token: zeros.
    fn cca_state(&self, shape: &AttentionShape) -> Self::CcaState;

    // What is kept on disk.
    /// Keys of these positions, `[positions, kv_heads * head_dim]`, then their
    /// values, as they are stored: halves or f32, in this machine's byte order.
    fn read_kv(&self, kv: &Self::Kv, positions: Range<usize>) -> Vec<u8>;
    /// Appends as many positions, given as [`Backend::read_kv`] gives them.
    fn write_kv(&self, kv: &mut Self::Kv, positions: usize, bytes: &[u8]);
    /// A state's numbers: the frames, oldest first, then the delayed value half.
    fn read_cca(&self, state: &Self::CcaState) -> Vec<f32>;
    /// The state of these numbers, as many as the shape's states have.
    fn write_cca(&self, shape: &AttentionShape, numbers: &[f32]) -> Self::CcaState;

    // What a benchmark asks.
    /// Bytes that a product with this weight reads, all of its parts; `None` if
    /// they are those that were uploaded.
    fn weight_bytes(&self, _weight: &Self::Weight) -> Option<u64> {
        None
    }
    /// The same for each matrix of a stack.
    fn stack_bytes(&self, _stack: &Self::Stack) -> Option<Vec<u64>> {
        None
    }
    /// How [`Backend::sample`] finds logits from here on, where there is a choice.
    fn set_head(&self, _mode: HeadMode) {}
    /// What [`Backend::sample`] has read of the head since this was last asked;
    /// `None` where that is always all of it.
    fn head_reads(&self) -> Option<HeadReads> {
        None
    }

    // What the host reads.
    fn read(&self, tensor: &Self::Tensor) -> Vec<f32>;
    /// Class per row; the number of experts means "skipped".
    fn read_routes(&self, routes: &Self::Routes) -> Vec<u16>;
    fn read_stats(&self, stats: Self::Stats) -> Vec<TokenStats>;

    // Small operations.
    /// Rows of the embedding matrix.
    fn embed(&self, weight: &Self::Weight, ids: &Self::Ids) -> Self::Tensor;
    /// `x W^T + bias`.
    fn linear(
        &self,
        weight: &Self::Weight,
        x: &Self::Tensor,
        bias: Option<&Self::Vector>,
    ) -> Self::Tensor;
    /// `x W^T` for several matrices of the same input.
    fn linears<const N: usize>(
        &self,
        weights: [&Self::Weight; N],
        x: &Self::Tensor,
    ) -> [Self::Tensor; N] {
        weights.map(|weight| self.linear(weight, x, None))
    }
    /// `x * rsqrt(mean(x^2) + eps) * gain`.
    fn rms_norm(&self, x: &Self::Tensor, gain: &Self::Vector, eps: f32) -> Self::Tensor;
    /// `x + y * scale`.
    fn add_scaled(&self, x: &Self::Tensor, y: &Self::Tensor, scale: &Self::Vector) -> Self::Tensor;
    /// Exact (erf) GELU.
    fn gelu(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Residual merge; without `residual` only the hidden stream counts.
    fn merge(
        &self,
        residual: Option<&Self::Tensor>,
        block: &Self::Tensor,
        weights: &MergeWeights<Self>,
    ) -> Self::Tensor;

    /// [`Backend::merge`], then [`Backend::rms_norm`] of what that gives: both.
    /// What is merged is not used again, so its memory may be.
    fn merge_norm(
        &self,
        residual: Option<Self::Tensor>,
        block: Self::Tensor,
        weights: &MergeWeights<Self>,
        gain: &Self::Vector,
        eps: f32,
    ) -> (Self::Tensor, Self::Tensor) {
        let merged = self.merge(residual.as_ref(), &block, weights);
        let normed = self.rms_norm(&merged, gain, eps);
        (merged, normed)
    }

    // Attention.
    /// Everything between the projections and attention. Queries and keys: both
    /// convolutions over time, the mean of each query group and its key added to
    /// either, unit length, key temperature, rotation. Values: the current half,
    /// then the delayed half of the row before. Advances the states.
    fn cca_mix(
        &self,
        projected: &Projected<Self>,
        weights: &CcaWeights<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        states: &mut [&mut Self::CcaState],
    ) -> Qkv<Self>;
    /// Causal grouped-query attention, scale `1 / sqrt(head_dim)`, fp32 softmax.
    /// Keys and values are rounded to the cache's precision before they are read.
    fn attend(
        &self,
        qkv: &Qkv<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        caches: &mut [&mut Self::Kv],
    ) -> Self::Tensor;

    // Experts.
    /// Softmax over the classes; the class is the arg-max of probability plus
    /// bias (lowest index on ties), its weight the unbiased probability.
    fn choose(&self, logits: &Self::Tensor, biases: &Self::Vector) -> Self::Routes;
    /// Each row times the matrix of its expert; zero for skipped rows.
    fn expert_linear(
        &self,
        stack: &Self::Stack,
        x: &Self::Tensor,
        routes: &Self::Routes,
    ) -> Self::Tensor;
    /// `silu(gate) * up`.
    fn swiglu(&self, gate: &Self::Tensor, up: &Self::Tensor) -> Self::Tensor;
    /// `weight * y`, and for rows of a class from `experts` on (skipped ones) `weight * x` or zero.
    fn combine(
        &self,
        y: &Self::Tensor,
        x: &Self::Tensor,
        routes: &Self::Routes,
        experts: usize,
        skip: SkipMode,
    ) -> Self::Tensor;

    /// The EDA router, a three-layer perceptron on a state that each layer adds
    /// its own part to: routes, and the state for the next layer.
    fn route(
        &self,
        x: &Self::Tensor,
        previous: Option<&Self::Tensor>,
        w: &RouterWeights<Self>,
    ) -> (Self::Routes, Self::Tensor) {
        route_in_parts(self, x, previous, w)
    }

    /// SwiGLU over each row's expert.
    fn experts(
        &self,
        x: &Self::Tensor,
        routes: &Self::Routes,
        w: &ExpertWeights<Self>,
        skip: SkipMode,
    ) -> Self::Tensor {
        let gate = self.expert_linear(&w.gate, x, routes);
        let up = self.expert_linear(&w.up, x, routes);
        let y = self.expert_linear(&w.down, &self.swiglu(&gate, &up), routes);
        self.combine(&y, x, routes, w.count, skip)
    }

    /// Head and sampling in one: an id per row of `hidden`, and statistics.
    /// The default body computes all logits and samples on the host.
    fn sample(
        &self,
        head: &Self::Weight,
        hidden: &Self::Tensor,
        specs: &[SampleSpec],
    ) -> (Self::Ids, Self::Stats) {
        let logits = self.read(&self.linear(head, hidden, None));
        let vocab = logits.len() / specs.len().max(1);
        let stats: Vec<TokenStats> = logits
            .chunks_exact(vocab.max(1))
            .zip(specs)
            .map(|(row, spec)| sample_row(row, spec))
            .collect();
        let ids: Vec<u32> = stats.iter().map(|s| s.id).collect();
        (self.ids(&ids), Self::Stats::from(stats))
    }
}

/// [`Backend::route`] made of the small operations.
pub(super) fn route_in_parts<B: Backend>(
    b: &B,
    x: &B::Tensor,
    previous: Option<&B::Tensor>,
    w: &RouterWeights<B>,
) -> (B::Routes, B::Tensor) {
    let mut state = b.linear(&w.down, x, Some(&w.down_bias));
    if let (Some(scale), Some(previous)) = (&w.state_scale, previous) {
        state = b.add_scaled(&state, previous, scale);
    }
    let z = b.rms_norm(&state, &w.norm, w.norm_eps);
    let z = b.gelu(&b.linear(&w.fc1, &z, Some(&w.fc1_bias)));
    let z = b.gelu(&b.linear(&w.fc2, &z, Some(&w.fc2_bias)));
    let logits = b.linear(&w.out, &z, None);
    (b.choose(&logits, &w.balancing_biases), state)
}
