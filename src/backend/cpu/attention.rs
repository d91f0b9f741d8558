//! Causal grouped-query attention over the blocked cache, in two passes: all
//! scores of a row, then the weighted values. A row's result depends on that
//! row and the cache alone, so neither chunking nor batching shows in the bits.

use super::CpuBackend;
use super::context::Context;
use super::kv::{BLOCK, Kv};
use super::level::per_level;
use super::output::Output;
use super::rows::dots;
use super::tensor::Tensor;
use crate::backend::{AttentionShape, KvMode, KvStore, Qkv, Rows};

/// Query rows that share one pass over the cache.
const QUERY_TILE: usize = 8;

/// One KV head of consecutive rows of one sequence.
struct Task<'a> {
    cache: &'a Kv,
    /// First row in the call, and how many.
    first: usize,
    len: usize,
    /// Absolute position of the first row.
    position: usize,
    kv_head: usize,
}

pub(super) fn attend(
    cx: &Context,
    Qkv { q, k, v }: &Qkv<CpuBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &mut [&mut Kv],
) -> Tensor {
    let mut first = 0;
    if rows.kv == KvMode::Append {
        for (segment, cache) in rows.segments.iter().zip(caches.iter_mut()) {
            for row in first..first + segment.len {
                cache.push(k.row(row), v.row(row));
            }
            first += segment.len;
        }
    }
    let mut tasks = Vec::new();
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches.iter()) {
        for tile in (0..segment.len).step_by(QUERY_TILE) {
            for kv_head in 0..shape.kv_heads {
                tasks.push(Task {
                    cache,
                    first: first + tile,
                    len: QUERY_TILE.min(segment.len - tile),
                    position: segment.position + tile,
                    kv_head,
                });
            }
        }
        first += segment.len;
    }
    let group_width = shape.query_heads / shape.kv_heads * shape.head_dim;
    let width = shape.query_heads * shape.head_dim;
    let mut data = vec![0.0; q.rows() * width];
    let output = Output::new(&mut data, width);
    cx.pool.each(tasks.len(), |i| {
        let task = &tasks[i];
        let mut out = vec![0.0; task.len * group_width];
        attend_task(cx.level, task, q, shape, &mut out);
        for (r, heads) in out.chunks_exact(group_width).enumerate() {
            // SAFETY: a task's rows and heads are its own.
            unsafe { output.write(task.first + r, task.kv_head * group_width, heads) };
        }
    });
    Tensor::new(q.rows(), width, data)
}

per_level! {
    fn attend_task = attend_task_body(task: &Task<'_>, q: &Tensor, shape: &AttentionShape, out: &mut [f32])
}

/// `out` is `[rows of the task, query heads of the group, head_dim]`.
#[inline(always)]
fn attend_task_body(task: &Task<'_>, q: &Tensor, shape: &AttentionShape, out: &mut [f32]) {
    let dim = shape.head_dim;
    let group = shape.query_heads / shape.kv_heads;
    let scale = (dim as f32).sqrt().recip();
    let end = task.position + task.len;
    debug_assert!(end <= task.cache.len());
    let query = |i: usize| {
        let head = task.kv_head * group + i % group;
        &q.row(task.first + i / group)[head * dim..(head + 1) * dim]
    };
    // Query `i` is row `i / group`, head `i % group`; it sees `visible(i)` positions.
    let visible = |i: usize| task.position + i / group + 1;
    let mut scores = vec![0.0f32; task.len * group * end];
    let mut block_data = vec![0.0f32; BLOCK * dim];
    let blocks = end.div_ceil(BLOCK);
    for block in 0..blocks {
        task.cache.keys(block, task.kv_head, dim, &mut block_data);
        let start = block * BLOCK;
        for (i, scores) in scores.chunks_exact_mut(end).enumerate() {
            let count = BLOCK.min(visible(i).saturating_sub(start));
            let query = query(i);
            for (score, key) in scores[start.min(end)..]
                .iter_mut()
                .zip(block_data.chunks_exact(dim))
                .take(count)
            {
                *score = dots(key, [query])[0] * scale;
            }
        }
    }
    for (i, scores) in scores.chunks_exact_mut(end).enumerate() {
        softmax(&mut scores[..visible(i)]);
    }
    for block in 0..blocks {
        task.cache.values(block, task.kv_head, dim, &mut block_data);
        let start = block * BLOCK;
        for (i, (scores, out)) in scores
            .chunks_exact(end)
            .zip(out.chunks_exact_mut(dim))
            .enumerate()
        {
            let count = BLOCK.min(visible(i).saturating_sub(start));
            for (weight, value) in scores[start.min(end)..]
                .iter()
                .zip(block_data.chunks_exact(dim))
                .take(count)
            {
                for (o, x) in out.iter_mut().zip(value) {
                    *o += weight * x;
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0f32;
    for x in row.iter_mut() {
        *x = (*x - max).exp();
        total += *x;
    }
    let inverse = total.recip();
    for x in row.iter_mut() {
        *x *= inverse;
    }
}
