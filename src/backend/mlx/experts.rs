//! Products with each row's own expert.

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, ops};

use super::MlxBackend;
use super::elementwise::swiglu;
use super::mxtq;
use super::raw::{self, Order};
use super::routes::{Routes, combine, routed};
use super::tensor::{Tensor, int};
use super::weight::{Store, Weight};
use crate::backend::{ExpertWeights, SkipMode};

type Result<T> = std::result::Result<T, Exception>;

/// From so many rows on they are sorted by expert, so that each expert's
/// weights are read once.
const SORT_FROM: usize = 32;

/// Each row times the matrix of its expert; zero for skipped rows.
pub fn expert_linear(b: &MlxBackend, w: &Weight, x: &Tensor, routes: &Routes) -> Result<Array> {
    if let Store::Mxtq(m) = &w.store {
        return mxtq::expert_linear(b, w, m, x, routes);
    }
    // A skipped row is given to some expert, and its result dropped.
    let last = Array::from_slice(&[w.experts as u32 - 1], &[1]);
    let index = ops::minimum(&routes.classes, last)?;
    let rows = int(x.rows);
    let x = x.array.reshape(&[rows, 1, int(x.cols)])?;
    let y = if routes.rows < SORT_FROM {
        product(w, &x, &index, Order::Any)?
    } else {
        let order = ops::argsort_axis(&index, 0)?;
        let sorted = (x.take_axis(&order, 0)?, index.take_axis(&order, 0)?);
        let y = product(w, &sorted.0, &sorted.1, Order::Sorted)?;
        y.take_axis(ops::argsort_axis(&order, 0)?, 0)?
    };
    let y = y.reshape(&[rows, int(w.rows)])?;
    ops::select(routed(routes, w.experts)?, y, Array::from_f32(0.0))
}

/// `x` is `[n, 1, in]`.
fn product(w: &Weight, x: &Array, index: &Array, order: Order) -> Result<Array> {
    match &w.store {
        Store::Quantized(q) => raw::gather_qmm(x, &q.codes(), q.how, index, order),
        Store::Dense(stack) => ops::gather_mm(
            x,
            stack.transpose_axes(&[0, 2, 1])?,
            None,
            index,
            order == Order::Sorted,
        ),
        Store::Mxtq(_) => Err(Exception::custom("MXTQ has products of its own")),
    }
}

/// Rows sorted by class, where it pays: their numbers as u32.
pub fn order(routes: &Routes) -> Result<Array> {
    ops::argsort_axis(&routes.classes, 0)?.as_dtype(Dtype::Uint32)
}

/// SwiGLU over each row's expert.
pub fn experts(
    b: &MlxBackend,
    x: &Tensor,
    routes: &Routes,
    w: &ExpertWeights<MlxBackend>,
    skip: SkipMode,
) -> Result<Array> {
    let hidden = match mxtq::gate_up(b, w, x, routes) {
        Some(hidden) => hidden?,
        None => {
            let gate = expert_linear(b, &w.gate, x, routes)?;
            swiglu(b.device.kind, &gate, &expert_linear(b, &w.up, x, routes)?)?
        }
    };
    let hidden = Tensor {
        array: hidden,
        rows: x.rows,
        cols: w.down.cols,
    };
    let y = match mxtq::down(b, &w.down, &hidden, routes) {
        Some(y) => y?,
        None => expert_linear(b, &w.down, &hidden, routes)?,
    };
    combine(&y, &x.array, routes, w.count, skip)
}
