//! Top-1 routing, and products with each row's own expert.

use std::sync::Arc;

use super::attention::softmax;
use super::context::Context;
use super::linear::linear;
use super::tensor::Tensor;
use super::weight::Weight;
use crate::backend::SkipMode;

/// The chosen class of each row and its probability.
#[derive(Clone, Debug)]
pub struct Routes {
    pub(super) classes: Arc<Vec<u16>>,
    weights: Arc<Vec<f32>>,
}

impl Routes {
    /// These classes, with certainty.
    pub(super) fn to(classes: Vec<u16>) -> Self {
        Self {
            weights: Arc::new(vec![1.0; classes.len()]),
            classes: Arc::new(classes),
        }
    }
}

pub(super) fn choose(logits: &Tensor, biases: &[f32]) -> Routes {
    let (classes, weights) = logits
        .iter_rows()
        .map(|row| {
            let mut p = row.to_vec();
            softmax(&mut p);
            let mut best = 0;
            for class in 1..p.len() {
                if p[class] + biases[class] > p[best] + biases[best] {
                    best = class;
                }
            }
            (best as u16, p[best])
        })
        .unzip();
    Routes {
        classes: Arc::new(classes),
        weights: Arc::new(weights),
    }
}

/// Rows are grouped by expert, so that each weight row is decoded once a call.
pub(super) fn expert_linear(cx: &Context, stack: &[Weight], x: &Tensor, routes: &Routes) -> Tensor {
    let out = stack.first().map_or(0, |w| w.matrix().rows);
    let mut data = vec![0.0; x.rows() * out];
    let mut by_expert: Vec<Vec<usize>> = vec![Vec::new(); stack.len()];
    for (row, &class) in routes.classes.iter().enumerate() {
        if let Some(rows) = by_expert.get_mut(usize::from(class)) {
            rows.push(row);
        }
    }
    for (weight, rows) in stack
        .iter()
        .zip(&by_expert)
        .filter(|(_, rows)| !rows.is_empty())
    {
        let y = if rows.len() == x.rows() {
            linear(cx, weight, x, None)
        } else {
            linear(cx, weight, &super::elementwise::select_rows(x, rows), None)
        };
        for (&row, y) in rows.iter().zip(y.iter_rows()) {
            data[row * out..(row + 1) * out].copy_from_slice(y);
        }
    }
    Tensor::new(x.rows(), out, data)
}

pub(super) fn combine(
    y: &Tensor,
    x: &Tensor,
    routes: &Routes,
    experts: usize,
    skip: SkipMode,
) -> Tensor {
    let mut data = Vec::with_capacity(y.data().len());
    for (row, (&class, &weight)) in routes.classes.iter().zip(routes.weights.iter()).enumerate() {
        let from = match (usize::from(class) < experts, skip) {
            (true, _) => y.row(row),
            (false, SkipMode::ScaledInput) => x.row(row),
            (false, SkipMode::Zero) => {
                data.resize(data.len() + y.cols(), 0.0);
                continue;
            }
        };
        data.extend(from.iter().map(|v| v * weight));
    }
    Tensor::new(y.rows(), y.cols(), data)
}
