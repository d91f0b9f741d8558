//! What follows the convolutions: mean residuals, normalisation, key temperature
//! and rotation.

use crate::backend::cpu::buffer::Buffer;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::per_level;
use crate::backend::cpu::output::Output;
use crate::backend::cpu::tensor::Tensor;
use crate::backend::{AttentionShape, Rows};

use super::rotary::turn;

/// Rows that a thread takes at once.
const GRAIN: usize = 4;

/// One row on its way.
struct Row<'a> {
    /// Output of the convolutions, queries then keys.
    mixed: &'a [f32],
    q: &'a [f32],
    k: &'a [f32],
    temp: &'a [f32],
    angles: &'a [(f32, f32)],
}

/// Queries and keys, `[rows, heads * head_dim]` each.
pub(super) fn finish(
    cx: &Context,
    mixed: &[f32],
    [q, k]: [&Tensor; 2],
    temp: &[f32],
    shape: &AttentionShape,
    rows: &Rows,
) -> (Tensor, Tensor) {
    let channels = shape.channels();
    let (mut q_data, mut k_data) = (Buffer::of(q.data().len()), Buffer::of(k.data().len()));
    let (q_out, k_out) = (
        Output::new(&mut q_data, q.cols()),
        Output::new(&mut k_data, k.cols()),
    );
    let mut first = 0;
    for segment in &rows.segments {
        cx.pool.run(segment.len, GRAIN, |part| {
            for t in part {
                let (block, start) = cx.rotary.at(segment.position + t, shape);
                let i = first + t;
                let row = Row {
                    mixed: &mixed[i * channels..(i + 1) * channels],
                    q: q.row(i),
                    k: k.row(i),
                    temp,
                    angles: &block[start..start + shape.rotary_dims / 2],
                };
                // SAFETY: each row is one thread's.
                let (q, k) = unsafe { (q_out.row(i), k_out.row(i)) };
                finish_row(cx.level, &row, shape, q, k);
            }
        });
        first += segment.len;
    }
    (
        Tensor::new(q.rows(), q.cols(), q_data),
        Tensor::new(k.rows(), k.cols(), k_data),
    )
}

per_level! {
    fn finish_row = finish_row_body(row: &Row<'_>, shape: &AttentionShape, q: &mut [f32], k: &mut [f32])
}

#[inline(always)]
fn finish_row_body(row: &Row<'_>, shape: &AttentionShape, q: &mut [f32], k: &mut [f32]) {
    let dim = shape.head_dim;
    let group = shape.query_heads / shape.kv_heads;
    let (mixed_q, mixed_k) = row.mixed.split_at(q.len());
    for (head, out) in q.chunks_exact_mut(dim).enumerate() {
        let mixed = &mixed_q[head * dim..(head + 1) * dim];
        let query = &row.q[head * dim..(head + 1) * dim];
        let key = &row.k[head / group * dim..(head / group + 1) * dim];
        for (((out, m), q), k) in out.iter_mut().zip(mixed).zip(query).zip(key) {
            *out = m + (q + k) / 2.0;
        }
        normalise(out, 1.0);
        turn(out, row.angles);
    }
    for (head, out) in k.chunks_exact_mut(dim).enumerate() {
        let queries = &row.q[head * group * dim..(head + 1) * group * dim];
        out.fill(0.0);
        for query in queries.chunks_exact(dim) {
            for (out, q) in out.iter_mut().zip(query) {
                *out += q;
            }
        }
        let mixed = &mixed_k[head * dim..(head + 1) * dim];
        let key = &row.k[head * dim..(head + 1) * dim];
        for ((out, m), k) in out.iter_mut().zip(mixed).zip(key) {
            *out = m + (*out / group as f32 + k) / 2.0;
        }
        normalise(out, row.temp[head]);
        turn(out, row.angles);
    }
}

/// Length `sqrt(dim) * factor`; the sum of squares, in eight f64 lanes, is
/// bounded below by 1e-12.
#[inline(always)]
fn normalise(head: &mut [f32], factor: f32) {
    let mut lanes = [0.0f64; 8];
    let (chunks, rest) = head.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
    let sum: f64 = lanes.iter().sum();
    let scale = (head.len() as f32).sqrt() * (sum.max(1e-12) as f32).sqrt().recip() * factor;
    for x in head {
        *x *= scale;
    }
}
