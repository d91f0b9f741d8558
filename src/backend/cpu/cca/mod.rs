//! CCA: the convolutions over time between the q/k projections and attention,
//! with the state they carry from token to token. Heads do not see each other's
//! channels, so a head's part of some rows goes all the way at once.

mod finish;
mod rotary;
mod taps;

use std::ops::Range;

use super::CpuBackend;
use super::buffer::Buffer;
use super::context::Context;
use super::output::Output;
use super::panels::{PANEL, float_product};
use super::pool::Stream;
use super::rows;
use super::tensor::Tensor;
use super::weight::Packed;
use crate::backend::{AttentionShape, CcaWeights, Projected, Qkv, Rows, Segment};
use finish::Head;
use rotary::Angles;
pub(super) use rotary::Rotary;
use taps::{Filter, Frames};

/// Rows of a head that a thread takes at once: what they need on the way stays in
/// the nearest cache.
const BLOCK: usize = 24;

/// What one layer of one sequence carries from token to token.
#[derive(Clone, Debug, PartialEq)]
pub struct CcaState {
    /// The last raw `[q | k]` frames, oldest first: `[context_frames, channels]`.
    pub frames: Vec<f32>,
    /// The previous token's delayed value half: `[half_values]`.
    pub previous: Vec<f32>,
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
    let total = q.rows();
    let heads = shape.channels() / shape.head_dim;
    let halves = [&projected.v_current, &projected.v_delayed].map(Tensor::cols);
    let v_cols = halves[0] + halves[1];
    let mut data = [q.cols(), k.cols(), v_cols].map(|cols| Buffer::of(total * cols));
    {
        let [q_data, k_data, v_data] = &mut data;
        let mut first = 0;
        let sequences = rows
            .segments
            .iter()
            .zip(states.iter())
            .map(|(segment, state)| {
                let start = first;
                first += segment.len;
                Sequence {
                    segment,
                    first: start,
                    state,
                    angles: cx
                        .rotary
                        .of(segment.position..segment.position + segment.len, shape),
                }
            });
        let mixing = Mixing {
            cx,
            projected,
            w,
            shape,
            sequences: sequences.collect(),
            depthwise: &w.depthwise.taps(),
            q: Output::new(q_data, q.cols()),
            k: Output::new(k_data, k.cols()),
            v: Output::new(v_data, v_cols),
        };
        if let Packed::Float(panels) = &w.grouped.packed {
            let stream = Stream {
                address: panels.data.as_ptr().addr(),
                beside: None,
                item_bytes: panels.data.len() / heads,
                len: heads,
                grain: 1,
            };
            cx.reads(stream.address, Some(stream));
        }
        // Head after head, so that one's weights are used while they are near.
        let blocks = total.div_ceil(BLOCK);
        cx.pool.each((heads + 1) * blocks, |item| {
            let first = item % blocks * BLOCK;
            let rows = first..total.min(first + BLOCK);
            match item / blocks {
                head if head < heads => mixing.head(head, rows),
                _ => mixing.values(rows),
            }
        });
    }
    advance(projected, rows, states);
    let [q_data, k_data, v_data] = data;
    Qkv {
        q: Tensor::new(total, q.cols(), q_data),
        k: Tensor::new(total, k.cols(), k_data),
        v: Tensor::new(total, v_cols, v_data),
    }
}

/// Lets the states carry the last rows on.
fn advance(projected: &Projected<CpuBackend>, rows: &Rows, states: &mut [&mut CcaState]) {
    let (q, k, delayed) = (&projected.q, &projected.k, &projected.v_delayed);
    let mut first = 0;
    for (segment, state) in rows.segments.iter().zip(states.iter_mut()) {
        taps::advance(&mut state.frames, [q, k], first, segment.len);
        first += segment.len;
        if segment.len > 0 {
            state.previous.copy_from_slice(delayed.row(first - 1));
        }
    }
}

/// A sequence's part of the rows.
struct Sequence<'a> {
    segment: &'a Segment,
    first: usize,
    state: &'a CcaState,
    angles: Angles,
}

/// One call's work, for all threads.
struct Mixing<'a> {
    cx: &'a Context,
    projected: &'a Projected<CpuBackend>,
    w: &'a CcaWeights<CpuBackend>,
    shape: &'a AttentionShape,
    sequences: Vec<Sequence<'a>>,
    /// `[K0, channels]`
    depthwise: &'a [f32],
    q: Output<'a>,
    k: Output<'a>,
    v: Output<'a>,
}

impl Mixing<'_> {
    /// The sequences that have some of these rows, and which of their own.
    fn parts(&self, rows: Range<usize>) -> impl Iterator<Item = (&Sequence<'_>, Range<usize>)> {
        self.sequences.iter().filter_map(move |sequence| {
            let first = sequence.first;
            let start = rows.start.max(first);
            let end = rows.end.min(first + sequence.segment.len);
            (start < end).then(|| (sequence, start - first..end - first))
        })
    }

    /// One head of some rows.
    fn head(&self, head: usize, rows: Range<usize>) {
        let (shape, w) = (self.shape, self.w);
        let (dim, [k0, k1]) = (shape.head_dim, shape.conv_kernels);
        let channel = head * dim;
        let bias = channel..channel + dim;
        let filter = Filter {
            taps: &self.depthwise[channel..],
            channels: shape.channels(),
            bias: &w.depthwise_bias[bias.clone()],
            kernels: [k0, k1],
        };
        let key = head.checked_sub(shape.query_heads);
        let (tensor, column) = match key {
            None => (&self.projected.q, channel),
            Some(key) => (&self.projected.k, key * dim),
        };
        let mut taps = Buffer::of(rows.len() * dim * k1);
        let mut convolved = Vec::new();
        for (sequence, part) in self.parts(rows.clone()) {
            let frames = Frames {
                before: &sequence.state.frames,
                channels: shape.channels(),
                channel,
                dim,
                rows: tensor,
                column,
                first: sequence.first,
            };
            let start = (sequence.first + part.start - rows.start) * dim * k1;
            let place = &mut taps[start..start + part.len() * dim * k1];
            taps::gather(self.cx.level, &frames, part, &filter, &mut convolved, place);
        }
        let mixed = self.grouped(head, &taps, rows.len());
        for (sequence, part) in self.parts(rows.clone()) {
            for t in part {
                let row = sequence.first + t;
                let finished = Head {
                    mixed: &mixed[(row - rows.start) * dim..][..dim],
                    bias: &w.grouped_bias[bias.clone()],
                    angles: sequence.angles.at(sequence.segment.position + t),
                };
                self.finish(&finished, (head, key), row);
            }
        }
    }

    /// The grouped convolution without its bias: one group per head, `[rows, dim]`.
    fn grouped(&self, head: usize, taps: &[f32], rows: usize) -> Buffer {
        let (dim, grouped) = (self.shape.head_dim, &self.w.grouped);
        match &grouped.packed {
            Packed::Float(panels) if dim.is_multiple_of(PANEL) => {
                let first = head * dim / PANEL;
                let mut mixed = Buffer::of(rows * dim);
                let range = first..first + dim / PANEL;
                float_product(self.cx, panels, range, taps, &mut |row, panel, y| {
                    let start = row * dim + (panel - first) * PANEL;
                    mixed[start..start + PANEL].copy_from_slice(y);
                });
                mixed
            }
            _ => {
                let range = head * dim..(head + 1) * dim;
                rows::product(self.cx, &grouped.rows, range, taps, rows).into()
            }
        }
    }

    fn finish(&self, finished: &Head<'_>, (head, key): (usize, Option<usize>), row: usize) {
        let (level, dim) = (self.cx.level, self.shape.head_dim);
        let group = self.shape.query_heads / self.shape.kv_heads;
        let (q, k) = (self.projected.q.row(row), self.projected.k.row(row));
        match key {
            None => {
                let place = head * dim..(head + 1) * dim;
                // SAFETY: each head of a row is one thread's.
                let out = unsafe { self.q.columns(row, place.start, dim) };
                let k = &k[head / group * dim..][..dim];
                finish::query(level, finished, &q[place], k, out);
            }
            Some(key) => {
                let place = key * dim..(key + 1) * dim;
                // SAFETY: as above.
                let out = unsafe { self.k.columns(row, place.start, dim) };
                let queries = &q[key * group * dim..(key + 1) * group * dim];
                finish::key(level, finished, queries, &k[place], self.w.temp[key], out);
            }
        }
    }

    /// The values: a row's own half, and the half that the row before it left.
    fn values(&self, rows: Range<usize>) {
        let (current, delayed) = (&self.projected.v_current, &self.projected.v_delayed);
        for (sequence, part) in self.parts(rows) {
            for t in part {
                let row = sequence.first + t;
                let before = match t {
                    0 => sequence.state.previous.as_slice(),
                    _ => delayed.row(row - 1),
                };
                // SAFETY: each row's values are one thread's.
                let (on_current, on_delayed) =
                    unsafe { self.v.row(row) }.split_at_mut(current.cols());
                on_current.copy_from_slice(current.row(row));
                on_delayed.copy_from_slice(before);
            }
        }
    }
}
