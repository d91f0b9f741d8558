//! What goes into CCA and what comes out of it.

use super::Backend;

/// The projections of a layer's normed input, `[rows, columns]` each.
pub struct Projected<B: Backend> {
    pub q: B::Tensor,
    pub k: B::Tensor,
    /// First half of the values.
    pub v_current: B::Tensor,
    /// Second half; it belongs to the row after the one it was computed from.
    pub v_delayed: B::Tensor,
}

/// Input of attention: `[rows, heads * head_dim]` each.
pub struct Qkv<B: Backend> {
    pub q: B::Tensor,
    pub k: B::Tensor,
    pub v: B::Tensor,
}
