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

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CpuBackend;
use super::buffer::Buffer;
use super::context::Context;
use super::kv::{Fresh, Kv, parts};
use super::output::Output;
use super::tensor::Tensor;
use crate::backend::{AttentionShape, KvMode, KvStore, Qkv, Rows, Segment};
use tile::{Tile, is_narrow, tile_rows};

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
    let fresh = match rows.kv {
        KvMode::Append => Some(Fresh { k, v }),
        KvMode::Stored => None,
    };
    if let Some(fresh) = fresh {
        append(cx, fresh, shape, rows, caches);
    }
    let width = shape.query_heads * shape.head_dim;
    let mut data = Buffer::of(q.rows() * width);
    let output = Output::new(&mut data, width);
    let (narrow, wide): (Vec<_>, Vec<_>) = tiles(q, fresh, shape, rows, caches)
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

/// Rows of a segment that its only tile of each head stores itself: another region
/// would take longer than the writing.
fn stored_by_tiles(segment: &Segment, shape: &AttentionShape) -> bool {
    is_narrow(segment.len, shape.query_heads / shape.kv_heads)
}

/// Makes room for the rows' keys and values, and stores those of long segments.
fn append(
    cx: &Context,
    fresh: Fresh<'_>,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &mut [&mut Kv],
) {
    let mut items = Vec::new();
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches) {
        let start = cache.len();
        cache.grow(segment.len);
        if stored_by_tiles(segment, shape) {
            // Where the tiles store is this sequence's alone only from here on.
            assert!(segment.len == 0 || segment.position == start);
        } else {
            let cache: &Kv = cache;
            for part in parts(start..cache.len()) {
                let row = first + part.position - start;
                items.extend((0..cache.heads()).map(|head| (cache, head, part, row)));
            }
        }
        first += segment.len;
    }
    cx.pool.each(items.len(), |i| {
        let (cache, head, part, row) = items[i];
        // SAFETY: nobody else has the caches, and each item has a head of a part of
        // its own.
        unsafe { levels::store(cx.level, cache, head, part, fresh, row) };
    });
}

fn tiles<'a>(
    q: &'a Tensor,
    fresh: Option<Fresh<'a>>,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &'a [&mut Kv],
) -> Vec<Tile<'a>> {
    let mut tiles = Vec::new();
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches) {
        debug_assert!(segment.position + segment.len <= cache.len());
        let fresh = fresh.filter(|_| stored_by_tiles(segment, shape));
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
                    fresh,
                });
            }
        }
        first += segment.len;
    }
    tiles
}

/// Each tile by one thread.
fn attend_whole(cx: &Context, tiles: &[Tile<'_>], output: &Output<'_>) {
    // From the longest to the shortest, one at a time: no thread then waits
    // longer than the shortest takes.
    let mut order: Vec<&Tile<'_>> = tiles.iter().collect();
    order.sort_by_key(|tile| Reverse(tile.end()));
    let next = AtomicUsize::new(0);
    cx.pool.each(cx.pool.threads(), |_| {
        while let Some(tile) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut part = Buffer::of(tile.part_len());
            levels::attend(cx.level, tile, 0..tile.spans(), &mut part);
            levels::finish(cx.level, tile, &mut part, output);
        }
    });
}

/// Each span of each tile by one thread, the last of which merges them; in rounds of
/// so many spans that what they leave takes little memory.
fn attend_spans(cx: &Context, tiles: &[Tile<'_>], output: &Output<'_>) {
    let Some(len) = tiles.iter().map(Tile::part_len).max() else {
        return;
    };
    let spans = tiles.iter().map(Tile::spans).max().unwrap_or(0);
    let per_thread = (WHOLE_FROM * cx.pool.threads()).div_ceil(tiles.len());
    let round = (ROUND / (tiles.len() * len)).max(per_thread).min(spans);
    // Each tile's total, and then what the spans of a round leave.
    let places = 1 + round;
    let mut parts = Buffer::of(tiles.len() * places * len);
    let parts = Output::new(&mut parts, len);
    // SAFETY: of each use, the place is one item's or the last's of its tile.
    let part = |t: usize, place: usize| unsafe {
        parts.columns(t * places + place, 0, tiles[t].part_len())
    };
    for first in (0..spans).step_by(round) {
        let in_round = |tile: &Tile<'_>| first..tile.spans().min(first + round).max(first);
        // The first span of all is where the total begins.
        let place = |span: usize| if span == 0 { 0 } else { 1 + span - first };
        let numbered = || tiles.iter().enumerate();
        let items: Vec<(usize, usize)> = numbered()
            .flat_map(|(t, tile)| in_round(tile).map(move |span| (t, span)))
            .collect();
        let left: Vec<AtomicUsize> = numbered()
            .map(|(_, tile)| AtomicUsize::new(in_round(tile).len()))
            .collect();
        cx.pool.each(items.len(), |i| {
            let (t, span) = items[i];
            let tile = &tiles[t];
            levels::attend(cx.level, tile, span..span + 1, part(t, place(span)));
            // What others wrote is seen by the last.
            if left[t].fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
            let total = part(t, 0);
            for span in in_round(tile).filter(|&span| span > 0) {
                levels::merge(cx.level, tile, total, part(t, place(span)));
            }
            if in_round(tile).end == tile.spans() {
                levels::finish(cx.level, tile, total, output);
            }
        });
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
