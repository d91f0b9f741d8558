//! Causal grouped-query attention over the blocked cache, in one pass with a
//! running maximum. What it computes is fixed by absolute positions alone: blocks
//! of 64 within spans, one chain of fused multiply-adds per score and per
//! dimension, spans merged in order. So neither chunking, batching, threads nor
//! the instruction set shows in the bits.

mod kernel;
mod levels;
#[cfg(test)]
mod tests;
mod tile;

use std::sync::{Mutex, PoisonError};

use super::CpuBackend;
use super::buffer::Buffer;
use super::context::Context;
use super::kv::{Append, Kv};
use super::output::Output;
use super::tensor::Tensor;
use crate::backend::{AttentionShape, KvMode, KvStore, Qkv, Rows};
use tile::{Tile, tile_rows};

/// Numbers below which appending is not worth a second thread.
const PARALLEL_FROM: usize = 1 << 14;

/// Whole tiles per thread from which their spans need not be divided: enough
/// for none to wait long for the last.
const WHOLE_FROM: usize = 4;

/// Numbers that the spans of a round may leave; in tests, few enough for several rounds.
const ROUND: usize = if cfg!(test) { 1 << 12 } else { 1 << 22 };

pub(super) fn attend(
    cx: &Context,
    Qkv { q, k, v }: &Qkv<CpuBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &mut [&mut Kv],
) -> Tensor {
    if rows.kv == KvMode::Append {
        append(cx, k, v, rows, caches);
    }
    let width = shape.query_heads * shape.head_dim;
    let mut data = Buffer::of(q.rows() * width);
    let output = Output::new(&mut data, width);
    let (narrow, wide): (Vec<_>, Vec<_>) = tiles(q, shape, rows, caches)
        .into_iter()
        .partition(Tile::is_narrow);
    for tiles in [narrow, wide] {
        let wide = tiles.first().is_some_and(|tile| !tile.is_narrow());
        if wide && tiles.len() >= WHOLE_FROM * cx.pool.threads() {
            attend_whole(cx, &tiles, &output);
        } else {
            attend_spans(cx, &tiles, &output);
        }
    }
    Tensor::new(q.rows(), width, data)
}

/// Stores the rows' keys and values.
fn append(cx: &Context, k: &Tensor, v: &Tensor, rows: &Rows, caches: &mut [&mut Kv]) {
    let mut parts = Vec::new();
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches.iter_mut()) {
        if segment.len > 0 {
            let appends = cache.append(segment.len);
            parts.extend(appends.map(|part| (first, Mutex::new(part))));
        }
        first += segment.len;
    }
    let write = |(first, part): &(usize, Mutex<Append<'_>>)| {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.write(|row| k.row(first + row), |row| v.row(first + row));
    };
    let grain = PARALLEL_FROM.div_ceil(k.cols().max(1) * (k.rows() / parts.len().max(1)).max(1));
    cx.pool.run(parts.len(), grain, |some| {
        parts[some].iter().for_each(write);
    });
}

fn tiles<'a>(
    q: &'a Tensor,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &'a [&mut Kv],
) -> Vec<Tile<'a>> {
    let mut tiles = Vec::new();
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches) {
        debug_assert!(segment.position + segment.len <= cache.len());
        for start in (0..segment.len).step_by(tile_rows(shape)) {
            for kv_head in 0..shape.kv_heads {
                tiles.push(Tile {
                    cache,
                    q,
                    first: first + start,
                    len: tile_rows(shape).min(segment.len - start),
                    position: segment.position + start,
                    kv_head,
                    group: shape.query_heads / shape.kv_heads,
                    dim: shape.head_dim,
                });
            }
        }
        first += segment.len;
    }
    tiles
}

/// Each tile by one thread.
fn attend_whole(cx: &Context, tiles: &[Tile<'_>], output: &Output<'_>) {
    cx.pool.each(tiles.len(), |i| {
        let tile = &tiles[i];
        let mut part = vec![0.0; tile.part_len()];
        levels::attend(cx.level, tile, 0..tile.spans(), &mut part);
        finish(cx, tile, &mut part, output);
    });
}

/// Each span of each tile by one thread, and then the tiles; in rounds of so many
/// spans that what they leave takes little memory.
fn attend_spans(cx: &Context, tiles: &[Tile<'_>], output: &Output<'_>) {
    let Some(len) = tiles.iter().map(Tile::part_len).max() else {
        return;
    };
    let spans = tiles.iter().map(Tile::spans).max().unwrap_or(0);
    let per_thread = (WHOLE_FROM * cx.pool.threads()).div_ceil(tiles.len());
    let round = (ROUND / (tiles.len() * len)).max(per_thread).min(spans);
    let mut totals = vec![0.0; tiles.len() * len];
    let mut parts = vec![0.0; tiles.len() * round * len];
    let totals = Output::new(&mut totals, len);
    let parts = Output::new(&mut parts, len);
    let grain = PARALLEL_FROM.div_ceil(round * len);
    for first in (0..spans).step_by(round) {
        let in_round = |tile: &Tile<'_>| first..tile.spans().min(first + round).max(first);
        let items: Vec<(usize, usize)> = tiles
            .iter()
            .enumerate()
            .flat_map(|(t, tile)| in_round(tile).map(move |span| (t, span)))
            .collect();
        cx.pool.each(items.len(), |i| {
            let (t, span) = items[i];
            // SAFETY: each item has a part of its own.
            let part = unsafe { parts.row(t * round + span - first) };
            let part = &mut part[..tiles[t].part_len()];
            levels::attend(cx.level, &tiles[t], span..span + 1, part);
        });
        cx.pool.run(tiles.len(), grain, |some| {
            for t in some {
                // SAFETY: each tile's total and parts are one item's.
                let total = &mut unsafe { totals.row(t) }[..tiles[t].part_len()];
                for span in in_round(&tiles[t]) {
                    // SAFETY: as above.
                    let part = unsafe { parts.row(t * round + span - first) };
                    let part = &mut part[..total.len()];
                    match span {
                        0 => total.copy_from_slice(part),
                        _ => levels::merge(cx.level, &tiles[t], total, part),
                    }
                }
            }
        });
    }
    cx.pool.run(tiles.len(), grain, |some| {
        for t in some {
            // SAFETY: as above.
            let total = &mut unsafe { totals.row(t) }[..tiles[t].part_len()];
            finish(cx, &tiles[t], total, output);
        }
    });
}

fn finish(cx: &Context, tile: &Tile<'_>, part: &mut [f32], output: &Output<'_>) {
    let width = tile.group * tile.dim;
    let mut out = vec![0.0; tile.len * width];
    levels::finish(cx.level, tile, part, &mut out);
    for (row, heads) in out.chunks_exact(width).enumerate() {
        // SAFETY: a tile's rows and heads are its own.
        unsafe { output.write(tile.first + row, tile.kv_head * width, heads) };
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
