//! `x W^T`, by whichever kernel the weight is packed for.

use std::ops::Range;

use super::context::Context;
use super::output::Output;
use super::panels::{Activations, IntegerPanels, float_product, integer_product};
use super::rows;
use super::tensor::Tensor;
use super::weight::{Packed, Weight};

/// `x W^T` (+ bias), `[x.rows, weight.rows]`.
pub(super) fn linear(cx: &Context, weight: &Weight, x: &Tensor, bias: Option<&[f32]>) -> Tensor {
    let (tokens, out) = (x.rows(), weight.matrix().rows);
    match &weight.packed {
        Packed::No => rows::linear(cx, &weight.rows, x, bias),
        Packed::Integer(w) => integer(cx, w, x, bias),
        Packed::Head(head) => integer(cx, &head.panels, x, bias),
        Packed::Float(w) => {
            let mut data = vec![0.0; tokens * out];
            let y = Output::new(&mut data, out);
            cx.pool.run(w.panels(), 1, |panels| {
                float_product(cx, w, panels, x.data(), &mut |token, panel, values| {
                    // SAFETY: each panel is one thread's, each token visited once.
                    unsafe { y.panel(token, panel, values, bias) };
                });
            });
            Tensor::new(tokens, out, data)
        }
    }
}

fn integer(cx: &Context, w: &IntegerPanels, x: &Tensor, bias: Option<&[f32]>) -> Tensor {
    let (tokens, out) = (x.rows(), w.rows);
    let x = Activations::of(cx, x, w);
    let mut data = vec![0.0; tokens * out];
    let y = Output::new(&mut data, out);
    cx.pool.run(w.panels(), 1, |panels| {
        integer_product(cx, w, panels, &x, 0..tokens, &mut |token, panel, values| {
            // SAFETY: each panel is one thread's, each token visited once.
            unsafe { y.panel(token, panel, values, bias) };
        });
    });
    Tensor::new(tokens, out, data)
}

/// Rows `range` of the weight times `rows` rows of `x` (already in the weight's
/// basis): `[rows, range.len()]`.
pub(super) fn part(
    cx: &Context,
    weight: &Weight,
    range: Range<usize>,
    x: &[f32],
    rows: usize,
) -> Vec<f32> {
    rows::product(cx, &weight.rows, range, x, rows)
}
