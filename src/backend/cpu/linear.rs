//! `x W^T`, by whichever kernel the weight is packed for.

use super::buffer::Buffer;
use super::context::Context;
use super::output::Output;
use super::panels::{Activations, FloatPanels, Form, PANEL, float_product};
use super::pool::Stream;
use super::rows;
use super::streams;
use super::tensor::Tensor;
use super::weight::{Packed, Weight};

/// Columns times rows of a float matrix below which a second thread does not pay.
const PARALLEL_FROM: usize = 1 << 15;

/// Panels of floats that kernels multiply with a token at a time: one alone would
/// wait for its own sums.
const AT_ONCE: usize = 4;

/// `x W^T` (+ bias), `[x.rows, weight.rows]`.
pub(super) fn linear(cx: &Context, weight: &Weight, x: &Tensor, bias: Option<&[f32]>) -> Tensor {
    let (tokens, out) = (x.rows(), weight.matrix().rows);
    match &weight.packed {
        Packed::No | Packed::Taps(_) => rows::linear(cx, &weight.rows, x, bias),
        Packed::Integer(_) | Packed::Lazy(_) | Packed::Head(_) => {
            let Some(form) = weight.packed.form(cx, tokens) else {
                return rows::linear(cx, &weight.rows, x, bias);
            };
            let x = Activations::of(cx, x, form.shape());
            let mut data = Buffer::of(tokens * out);
            integers(cx, &[form], &x, &[Output::new(&mut data, out)], bias);
            Tensor::new(tokens, out, data)
        }
        Packed::Float(w) => {
            let mut data = Buffer::of(tokens * out);
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
    let tokens = x.rows();
    let forms: Option<Vec<Form>> = weights
        .iter()
        .map(|weight| weight.packed.form(cx, tokens))
        .collect();
    let alike = forms.filter(|forms| {
        let first = forms.first().map(Form::shape);
        first.is_some_and(|first| forms.iter().all(|f| f.shape().shares_inputs_with(first)))
    });
    let Some(forms) = alike else {
        return weights.map(|weight| linear(cx, weight, x, None));
    };
    let mut data = weights.map(|weight| Buffer::of(tokens * weight.matrix().rows));
    let outputs: Vec<Output> = data
        .iter_mut()
        .zip(weights)
        .map(|(data, weight)| Output::new(data, weight.matrix().rows))
        .collect();
    let x = Activations::of(cx, x, forms[0].shape());
    integers(cx, &forms, &x, &outputs, None);
    let mut data = data.into_iter();
    weights.map(|weight| {
        let data = data.next().unwrap_or_default();
        Tensor::new(tokens, weight.matrix().rows, data)
    })
}

/// All panels of all weights in one region.
fn integers(
    cx: &Context,
    weights: &[Form<'_>],
    x: &Activations,
    outputs: &[Output<'_>],
    bias: Option<&[f32]>,
) {
    let all = weights.iter().map(|w| w.shape().panels()).sum();
    let first = weights.first().and_then(Form::panels);
    let stream = first.map(|first| streams::of_panels(first, all));
    if let Some(stream) = stream {
        cx.reads(stream.address, Some(stream));
    }
    cx.pool.run(all, stream.map_or(1, |s| s.grain), |items| {
        let mut before = 0;
        for (w, output) in weights.iter().zip(outputs) {
            let panels = w.shape().panels();
            let first = items.start.max(before) - before;
            let last = items.end.min(before + panels).max(before) - before;
            before += panels;
            if first < last {
                let sink = &mut |token, panel, y: &[f32; PANEL]| {
                    // SAFETY: each panel is one thread's, each token visited once.
                    unsafe { output.panel(token, panel, y, bias) };
                };
                w.product(cx, first..last, x, None, 0..x.tokens, sink);
            }
        }
    });
}

fn floats(cx: &Context, w: &FloatPanels, x: &[f32], output: &Output<'_>, bias: Option<&[f32]>) {
    let work = (w.cols * x.len().div_ceil(w.cols.max(1)) * PANEL).max(1);
    let item_bytes = w.data.len() / w.panels().max(1);
    let grain = PARALLEL_FROM.div_ceil(work).next_multiple_of(AT_ONCE);
    let stream = Stream {
        address: w.data.as_ptr().addr(),
        beside: None,
        item_bytes,
        len: w.panels(),
        grain,
    };
    cx.reads(stream.address, Some(stream));
    cx.pool.run(w.panels(), grain, |panels| {
        float_product(cx, w, panels, x, &mut |token, panel, y| {
            // SAFETY: as above.
            unsafe { output.panel(token, panel, y, bias) };
        });
    });
}
