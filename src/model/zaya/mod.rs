//! ZAYA: CCA attention and top-1 experts behind an EDA router, with a scaled
//! residual merge after each. Written once, for any backend; the formulas are
//! Zyphra's, in the order of their reference implementation.

mod traffic;
mod weights;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::ops::ControlFlow;

use crate::backend::{AttentionShape, Backend, KvDtype, KvMode, Projected, Rows, SkipMode};
use crate::bundle::zaya::{Config, Tensors};
use crate::cache::SequenceState;
use crate::model::{Clock, Loading, Stage};
use weights::{Layer, Weights};

pub struct Zaya<B: Backend> {
    config: Config,
    shape: AttentionShape,
    skip: SkipMode,
    weights: Weights<B>,
    /// Where the time of a pass goes, when asked for.
    pub clock: Clock,
}

/// What a forward pass gives.
pub struct Output<B: Backend> {
    /// After the final norm, `[rows, hidden]`: input of the head.
    pub hidden: B::Tensor,
    /// Each layer's routes.
    pub routes: Vec<B::Routes>,
}

impl<B: Backend> Zaya<B> {
    pub fn new(backend: &B, tensors: &Tensors, skip: SkipMode, loading: &Loading) -> Self {
        let config = tensors.config.clone();
        let shape = AttentionShape {
            query_heads: config.query_heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            conv_kernels: config.conv_kernels,
            rotary_dims: config.rotary_dims,
            rope_theta: config.rope_theta,
        };
        Self {
            shape,
            skip,
            weights: Weights::upload(backend, tensors, loading),
            clock: Clock::default(),
            config,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn shape(&self) -> &AttentionShape {
        &self.shape
    }

    /// Embedding and head.
    pub fn embed(&self) -> &B::Weight {
        &self.weights.embed
    }

    /// Tokens that a replay needs to rebuild the state from nothing. Without
    /// convolution context it is still one: the previous token's delayed values.
    pub fn replay_span(&self) -> usize {
        (self.shape.context_frames() * self.config.layers).max(1)
    }

    pub fn new_state(&self, backend: &B, dtype: KvDtype) -> SequenceState<B> {
        let initial = backend.cca_state(&self.shape);
        SequenceState::new(self.config.layers, initial, || {
            backend.kv(&self.shape, dtype)
        })
    }

    /// Runs rows of one or more sequences through all layers and advances
    /// their states (with [`KvMode::Stored`], only their CCA states).
    pub fn forward(
        &self,
        backend: &B,
        ids: &B::Ids,
        rows: &Rows,
        states: &mut [&mut SequenceState<B>],
    ) -> Output<B> {
        let go_on = || ControlFlow::<Infallible>::Continue(());
        match self.forward_while(backend, ids, rows, states, go_on) {
            ControlFlow::Continue(output) => output,
            ControlFlow::Break(never) => match never {},
        }
    }

    /// [`Zaya::forward`], asking before each layer whether to go on. After a
    /// `Break` the states are part old, part new: the caller restores them.
    pub fn forward_while<Stop>(
        &self,
        backend: &B,
        ids: &B::Ids,
        rows: &Rows,
        states: &mut [&mut SequenceState<B>],
        mut go_on: impl FnMut() -> ControlFlow<Stop>,
    ) -> ControlFlow<Stop, Output<B>> {
        self.clock.mark(Stage::Embed);
        let embedded = backend.embed(&self.weights.embed, ids);
        let eps = self.config.norm_eps;
        let merge = |residual, block, weights, gain| {
            self.clock.mark(Stage::Norms);
            backend.merge_norm(residual, block, weights, gain, eps)
        };
        let w = &self.weights;
        let (mut residual, mut x) = merge(None, embedded, &w.input, w.input_norm(0));
        let mut router_state = None;
        let mut routes = Vec::with_capacity(w.layers.len());
        for (index, layer) in w.layers.iter().enumerate() {
            go_on()?;
            let attended = self.attention(backend, layer, &x, rows, states, index);
            let weights = &layer.after_attention;
            (residual, x) = merge(Some(residual), attended, weights, &layer.post_norm);
            self.clock.mark(Stage::Router);
            let (chosen, state) = backend.route(&x, router_state.as_ref(), &layer.router);
            self.clock.mark(Stage::Experts);
            let y = backend.experts(&x, &chosen, &layer.experts, self.skip);
            let next = w.input_norm(index + 1);
            (residual, x) = merge(Some(residual), y, &layer.after_experts, next);
            router_state = Some(state);
            routes.push(chosen);
        }
        let hidden = x;
        ControlFlow::Continue(Output { hidden, routes })
    }

    fn attention(
        &self,
        backend: &B,
        layer: &Layer<B>,
        x: &B::Tensor,
        rows: &Rows,
        states: &mut [&mut SequenceState<B>],
        index: usize,
    ) -> B::Tensor {
        let (mut kvs, mut ccas): (Vec<_>, Vec<_>) = states
            .iter_mut()
            .map(|state| {
                let layer = &mut state.layers[index];
                (&mut layer.kv, &mut layer.cca)
            })
            .unzip();
        let a = &layer.attention;
        self.clock.mark(Stage::Qkv);
        let [q, k, v_current, v_delayed] =
            backend.linears([&a.q, &a.k, &a.v_current, &a.v_delayed], x);
        let projected = Projected {
            q,
            k,
            v_current,
            v_delayed,
        };
        self.clock.mark(Stage::Cca);
        let qkv = backend.cca_mix(&projected, &a.cca, &self.shape, rows, &mut ccas);
        self.clock.mark(Stage::Attend);
        let attended = backend.attend(&qkv, &self.shape, rows, &mut kvs);
        self.clock.mark(Stage::Output);
        backend.linear(&a.o, &attended, None)
    }
}

/// Rows of one sequence from `position` on.
pub fn rows_of(len: usize, position: usize, kv: KvMode) -> Rows {
    Rows {
        segments: vec![crate::backend::Segment { len, position }],
        kv,
    }
}
