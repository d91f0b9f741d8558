//! CCA: the convolutions over time between the q/k projections and attention,
//! with the state they carry from token to token.

mod finish;
mod rotary;
mod taps;

use super::CpuBackend;
use super::buffer::Buffer;
use super::context::Context;
use super::elementwise::concat;
use super::output::Output;
use super::panels::{FloatPanels, PANEL, float_product};
use super::pool::Stream;
use super::rows;
use super::tensor::Tensor;
use super::weight::Packed;
use crate::backend::{AttentionShape, CcaWeights, Projected, Qkv, Rows};
pub(super) use rotary::Rotary;

/// What one layer of one sequence carries from token to token.
#[derive(Clone, Debug, PartialEq)]
pub struct CcaState {
    /// The last raw `[q | k]` frames, oldest first: `[context_frames, channels]`.
    pub frames: Vec<f32>,
    /// The previous token's delayed value half: `[half_values]`.
    pub previous: Vec<f32>,
}

/// Each sequence's rows moved down by one: row 0 is what the state carried, and
/// the state carries the last row on.
fn delay(x: &Tensor, rows: &Rows, states: &mut [&mut CcaState]) -> Tensor {
    let mut data = Vec::with_capacity(x.data().len());
    let mut first = 0;
    for (segment, state) in rows.segments.iter().zip(states.iter_mut()) {
        if segment.len == 0 {
            continue;
        }
        data.extend_from_slice(&state.previous);
        let last = first + segment.len - 1;
        data.extend_from_slice(&x.data()[first * x.cols()..last * x.cols()]);
        state.previous.copy_from_slice(x.row(last));
        first += segment.len;
    }
    Tensor::new(x.rows(), x.cols(), data)
}

pub(super) fn mix(
    cx: &Context,
    projected: &Projected<CpuBackend>,
    w: &CcaWeights<CpuBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    states: &mut [&mut CcaState],
) -> Qkv<CpuBackend> {
    let (q, k) = (&projected.q, &projected.k);
    let taps = taps::gather(cx, [q, k], w, shape, rows, states);
    let mixed = grouped(cx, &taps, w, shape, q.rows());
    let (q, k) = finish::finish(cx, &mixed, [q, k], &w.temp, shape, rows);
    let delayed = delay(&projected.v_delayed, rows, states);
    let v = concat(&projected.v_current, &delayed);
    Qkv { q, k, v }
}

/// The grouped convolution: one group per head, `[rows, channels]`.
fn grouped(
    cx: &Context,
    taps: &[f32],
    w: &CcaWeights<CpuBackend>,
    shape: &AttentionShape,
    total: usize,
) -> Buffer {
    let dim = shape.head_dim;
    let channels = shape.channels();
    let per_head = total * dim * shape.conv_kernels[1];
    let mut mixed = Buffer::of(total * channels);
    let output = Output::new(&mut mixed, channels);
    let head_in_panels = |head: usize, panels: &FloatPanels| {
        let taps = &taps[head * per_head..(head + 1) * per_head];
        let range = head * dim / PANEL..(head + 1) * dim / PANEL;
        float_product(cx, panels, range, taps, &mut |row, panel, y| {
            // SAFETY: a head's panels are one thread's.
            unsafe { output.panel(row, panel, y, Some(&w.grouped_bias)) };
        });
    };
    let head_in_rows = |head: usize| {
        let taps = &taps[head * per_head..(head + 1) * per_head];
        let range = head * dim..(head + 1) * dim;
        let mut out = rows::product(cx, &w.grouped.rows, range, taps, total);
        for (row, out) in out.chunks_exact_mut(dim).enumerate() {
            for (o, b) in out.iter_mut().zip(&w.grouped_bias[head * dim..]) {
                *o += b;
            }
            // SAFETY: a head's columns are one thread's.
            unsafe { output.write(row, head * dim, out) };
        }
    };
    if let Packed::Float(panels) = &w.grouped.packed {
        let stream = Stream {
            address: panels.data.as_ptr().addr(),
            beside: None,
            item_bytes: panels.data.len() / (channels / dim),
            len: channels / dim,
            grain: 1,
        };
        cx.reads(stream.address, Some(stream));
    }
    cx.pool
        .each(channels / dim, |head| match &w.grouped.packed {
            Packed::Float(panels) if dim.is_multiple_of(PANEL) => head_in_panels(head, panels),
            _ => head_in_rows(head),
        });
    mixed
}
