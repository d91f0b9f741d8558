//! Top-1 routing, and SwiGLU over each row's own expert. Rows are sorted by
//! expert, so that an expert's weights are read once a call.

use std::ops::Range;
use std::sync::Arc;

use super::CpuBackend;
use super::attention::softmax;
use super::buffer::Buffer;
use super::context::Context;
use super::elementwise::{silu_times, swiglu};
use super::linear::linear;
use super::output::Output;
use super::panels::{Activations, Form, IntegerPanels, PANEL, Spread, pair_product};
use super::pool::Stream;
use super::streams;
use super::tensor::Tensor;
use super::weight::Weight;
use crate::backend::{ExpertWeights, SkipMode};

/// The chosen class of each row and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    pub(super) classes: Arc<Vec<u16>>,
    weights: Arc<Vec<f32>>,
}

impl Routes {
    /// Each row's class and its probability.
    pub(super) fn of(rows: impl Iterator<Item = (u16, f32)>) -> Self {
        let (classes, weights) = rows.unzip();
        Self {
            classes: Arc::new(classes),
            weights: Arc::new(weights),
        }
    }

    /// These classes, with certainty.
    pub(super) fn to(classes: Vec<u16>) -> Self {
        Self {
            weights: Arc::new(vec![1.0; classes.len()]),
            classes: Arc::new(classes),
        }
    }

    /// Rows sorted by expert, and each chosen expert's part of them; rows of
    /// classes from `experts` on are left out.
    fn sorted(&self, experts: usize) -> Sorted {
        let mut rows: Vec<u32> = (0..self.classes.len() as u32)
            .filter(|&row| usize::from(self.classes[row as usize]) < experts)
            .collect();
        rows.sort_by_key(|&row| self.classes[row as usize]);
        let mut parts: Vec<(usize, Range<usize>)> = Vec::new();
        for (i, &row) in rows.iter().enumerate() {
            let expert = usize::from(self.classes[row as usize]);
            match parts.last_mut() {
                Some((last, part)) if *last == expert => part.end = i + 1,
                _ => parts.push((expert, i..i + 1)),
            }
        }
        Sorted { rows, parts }
    }
}

/// Rows by expert.
struct Sorted {
    rows: Vec<u32>,
    /// Expert, and its places in `rows`.
    parts: Vec<(usize, Range<usize>)>,
}

pub(super) fn choose(logits: &Tensor, biases: &[f32]) -> Routes {
    let mut p = Vec::new();
    Routes::of(logits.iter_rows().map(|row| {
        p.clear();
        p.extend_from_slice(row);
        choose_row(&mut p, biases)
    }))
}

/// The class of a row of logits and its probability.
pub(super) fn choose_row(p: &mut [f32], biases: &[f32]) -> (u16, f32) {
    softmax(p);
    let mut best = 0;
    for class in 1..p.len() {
        if p[class] + biases[class] > p[best] + biases[best] {
            best = class;
        }
    }
    (best as u16, p[best])
}

/// Each row times the matrix of its expert; zero for skipped rows.
pub(super) fn expert_linear(cx: &Context, stack: &[Weight], x: &Tensor, routes: &Routes) -> Tensor {
    let out = stack.first().map_or(0, |w| w.matrix().rows);
    let mut data = vec![0.0; x.rows() * out];
    let sorted = routes.sorted(stack.len());
    for (expert, part) in sorted.parts {
        let rows = &sorted.rows[part];
        let y = linear(cx, &stack[expert], &x.select(rows), None);
        for (&row, y) in rows.iter().zip(y.iter_rows()) {
            data[row as usize * out..][..out].copy_from_slice(y);
        }
    }
    Tensor::new(x.rows(), out, data)
}

/// SwiGLU over each row's expert, times the row's weight; for skipped rows what
/// `skip` says.
pub(super) fn experts(
    cx: &Context,
    x: &Tensor,
    routes: &Routes,
    w: &ExpertWeights<CpuBackend>,
    skip: SkipMode,
) -> Tensor {
    match Packs::of(w) {
        Some(packs) => packs.run(cx, x, routes, skip),
        None => {
            let gate = expert_linear(cx, &w.gate, x, routes);
            let up = expert_linear(cx, &w.up, x, routes);
            let y = expert_linear(cx, &w.down, &swiglu(&gate, &up), routes);
            combine(&y, x, routes, w.count, skip)
        }
    }
}

/// All experts' matrices as integer panels that share their inputs.
struct Packs<'a> {
    gate: &'a [Weight],
    up: &'a [Weight],
    down: &'a [Weight],
    /// What a gate's and a down projection's panels look like.
    inner: &'a IntegerPanels,
    outer: &'a IntegerPanels,
}

/// Panels of a part that a thread multiplies before it looks at the results.
const AT_ONCE: usize = 8;

impl<'a> Packs<'a> {
    fn of(w: &'a ExpertWeights<CpuBackend>) -> Option<Self> {
        let inner = w.gate.first()?.packed.shape()?;
        let outer = w.down.first()?.packed.shape()?;
        let alike = |weights: &[Weight], first: &IntegerPanels| {
            weights.iter().all(|weight| {
                weight.packed.shape().is_some_and(|shape| {
                    shape.rows == first.rows && shape.shares_inputs_with(first)
                })
            })
        };
        let all = alike(&w.gate, inner) && alike(&w.up, inner) && alike(&w.down, outer);
        all.then_some(Self {
            gate: &w.gate,
            up: &w.up,
            down: &w.down,
            inner,
            outer,
        })
    }

    fn run(&self, cx: &Context, x: &Tensor, routes: &Routes, skip: SkipMode) -> Tensor {
        let sorted = routes.sorted(self.gate.len());
        let count = sorted.rows.len();
        // Which expert comes is not known before: what is read next is.
        cx.reads(std::ptr::from_ref(self.inner).addr(), None);
        let forms = [self.gate, self.up, self.down].map(|stack| sorted.forms(cx, stack));
        let [gate, up, down] = &forms;
        let parts = sorted.parts.len();
        cx.pool.expect(stream_of(gate, parts).map(|stream| Stream {
            beside: first_panel(up),
            ..stream
        }));
        let mut hidden = Buffer::of(count * self.inner.rows);
        let inputs = Activations::of_rows(cx, x, &sorted.rows, self.inner);
        cx.pool.expect(stream_of(down, parts));
        let out = Output::new(&mut hidden, self.inner.rows);
        self.inner_part(cx, &sorted, [gate, up], &inputs, &out);
        let hidden = Tensor::new(count, self.inner.rows, hidden);
        let inputs = Activations::of(cx, &hidden, self.outer);
        let mut data = skipped(x, routes, self.gate.len(), skip, self.outer.rows);
        let out = Output::new(&mut data, self.outer.rows);
        let spread = spread_for(down, &inputs);
        cx.expect_next();
        let (panels, grain) = (self.outer.panels(), grain_of(down));
        sorted.for_parts(cx, panels, grain, |part, panels, tokens| {
            let sink = &mut |token: usize, panel, y: &[f32; PANEL]| {
                let row = sorted.rows[token] as usize;
                let y = y.map(|y| y * routes.weights[row]);
                // SAFETY: each panel of a part is one thread's.
                unsafe { out.panel(row, panel, &y, None) };
            };
            down[part].product(cx, panels, &inputs, spread.as_ref(), tokens, sink);
        });
        Tensor::new(x.rows(), self.outer.rows, data)
    }

    /// `silu(gate) * up`.
    fn inner_part(
        &self,
        cx: &Context,
        sorted: &Sorted,
        [gate, up]: [&[Form<'_>]; 2],
        x: &Activations,
        out: &Output<'_>,
    ) {
        let spread = spread_for(gate, x).or_else(|| spread_for(up, x));
        let spread = spread.as_ref();
        let (panels, grain) = (self.inner.panels(), grain_of(gate));
        sorted.for_parts(cx, panels, grain, |part, panels, tokens| {
            if let (1, Form::Panels(gate), Form::Panels(up)) = (tokens.len(), gate[part], up[part])
            {
                let merge = &mut |panel, gate: &[f32; PANEL], up: &[f32; PANEL]| {
                    let mut y = *up;
                    silu_times(cx.level, gate, &mut y);
                    // SAFETY: each panel of a part is one thread's.
                    unsafe { out.panel(tokens.start, panel, &y, None) };
                };
                return pair_product(cx, [gate, up], panels, x, tokens.start, merge);
            }
            let mut gates = vec![[0.0f32; PANEL]; AT_ONCE.min(panels.len()) * tokens.len()];
            for first in panels.clone().step_by(AT_ONCE) {
                let panels = first..panels.end.min(first + AT_ONCE);
                let place = |token, panel| (panel - first) * tokens.len() + token - tokens.start;
                let keep = &mut |t, p, y: &[f32; PANEL]| gates[place(t, p)] = *y;
                gate[part].product(cx, panels.clone(), x, spread, tokens.clone(), keep);
                let merge = &mut |t, p, y: &[f32; PANEL]| {
                    let mut y = *y;
                    silu_times(cx.level, &gates[place(t, p)], &mut y);
                    // SAFETY: as above.
                    unsafe { out.panel(t, p, &y, None) };
                };
                up[part].product(cx, panels, x, spread, tokens.clone(), merge);
            }
        });
    }
}

/// Panels that a thread claims at least.
fn grain_of(forms: &[Form<'_>]) -> usize {
    let panels = forms.first().and_then(Form::panels);
    panels.map_or(1, |panels| streams::grain(panels.panel_bytes()))
}

/// Where the first matrix's panels lie.
fn first_panel(forms: &[Form<'_>]) -> Option<usize> {
    let first = forms.first()?.panels()?;
    Some(first.data.as_ptr().addr())
}

/// What a region over these matrices starts with.
fn stream_of(forms: &[Form<'_>], parts: usize) -> Option<Stream> {
    let first = forms.first()?.panels()?;
    Some(streams::of_panels(first, first.panels() * parts))
}

/// What products with stored rows read, if there are any.
fn spread_for(forms: &[Form<'_>], x: &Activations) -> Option<Spread> {
    let rows = forms.iter().find(|form| matches!(form, Form::Rows(_)))?;
    Some(Spread::of(x, rows.shape()))
}

impl Sorted {
    /// How each part's expert is multiplied.
    fn forms<'a>(&self, cx: &Context, stack: &'a [Weight]) -> Vec<Form<'a>> {
        self.parts
            .iter()
            .filter_map(|(expert, tokens)| stack[*expert].packed.form(cx, tokens.len()))
            .collect()
    }

    /// Calls `work(part, panels, places in rows)` for all panels of all parts.
    fn for_parts(
        &self,
        cx: &Context,
        panels: usize,
        grain: usize,
        work: impl Fn(usize, Range<usize>, Range<usize>) + Sync,
    ) {
        cx.pool.run(self.parts.len() * panels, grain, |items| {
            let mut item = items.start;
            while item < items.end {
                let (part, first) = (item / panels, item % panels);
                let last = panels.min(first + items.end - item);
                work(part, first..last, self.parts[part].1.clone());
                item += last - first;
            }
        });
    }
}

/// Room for results, with the skipped rows filled in: their weighted inputs, or
/// zeros.
fn skipped(x: &Tensor, routes: &Routes, experts: usize, skip: SkipMode, width: usize) -> Buffer {
    let mut data = Buffer::of(x.rows() * width);
    let rows = routes.classes.iter().zip(routes.weights.iter());
    let outs = data.chunks_exact_mut(width.max(1));
    for (((&class, &weight), out), x) in rows.zip(outs).zip(x.iter_rows()) {
        if usize::from(class) < experts {
            continue;
        }
        match skip {
            SkipMode::Zero => out.fill(0.0),
            SkipMode::ScaledInput => {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = x * weight;
                }
            }
        }
    }
    data
}

pub(super) fn combine(
    y: &Tensor,
    x: &Tensor,
    routes: &Routes,
    experts: usize,
    skip: SkipMode,
) -> Tensor {
    let mut data = skipped(x, routes, experts, skip, y.cols());
    for (row, out) in data.chunks_exact_mut(y.cols().max(1)).enumerate() {
        if usize::from(routes.classes[row]) < experts {
            for (out, y) in out.iter_mut().zip(y.row(row)) {
                *out = y * routes.weights[row];
            }
        }
    }
    Tensor::new(y.rows(), y.cols(), data)
}
