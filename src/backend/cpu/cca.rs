//! CCA: the convolutions over time between the q/k projections and attention,
//! with the state they carry from token to token.

use super::CpuBackend;
use super::context::Context;
use super::elementwise::concat;
use super::output::Output;
use super::panels::{FloatPanels, PANEL, float_product};
use super::rows;
use super::tensor::Tensor;
use super::weight::Packed;
use crate::backend::{AttentionShape, CcaWeights, Projected, Qkv, Rows};

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
    let taps = gather_taps(cx, [q, k], w, shape, rows, states);
    let mixed = grouped(cx, &taps, w, shape, q.rows());
    let (q, k) = finish(&mixed, q, k, &w.temp, shape, rows);
    let delayed = delay(&projected.v_delayed, rows, states);
    let v = concat(&projected.v_current, &delayed);
    Qkv { q, k, v }
}

/// The depthwise convolution, and its outputs laid out for the grouped one:
/// `[heads, rows, head_dim * K1]`. Advances the states. Padding is zeros before
/// the first convolution only, so at the start of a sequence the second one
/// sees the first one's bias.
fn gather_taps(
    cx: &Context,
    [q, k]: [&Tensor; 2],
    w: &CcaWeights<CpuBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    states: &mut [&mut CcaState],
) -> Vec<f32> {
    let [k0, k1] = shape.conv_kernels;
    let channels = shape.channels();
    let dim = shape.head_dim;
    let depthwise = w.depthwise.dense();
    let total = q.rows();
    let mut taps = vec![0.0f32; channels * k1 * total];
    let mut first = 0;
    for (segment, state) in rows.segments.iter().zip(states.iter_mut()) {
        let mut frames = state.frames.clone();
        frames.reserve(segment.len * channels);
        for row in first..first + segment.len {
            frames.extend_from_slice(q.row(row));
            frames.extend_from_slice(k.row(row));
        }
        let mut convolved = vec![0.0f32; (segment.len + k1 - 1) * channels];
        for (t, out) in convolved.chunks_exact_mut(channels).enumerate() {
            out.copy_from_slice(&w.depthwise_bias);
            for tap in 0..k0 {
                let frame = &frames[(t + tap) * channels..(t + tap + 1) * channels];
                for (c, (o, f)) in out.iter_mut().zip(frame).enumerate() {
                    *o += depthwise[c * k0 + tap] * f;
                }
            }
        }
        for head in 0..channels / dim {
            for t in 0..segment.len {
                let at = (head * total + first + t) * dim * k1;
                let out = &mut taps[at..at + dim * k1];
                for tap in 0..k1 {
                    let from = (t + tap) * channels + head * dim;
                    for (d, c) in convolved[from..from + dim].iter().enumerate() {
                        out[d * k1 + tap] = *c;
                    }
                }
            }
        }
        let kept = state.frames.len();
        state.frames.copy_from_slice(&frames[frames.len() - kept..]);
        first += segment.len;
    }
    taps
}

/// The grouped convolution: one group per head, `[rows, channels]`.
fn grouped(
    cx: &Context,
    taps: &[f32],
    w: &CcaWeights<CpuBackend>,
    shape: &AttentionShape,
    total: usize,
) -> Vec<f32> {
    let dim = shape.head_dim;
    let channels = shape.channels();
    let per_head = total * dim * shape.conv_kernels[1];
    let mut mixed = vec![0.0f32; total * channels];
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
    cx.pool
        .each(channels / dim, |head| match &w.grouped.packed {
            Packed::Float(panels) if dim.is_multiple_of(PANEL) => head_in_panels(head, panels),
            _ => head_in_rows(head),
        });
    mixed
}

/// Mean residuals, normalisation, key temperature and rotation.
fn finish(
    mixed: &[f32],
    q: &Tensor,
    k: &Tensor,
    temp: &[f32],
    shape: &AttentionShape,
    rows: &Rows,
) -> (Tensor, Tensor) {
    let dim = shape.head_dim;
    let group = shape.query_heads / shape.kv_heads;
    let (mut q_out, mut k_out) = (
        Vec::with_capacity(q.data().len()),
        Vec::with_capacity(k.data().len()),
    );
    let mut row = 0;
    for segment in &rows.segments {
        for t in 0..segment.len {
            let rotary = Rotary::at(segment.position + t, shape);
            let mixed = &mixed[row * shape.channels()..(row + 1) * shape.channels()];
            let (q_raw, k_raw) = (q.row(row), k.row(row));
            for head in 0..shape.query_heads {
                let key = &k_raw[head / group * dim..];
                let at = head * dim;
                let start = q_out.len();
                q_out.extend((0..dim).map(|d| mixed[at + d] + (q_raw[at + d] + key[d]) / 2.0));
                normalise(&mut q_out[start..], 1.0);
                rotary.apply(&mut q_out[start..]);
            }
            for head in 0..shape.kv_heads {
                let at = shape.query_heads * dim + head * dim;
                let start = k_out.len();
                k_out.extend((0..dim).map(|d| {
                    let queries: f32 = (0..group)
                        .map(|n| q_raw[(head * group + n) * dim + d])
                        .sum();
                    mixed[at + d] + (queries / group as f32 + k_raw[head * dim + d]) / 2.0
                }));
                normalise(&mut k_out[start..], temp[head]);
                rotary.apply(&mut k_out[start..]);
            }
            row += 1;
        }
    }
    (
        Tensor::new(q.rows(), q.cols(), q_out),
        Tensor::new(k.rows(), k.cols(), k_out),
    )
}

/// Length `sqrt(dim) * factor`; the sum of squares is bounded below by 1e-12.
fn normalise(head: &mut [f32], factor: f32) {
    let sum: f64 = head.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let scale = (head.len() as f32).sqrt() * (sum.max(1e-12) as f32).sqrt().recip() * factor;
    for x in head {
        *x *= scale;
    }
}

/// Rotate-half embedding over the leading `rotary_dims` of a head: dimension `i`
/// pairs with `i + rotary_dims / 2`.
struct Rotary {
    sin_cos: Vec<(f32, f32)>,
}

impl Rotary {
    fn at(position: usize, shape: &AttentionShape) -> Self {
        Self {
            sin_cos: shape.rotation(position).collect(),
        }
    }

    fn apply(&self, head: &mut [f32]) {
        let half = self.sin_cos.len();
        for (i, &(sin, cos)) in self.sin_cos.iter().enumerate() {
            let (a, b) = (head[i], head[i + half]);
            head[i] = a * cos - b * sin;
            head[i + half] = b * cos + a * sin;
        }
    }
}
