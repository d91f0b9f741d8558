//! The depthwise convolution over time, and its outputs laid out for the grouped
//! one.

use crate::backend::cpu::CpuBackend;
use crate::backend::cpu::buffer::Buffer;
use crate::backend::cpu::cca::CcaState;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::per_level;
use crate::backend::cpu::output::Output;
use crate::backend::cpu::tensor::Tensor;
use crate::backend::{AttentionShape, CcaWeights, Rows};

/// Rows that a thread takes at once.
const GRAIN: usize = 4;

/// One sequence's rows, and the frames before them.
struct Frames<'a> {
    /// Raw `[q | k]` frames, oldest first.
    before: &'a [f32],
    q: &'a Tensor,
    k: &'a Tensor,
    /// The sequence's first row.
    first: usize,
    channels: usize,
}

impl Frames<'_> {
    /// The query and key part of frame `i`, counted from the oldest one kept.
    fn get(&self, i: usize) -> [&[f32]; 2] {
        let kept = self.before.len() / self.channels.max(1);
        match i.checked_sub(kept) {
            None => {
                let frame = &self.before[i * self.channels..(i + 1) * self.channels];
                let (q, k) = frame.split_at(self.q.cols());
                [q, k]
            }
            Some(row) => [self.q.row(self.first + row), self.k.row(self.first + row)],
        }
    }
}

/// `[heads, rows, head_dim * K1]`. Advances the states. Padding is zeros before
/// the first convolution only, so at the start of a sequence the second one
/// sees the first one's bias.
pub(super) fn gather(
    cx: &Context,
    [q, k]: [&Tensor; 2],
    w: &CcaWeights<CpuBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    states: &mut [&mut CcaState],
) -> Buffer {
    let [k0, k1] = shape.conv_kernels;
    let (channels, dim) = (shape.channels(), shape.head_dim);
    let depthwise = w.depthwise.dense();
    let total = q.rows();
    let mut taps = Buffer::of(channels * k1 * total);
    let out = Output::new(&mut taps, dim * k1);
    let mut first = 0;
    for (segment, state) in rows.segments.iter().zip(states.iter_mut()) {
        let frames = Frames {
            before: &state.frames,
            q,
            k,
            first,
            channels,
        };
        cx.pool.run(segment.len, GRAIN, |rows| {
            let mut convolved = vec![0.0f32; channels];
            for t in rows {
                for tap in 0..k1 {
                    convolved.copy_from_slice(&w.depthwise_bias);
                    for step in 0..k0 {
                        let [q, k] = frames.get(t + tap + step);
                        let (on_q, on_k) = convolved.split_at_mut(q.len());
                        let (w_q, w_k) = depthwise.split_at(q.len() * k0);
                        accumulate(cx.level, on_q, q, w_q, (k0, step));
                        accumulate(cx.level, on_k, k, w_k, (k0, step));
                    }
                    for (head, convolved) in convolved.chunks_exact(dim).enumerate() {
                        // SAFETY: each row of the sequence is one thread's.
                        let place = unsafe { out.row(head * total + first + t) };
                        for (place, c) in place.chunks_exact_mut(k1).zip(convolved) {
                            place[tap] = *c;
                        }
                    }
                }
            }
        });
        advance(&mut state.frames, [q, k], first, segment.len);
        first += segment.len;
    }
    taps
}

per_level! {
    fn accumulate = accumulate_body(sums: &mut [f32], frame: &[f32], weights: &[f32], tap: (usize, usize))
}

/// Adds each channel's product with its weight for one of `count` taps.
#[inline(always)]
fn accumulate_body(sums: &mut [f32], frame: &[f32], weights: &[f32], (count, tap): (usize, usize)) {
    // The usual width, known to the compiler, vectorises.
    if count == 2 {
        let weights = weights.as_chunks::<2>().0;
        for ((sum, x), w) in sums.iter_mut().zip(frame).zip(weights) {
            *sum += w[tap] * x;
        }
        return;
    }
    for ((sum, x), w) in sums.iter_mut().zip(frame).zip(weights.chunks_exact(count)) {
        *sum += w[tap] * x;
    }
}

/// Keeps the last frames: those kept so far, then `len` rows from `first` on.
fn advance(kept: &mut [f32], [q, k]: [&Tensor; 2], first: usize, len: usize) {
    let channels = q.cols() + k.cols();
    let count = kept.len() / channels.max(1);
    let new = len.min(count);
    kept.copy_within(new * channels.., 0);
    let places = kept[(count - new) * channels..].chunks_exact_mut(channels.max(1));
    for (place, row) in places.zip(first + len - new..first + len) {
        let (on_q, on_k) = place.split_at_mut(q.cols());
        on_q.copy_from_slice(q.row(row));
        on_k.copy_from_slice(k.row(row));
    }
}
