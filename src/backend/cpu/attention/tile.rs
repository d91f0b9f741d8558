//! Attention of a few rows of one sequence to one KV head: a pass over its
//! blocks with a running maximum, span after span.

use std::cell::RefCell;
use std::ops::Range;

use super::kernel::{Ahead, NONE, STREAMS, Table, score, soften, weigh};
use crate::backend::cpu::kv::{BLOCK, Fresh, Kv, STRIP, Stored, padded, parts, strip};
use crate::backend::cpu::lanes::{LANES, Lanes, prefetch_far};
use crate::backend::cpu::math::exp2_to_one_scalar;
use crate::backend::cpu::output::Output;
use crate::backend::cpu::tensor::Tensor;
use crate::backend::{AttentionShape, KvDtype};

/// Positions that are summed up by themselves before they are merged with those
/// before them: what threads can share of a row. Part of the results' definition.
pub(super) const SPAN: usize = 512;

/// Queries up to which a tile is narrow: it reads what is stored as it is, at
/// the speed of memory. A wide one widens each block first, for all its queries.
const NARROW: usize = 8;

/// Queries that a wide tile is made for.
const WIDE: usize = 192;

/// Consecutive rows of one sequence, with the queries of one KV head.
pub(super) struct Tile<'a> {
    pub cache: &'a Kv,
    /// Scaled by nothing yet.
    pub q: &'a Tensor,
    /// First row in the call, and how many.
    pub first: usize,
    pub len: usize,
    /// Absolute position of the first row.
    pub position: usize,
    pub kv_head: usize,
    /// Queries per KV head, and their dimensions.
    pub group: usize,
    pub dim: usize,
    /// Keys and values of this tile's rows, where they are to be stored first.
    pub fresh: Option<Fresh<'a>>,
}

/// Rows of a tile.
pub(super) fn tile_rows(shape: &AttentionShape) -> usize {
    (WIDE / (shape.query_heads / shape.kv_heads)).max(1)
}

/// Whether so many rows make a narrow tile.
pub(super) fn is_narrow(rows: usize, group: usize) -> bool {
    rows * group <= NARROW
}

impl Tile<'_> {
    pub fn queries(&self) -> usize {
        self.len * self.group
    }

    pub fn is_narrow(&self) -> bool {
        is_narrow(self.len, self.group)
    }

    /// Positions that its last row sees.
    pub fn end(&self) -> usize {
        self.position + self.len
    }

    pub fn spans(&self) -> usize {
        self.end().div_ceil(SPAN)
    }

    /// Queries with those that fill up the last kernel.
    fn room(&self) -> usize {
        self.queries().next_multiple_of(match self.is_narrow() {
            true => 4,
            false => 12,
        })
    }

    /// Numbers of the sums of this tile's queries over some positions.
    pub fn part_len(&self) -> usize {
        self.room() * (2 + padded(self.dim))
    }
}

/// Maxima, sums of weights and sums of weighted values of a tile's queries.
struct Part<'a> {
    maxima: &'a mut [f32],
    sums: &'a mut [f32],
    values: &'a mut [f32],
}

impl<'a> Part<'a> {
    fn new(tile: &Tile<'_>, numbers: &'a mut [f32]) -> Self {
        let (maxima, rest) = numbers.split_at_mut(tile.room());
        let (sums, values) = rest.split_at_mut(tile.room());
        Self {
            maxima,
            sums,
            values,
        }
    }
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

thread_local! {
    /// What tiles work in, kept from one to the next.
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Arrays of the given lengths, of any content, from `lines`.
fn divide<const N: usize>(lines: &mut Vec<Line>, lens: [usize; N]) -> [&mut [f32]; N] {
    let needed = lens.iter().map(|len| len.div_ceil(LANES)).sum();
    if lines.len() < needed {
        lines.resize(needed, Line([0.0; LANES]));
    }
    if cfg!(test) {
        lines.fill(Line([f32::NAN; LANES]));
    }
    let mut rest = lines.as_mut_slice();
    lens.map(|len| {
        let (these, others) = std::mem::take(&mut rest).split_at_mut(len.div_ceil(LANES));
        rest = others;
        // SAFETY: a line is nothing but its numbers.
        unsafe { std::slice::from_raw_parts_mut(these.as_mut_ptr().cast(), len) }
    })
}

/// The sums of a tile over the positions of some spans, to `part`
/// ([`Tile::part_len`] numbers), after its fresh rows in these are stored. Kernels take `NQ` queries and `NW` vectors of a
/// narrow tile, `WQ` and `WW` of a wide one.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn attend<
    L: Lanes,
    const NQ: usize,
    const NW: usize,
    const WQ: usize,
    const WW: usize,
>(
    tile: &Tile<'_>,
    spans: Range<usize>,
    part: &mut [f32],
) {
    // SAFETY: the caller's; the type is the cache's. What is fresh is one tile's of
    // its head, and each position is in one span.
    unsafe {
        if let Some(fresh) = tile.fresh {
            let start = tile.position.max(spans.start * SPAN);
            for part in parts(start..tile.end().min(spans.end * SPAN)) {
                let row = tile.first + part.position - tile.position;
                tile.cache.write::<L>(tile.kv_head, part, fresh, row);
            }
        }
        match (tile.cache.dtype(), tile.is_narrow()) {
            (KvDtype::F16, true) => run::<L, u16, NQ, NW, false>(tile, spans, part),
            (KvDtype::F16, false) => run::<L, u16, WQ, WW, true>(tile, spans, part),
            (KvDtype::F32, true) => run::<L, f32, NQ, NW, false>(tile, spans, part),
            (KvDtype::F32, false) => run::<L, f32, WQ, WW, false>(tile, spans, part),
        }
    }
}

/// [`attend`] with the cache's type of numbers, widened first or not.
#[inline(always)]
unsafe fn run<L: Lanes, T: Stored, const Q: usize, const W: usize, const WIDEN: bool>(
    tile: &Tile<'_>,
    spans: Range<usize>,
    part: &mut [f32],
) {
    let (dim, width, room) = (tile.dim, padded(tile.dim), tile.room());
    let end = tile.end().div_ceil(BLOCK);
    let widened = if WIDEN { BLOCK } else { 0 };
    let lens = [
        room * width,
        tile.part_len(),
        room * LANES,
        Q * BLOCK,
        widened * dim,
        widened * width,
    ];
    // Taken, not borrowed: a closure would not be compiled for these instructions.
    let mut lines = SCRATCH.take();
    let [q, next, sums, scores, keys, values] = divide(&mut lines, lens);
    scale_queries::<Q>(tile, q);
    let mut total = Part::new(tile, part);
    let mut next = Part::new(tile, next);
    let first = spans.start;
    for span in spans {
        let part = if span == first { &mut total } else { &mut next };
        part.maxima.fill(NONE);
        // Those who see nothing of the span leave nothing of it; all others begin
        // with their first block.
        let blind = (span * SPAN).saturating_sub(tile.position) * tile.group;
        let blind = (blind / Q * Q).min(room);
        part.values[..blind * width].fill(0.0);
        sums.fill(0.0);
        let blocks = span * SPAN / BLOCK..((span + 1) * SPAN / BLOCK).min(end);
        for block in blocks {
            // SAFETY: the caller's; the arrays are as long as they must be.
            unsafe {
                let soon = (block + 1).min(end - 1);
                let soon = tile.cache.head::<T>(soon, tile.kv_head).0.cast();
                let (k, v) = tile.cache.head::<T>(block, tile.kv_head);
                let state = State {
                    q: q.as_ptr(),
                    scores: scores.as_mut_ptr(),
                    maxima: part.maxima.as_mut_ptr(),
                    sums: sums.as_mut_ptr(),
                    values: part.values.as_mut_ptr(),
                };
                if WIDEN {
                    widen::<L, T>(k, keys);
                    widen::<L, T>(v, values);
                    let soon = Soon::Spread {
                        at: soon,
                        len: BLOCK * (dim + width) * size_of::<T>(),
                    };
                    let (k, v) = (keys.as_ptr(), values.as_ptr());
                    attend_block::<L, f32, Q, W>(tile, block, state, k, v, soon);
                } else {
                    attend_block::<L, T, Q, W>(tile, block, state, k, v, Soon::InStep(soon));
                }
            }
        }
        for (total, sums) in part.sums.iter_mut().zip(sums.chunks_exact(LANES)) {
            *total = sum_lanes(sums);
        }
        if span > first {
            merge_parts(&mut total, &next);
        }
    }
    SCRATCH.set(lines);
}

/// Copies the queries, times `log2(e) / sqrt(dim)` (powers of two are found more
/// easily than those of e), as `[dim / LANES, Q, LANES]` for each `Q` of them.
/// What fills up is zeros.
#[inline(always)]
fn scale_queries<const Q: usize>(tile: &Tile<'_>, out: &mut [f32]) {
    let (dim, width) = (tile.dim, padded(tile.dim));
    let scale = (std::f64::consts::LOG2_E / (dim as f64).sqrt()) as f32;
    let queries = tile.queries();
    let mut i = 0;
    for out in out.chunks_exact_mut(Q * width) {
        if i + Q > queries || dim < width {
            out.fill(0.0);
        }
        for place in 0..Q.min(queries - i) {
            let head = tile.kv_head * tile.group + (i + place) % tile.group;
            let row = tile.q.row(tile.first + (i + place) / tile.group);
            let query = row[head * dim..(head + 1) * dim].chunks(LANES);
            for (out, part) in out.chunks_exact_mut(Q * LANES).zip(query) {
                for (to, x) in out[place * LANES..].iter_mut().zip(part) {
                    *to = x * scale;
                }
            }
        }
        i = (i + Q).min(queries);
    }
}

/// Where a tile's numbers are.
#[derive(Clone, Copy)]
struct State {
    q: *const f32,
    scores: *mut f32,
    maxima: *mut f32,
    sums: *mut f32,
    values: *mut f32,
}

/// The block that is read after this one.
#[derive(Clone, Copy)]
enum Soon {
    /// Asked for at the pace at which this one is read.
    InStep(*const u8),
    /// Asked for in `len` bytes spread over all queries.
    Spread { at: *const u8, len: usize },
}

/// All queries of a tile and one block, given as `E`.
#[inline(always)]
unsafe fn attend_block<L: Lanes, E: Stored, const Q: usize, const W: usize>(
    tile: &Tile<'_>,
    block: usize,
    state: State,
    keys: *const E,
    values: *const E,
    soon: Soon,
) {
    let (dim, width) = (tile.dim, padded(tile.dim));
    let (start, queries) = (block * BLOCK, tile.queries());
    let groups = queries.div_ceil(Q);
    let size = size_of::<E>();
    let stream = BLOCK * (dim + width) * size / STREAMS;
    for group in 0..groups {
        let mut visible = [BLOCK; Q];
        let mut count = BLOCK;
        if start + BLOCK > tile.position + 1 {
            count = 0;
            for (i, visible) in visible.iter_mut().enumerate() {
                // Queries that fill up see what the last one sees.
                let row = (group * Q + i).min(queries - 1) / tile.group;
                *visible = (tile.position + row + 1).saturating_sub(start).min(BLOCK);
                count = *visible;
            }
            if count == 0 {
                continue;
            }
        }
        let first = group * Q;
        let mut asked = 0;
        let mut spread = || {
            if let Soon::Spread { at, len } = soon {
                let pieces = BLOCK / LANES / W + (width / LANES).div_ceil(W);
                let lines = len.div_ceil(64 * groups * pieces);
                let from = (group * pieces + asked) * lines;
                for line in from..from + lines {
                    prefetch_far(at.wrapping_add(line * 64));
                }
                asked += 1;
            }
        };
        // SAFETY: the caller's.
        unsafe {
            let q = state.q.add(first * width);
            let out = state.values.add(first * width);
            // What nobody sees gets no score.
            for w in (0..count.div_ceil(LANES)).step_by(W) {
                spread();
                let ahead = match soon {
                    Soon::InStep(next) if group == 0 && w == 0 => Some(Ahead {
                        now: keys.cast(),
                        step: BLOCK * size,
                        next,
                        stream,
                        before: 0,
                    }),
                    _ => None,
                };
                let (keys, scores) = (keys.add(w * LANES), state.scores.add(w * LANES));
                score::<L, E, Q, W>(q, keys, dim, scores, ahead);
            }
            let factors = soften::<L, Q>(
                state.scores,
                &visible,
                state.maxima.add(first),
                state.sums.add(first * LANES),
            );
            // A span begins with sums of nothing.
            let factors = (!block.is_multiple_of(SPAN / BLOCK)).then_some(&factors);
            let p = state.scores;
            let mut d = 0;
            while d < width {
                let (start, strip) = (d / STRIP * STRIP, strip(dim, d / STRIP * STRIP));
                let rows = values.add(start * BLOCK);
                let ahead = match soon {
                    Soon::InStep(next) if group == 0 && d == start => Some(Ahead {
                        now: rows.cast(),
                        step: strip * size,
                        next,
                        stream,
                        before: dim + start / STRIP * BLOCK,
                    }),
                    _ => None,
                };
                let from = Table {
                    at: rows.add(d - start),
                    stride: strip,
                };
                let to = Table {
                    at: out.add(d),
                    stride: width,
                };
                spread();
                if d + W * LANES <= start + strip {
                    weigh::<L, E, Q, W>(p, from, count, factors, to, ahead);
                    d += W * LANES;
                } else {
                    weigh::<L, E, Q, 1>(p, from, count, factors, to, ahead);
                    d += LANES;
                }
            }
        }
    }
}

/// As many numbers as `to` takes, a multiple of [`LANES`].
#[inline(always)]
unsafe fn widen<L: Lanes, T: Stored>(from: *const T, to: &mut [f32]) {
    for i in (0..to.len()).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe { T::lanes::<L>(from.add(i)).store(to.as_mut_ptr().add(i)) };
    }
}

/// In a fixed order.
#[inline(always)]
fn sum_lanes(lanes: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    sums.copy_from_slice(lanes);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}

/// Adds the sums over the span that follows those of `total`.
#[inline(always)]
fn merge_parts(total: &mut Part<'_>, next: &Part<'_>) {
    let width = total.values.len() / total.maxima.len();
    let rows = total.values.chunks_exact_mut(width);
    for (i, (row, add)) in rows.zip(next.values.chunks_exact(width)).enumerate() {
        let [ours, theirs] = [total.maxima[i], next.maxima[i]];
        let max = ours.max(theirs);
        let [ours, theirs] = [ours, theirs].map(|m| exp2_to_one_scalar(m - max));
        total.maxima[i] = max;
        total.sums[i] = next.sums[i].mul_add(theirs, total.sums[i] * ours);
        for (x, y) in row.iter_mut().zip(add) {
            *x = y.mul_add(theirs, *x * ours);
        }
    }
}

/// [`merge_parts`] on what [`attend`] left of spans that follow each other.
#[inline(always)]
pub(super) fn merge_body(tile: &Tile<'_>, total: &mut [f32], next: &mut [f32]) {
    merge_parts(&mut Part::new(tile, total), &Part::new(tile, next));
}

/// Writes the weighted means, which are this tile's alone to write.
#[inline(always)]
pub(super) fn finish_body(tile: &Tile<'_>, part: &mut [f32], output: &Output<'_>) {
    let width = padded(tile.dim);
    let part = Part::new(tile, part);
    for i in 0..tile.queries() {
        let head = tile.kv_head * tile.group + i % tile.group;
        let row = tile.first + i / tile.group;
        // SAFETY: a tile's rows and heads are its own.
        let out = unsafe { output.columns(row, head * tile.dim, tile.dim) };
        let inverse = part.sums[i].recip();
        for (to, x) in out.iter_mut().zip(&part.values[i * width..]) {
            // Adding 0 leaves no zero its sign, which may depend on what a value of
            // weight 0 was.
            *to = x * inverse + 0.0;
        }
    }
}
