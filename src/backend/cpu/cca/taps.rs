//! The depthwise convolution over time of one head's channels, and its outputs
//! laid out for the grouped one.

use std::ops::Range;

use crate::backend::cpu::level::per_level;
use crate::backend::cpu::tensor::Tensor;

/// What one head sees of a sequence.
pub(super) struct Frames<'a> {
    /// The sequence's kept `[q | k]` frames, oldest first.
    pub before: &'a [f32],
    pub channels: usize,
    /// The head's first channel.
    pub channel: usize,
    pub dim: usize,
    /// Where the head's rows are, its column in them, and the sequence's first row.
    pub rows: &'a Tensor,
    pub column: usize,
    pub first: usize,
}

impl Frames<'_> {
    /// Frame `i`, counted from the oldest one kept.
    fn get(&self, i: usize) -> &[f32] {
        let kept = self.before.len() / self.channels.max(1);
        match i.checked_sub(kept) {
            None => &self.before[i * self.channels + self.channel..][..self.dim],
            Some(row) => &self.rows.row(self.first + row)[self.column..][..self.dim],
        }
    }
}

/// The head's part of the depthwise convolution.
pub(super) struct Filter<'a> {
    /// The first tap's weights of the head's channels; those of the next are
    /// `channels` further on.
    pub taps: &'a [f32],
    pub channels: usize,
    pub bias: &'a [f32],
    /// Taps of the depthwise convolution, and of the grouped one.
    pub kernels: [usize; 2],
}

per_level! {
    /// Rows `rows` of the sequence, `[rows, dim * K1]`. `convolved` has the row that
    /// a tap sees `dim` further on for each. Padding is zeros before the first
    /// convolution only, so at the start of a sequence the second one sees the
    /// first one's bias.
    pub(super) fn gather = gather_body(
        frames: &Frames<'_>,
        rows: Range<usize>,
        filter: &Filter<'_>,
        convolved: &mut Vec<f32>,
        taps: &mut [f32],
    )
}

#[inline(always)]
fn gather_body(
    frames: &Frames<'_>,
    rows: Range<usize>,
    filter: &Filter<'_>,
    convolved: &mut Vec<f32>,
    taps: &mut [f32],
) {
    let (dim, [k0, k1]) = (frames.dim, filter.kernels);
    convolved.resize((rows.len() + k1 - 1) * dim, 0.0);
    for (i, sums) in convolved.chunks_exact_mut(dim).enumerate() {
        sums.copy_from_slice(filter.bias);
        for step in 0..k0 {
            let weights = &filter.taps[step * filter.channels..][..dim];
            let frame = frames.get(rows.start + i + step);
            for ((sum, w), x) in sums.iter_mut().zip(weights).zip(frame) {
                *sum += w * x;
            }
        }
    }
    for (row, taps) in taps.chunks_exact_mut(dim * k1).enumerate() {
        let seen = &convolved[row * dim..(row + k1) * dim];
        // The usual width, known to the compiler, vectorises.
        if k1 == 2 {
            let (now, next) = seen.split_at(dim);
            let places = taps.as_chunks_mut::<2>().0;
            for ((place, a), b) in places.iter_mut().zip(now).zip(next) {
                *place = [*a, *b];
            }
            continue;
        }
        for (tap, seen) in seen.chunks_exact(dim).enumerate() {
            for (place, c) in taps.chunks_exact_mut(k1).zip(seen) {
                place[tap] = *c;
            }
        }
    }
}

/// Keeps the last frames: those kept so far, then `len` rows from `first` on.
pub(super) fn advance(kept: &mut [f32], [q, k]: [&Tensor; 2], first: usize, len: usize) {
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
