//! `x W^T`, by whichever kernel the weight is packed for.

use super::context::Context;
use super::output::Output;
use super::panels::{Activations, FloatPanels, IntegerPanels, float_product, integer_product};
use super::rows;
use super::tensor::Tensor;
use super::weight::{Packed, Weight};

/// Columns times rows of a float matrix below which a second thread does not pay.
const PARALLEL_FROM: usize = 1 << 15;

/// `x W^T` (+ bias), `[x.rows, weight.rows]`.
pub(super) fn linear(cx: &Context, weight: &Weight, x: &Tensor, bias: Option<&[f32]>) -> Tensor {
    let (tokens, out) = (x.rows(), weight.matrix().rows);
    match &weight.packed {
        Packed::No | Packed::Dense(_) => rows::linear(cx, &weight.rows, x, bias),
        Packed::Integer(w) => {
            let x = Activations::of(cx, x, w);
            let mut data = vec![0.0; tokens * out];
            integers(cx, &[w], &x, &[Output::new(&mut data, out)], bias);
            Tensor::new(tokens, out, data)
        }
        Packed::Float(w) => {
            let mut data = vec![0.0; tokens * out];
            floats(cx, w, x.data(), &Output::new(&mut data, out), bias);
            Tensor::new(tokens, out, data)
        }
    }
}

/// `x W^T` for several weights: the activations are made once, and the threads
/// meet once.
pub(super) fn linears<const N: usize>(
    cx: &Context,
    weights: [&Weight; N],
    x: &Tensor,
) -> [Tensor; N] {
    let panels: Option<Vec<&IntegerPanels>> = weights
        .iter()
        .map(|weight| match &weight.packed {
            Packed::Integer(w) => Some(w),
            _ => None,
        })
        .collect();
    let alike = panels.filter(|all| all.iter().all(|w| w.shares_inputs_with(all[0])));
    let Some(panels) = alike else {
        return weights.map(|weight| linear(cx, weight, x, None));
    };
    let Some(first) = panels.first() else {
        return weights.map(|weight| linear(cx, weight, x, None));
    };
    let tokens = x.rows();
    let mut data = weights.map(|weight| vec![0.0; tokens * weight.matrix().rows]);
    let outputs: Vec<Output> = data
        .iter_mut()
        .zip(weights)
        .map(|(data, weight)| Output::new(data, weight.matrix().rows))
        .collect();
    integers(cx, &panels, &Activations::of(cx, x, first), &outputs, None);
    let mut data = data.into_iter();
    weights.map(|weight| {
        let data = data.next().unwrap_or_default();
        Tensor::new(tokens, weight.matrix().rows, data)
    })
}

/// All panels of all weights in one region.
fn integers(
    cx: &Context,
    weights: &[&IntegerPanels],
    x: &Activations,
    outputs: &[Output<'_>],
    bias: Option<&[f32]>,
) {
    let all = weights.iter().map(|w| w.panels()).sum();
    cx.pool.run(all, 1, |items| {
        let mut before = 0;
        for (w, output) in weights.iter().zip(outputs) {
            let first = items.start.max(before) - before;
            let last = items.end.min(before + w.panels()).max(before) - before;
            before += w.panels();
            if first < last {
                integer_product(
                    cx,
                    w,
                    first..last,
                    x,
                    0..x.tokens,
                    &mut |token, panel, y| {
                        // SAFETY: each panel is one thread's, each token visited once.
                        unsafe { output.panel(token, panel, y, bias) };
                    },
                );
            }
        }
    });
}

fn floats(cx: &Context, w: &FloatPanels, x: &[f32], output: &Output<'_>, bias: Option<&[f32]>) {
    let work = (w.cols * x.len().div_ceil(w.cols.max(1)) * super::panels::PANEL).max(1);
    let grain = PARALLEL_FROM.div_ceil(work);
    cx.pool.run(w.panels(), grain, |panels| {
        float_product(cx, w, panels, x, &mut |token, panel, y| {
            // SAFETY: as above.
            unsafe { output.panel(token, panel, y, bias) };
        });
    });
}
