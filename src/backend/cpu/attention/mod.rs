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
    let mut data = vec![0.0; q.rows() * width];
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

/// Each span of each tile by one thread, and then the tiles.
fn attend_spans(cx: &Context, tiles: &[Tile<'_>], output: &Output<'_>) {
    let spans: Vec<(&Tile<'_>, usize)> = tiles
        .iter()
        .flat_map(|tile| (0..tile.spans()).map(move |span| (tile, span)))
        .collect();
    let len = tiles.iter().map(Tile::part_len).max().unwrap_or(0);
    let mut parts = vec![0.0; spans.len() * len];
    let parts_of_threads = Output::new(&mut parts, len);
    cx.pool.each(spans.len(), |i| {
        let (tile, span) = spans[i];
        // SAFETY: each part is one item's.
        let part = unsafe { parts_of_threads.row(i) };
        levels::attend(cx.level, tile, span..span + 1, &mut part[..tile.part_len()]);
    });
    let mut rest = parts.as_mut_slice();
    for tile in tiles {
        let (parts, others) = rest.split_at_mut(tile.spans() * len);
        rest = others;
        let (total, parts) = parts.split_at_mut(len);
        let total = &mut total[..tile.part_len()];
        for part in parts.chunks_exact_mut(len) {
            levels::merge(cx.level, tile, total, &mut part[..tile.part_len()]);
        }
        finish(cx, tile, total, output);
    }
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
