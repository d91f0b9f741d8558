//! Keys and values of one layer of one sequence, in blocks that forks share. A
//! block holds, head after head, the keys of its positions transposed, so that
//! a vector of scores is found without sums across lanes, and the values by
//! strips of as many dimensions as a kernel sums up at once. Attention so reads
//! a head of a block from end to end.

use std::ops::Range;
use std::sync::Arc;

use super::lanes::{Element, LANES, Lanes, Portable};
use super::slab::{Piece, Slabs};
use super::tensor::Tensor;
use crate::backend::{KvDtype, KvStore, uniform};

/// Positions per block.
pub(super) const BLOCK: usize = 64;

/// Most dimensions of a strip of values.
pub(super) const STRIP: usize = 64;

#[derive(Clone)]
pub struct Kv {
    slabs: Slabs,
    dtype: KvDtype,
    heads: usize,
    dim: usize,
    len: usize,
    blocks: Vec<Arc<Piece>>,
}

/// Rows of keys and values, all heads each.
#[derive(Clone, Copy)]
pub(super) struct Fresh<'a> {
    pub k: &'a Tensor,
    pub v: &'a Tensor,
}

/// Part of a block: `len` slots from the one of `position` on.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub position: usize,
    pub len: usize,
}

/// The parts of blocks that some positions are in.
pub(super) fn parts(positions: Range<usize>) -> impl Iterator<Item = Part> {
    let blocks = positions.start / BLOCK..positions.end.div_ceil(BLOCK);
    blocks.map(move |block| {
        let position = positions.start.max(block * BLOCK);
        let len = positions.end.min((block + 1) * BLOCK) - position;
        Part { position, len }
    })
}

/// What a block is made of.
pub(super) trait Stored: Element + Default + 'static {
    /// Numbers as they are stored.
    ///
    /// # Safety
    /// [`LANES`] of them can be written at `to`, and the processor has the
    /// instructions of `L`.
    unsafe fn narrow<L: Lanes>(from: L, to: *mut Self);
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn narrow<L: Lanes>(from: L, to: *mut Self) {
        // SAFETY: the caller's.
        unsafe { from.store(to) };
    }
}

impl Stored for u16 {
    /// Clamped to the largest finite half: an infinity would turn every later row
    /// of attention into NaN.
    #[inline(always)]
    unsafe fn narrow<L: Lanes>(from: L, to: *mut Self) {
        // SAFETY: the caller's.
        unsafe {
            let (most, least) = (L::splat(65504.0), L::splat(-65504.0));
            let from = from.where_less(least, least, from);
            most.where_less(from, most, from).store_halves(to);
        }
    }
}

/// Dimensions of a head with what fills up its last vector of values.
pub(super) fn padded(dim: usize) -> usize {
    dim.next_multiple_of(LANES)
}

/// Numbers of a head of a block.
fn head_len(dim: usize) -> usize {
    BLOCK * (dim + padded(dim))
}

/// Dimensions of the strip of values that starts at dimension `d`.
#[inline(always)]
pub(super) fn strip(dim: usize, d: usize) -> usize {
    STRIP.min(padded(dim) - d)
}

/// Where dimension `d` of a slot's value is, from the start of the values.
pub(super) fn value_at(dim: usize, d: usize, slot: usize) -> usize {
    let start = d / STRIP * STRIP;
    start * BLOCK + slot * strip(dim, start) + d - start
}

impl Kv {
    pub(super) fn new(slabs: &Slabs, dtype: KvDtype, heads: usize, dim: usize) -> Self {
        Self {
            slabs: slabs.clone(),
            dtype,
            heads,
            dim,
            len: 0,
            blocks: Vec::new(),
        }
    }

    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn dtype(&self) -> KvDtype {
        self.dtype
    }

    /// Makes room for `rows` more positions, in blocks that are this sequence's
    /// alone. They count as stored at once, and are to be written before they are
    /// read.
    pub(super) fn grow(&mut self, rows: usize) {
        let first = self.len / BLOCK;
        self.len += rows;
        let bytes = self.heads * head_len(self.dim) * self.dtype.size();
        let slabs = &self.slabs;
        let blocks = self.len.div_ceil(BLOCK);
        self.blocks
            .resize_with(blocks, || Arc::new(slabs.piece(bytes)));
        for block in &mut self.blocks[first.min(blocks)..] {
            // A block that a fork reads is left to it.
            Arc::make_mut(block);
        }
    }

    /// Writes a head of the rows from `row` on to a part of a block.
    ///
    /// # Safety
    /// [`Kv::grow`] made room for these positions and the cache has not been cloned
    /// since; nobody else touches them in this head at the time. The processor has the
    /// instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn write<L: Lanes>(
        &self,
        head: usize,
        part: Part,
        from: Fresh<'_>,
        row: usize,
    ) {
        // SAFETY: the caller's; the type is the blocks'.
        unsafe {
            match self.dtype {
                KvDtype::F16 => self.write_as::<L, u16>(head, part, from, row),
                KvDtype::F32 => self.write_as::<L, f32>(head, part, from, row),
            }
        }
    }

    #[inline(always)]
    unsafe fn write_as<L: Lanes, T: Stored>(
        &self,
        head: usize,
        part: Part,
        Fresh { k, v }: Fresh<'_>,
        row: usize,
    ) {
        let (dim, slot) = (self.dim, part.position % BLOCK);
        assert!(head < self.heads && slot + part.len <= BLOCK);
        let (data, _) = self.blocks[part.position / BLOCK].raw();
        // SAFETY: the caller's; all places are within this head of the block.
        unsafe {
            let keys = data.cast::<T>().add(head * head_len(dim));
            let values = keys.add(BLOCK * dim);
            let mut columns = [T::default(); BLOCK * LANES];
            for d in (0..dim).step_by(LANES) {
                let count = LANES.min(dim - d);
                let at = head * dim + d;
                for i in 0..part.len {
                    let key = lanes::<L>(&k.row(row + i)[at..at + count]);
                    T::narrow(key, columns.as_mut_ptr().add(i * LANES));
                    let value = lanes::<L>(&v.row(row + i)[at..at + count]);
                    // A strip is whole vectors long.
                    T::narrow(value, values.add(value_at(dim, d, slot + i)));
                }
                for j in 0..count {
                    let keys = keys.add((d + j) * BLOCK + slot);
                    for i in 0..part.len {
                        *keys.add(i) = columns[i * LANES + j];
                    }
                }
            }
        }
    }

    /// Keys `[dim, BLOCK]` and strips of values `[BLOCK, strip]` of a head of a block.
    #[inline(always)]
    pub(super) fn head<T: Stored>(&self, block: usize, head: usize) -> (*const T, *const T) {
        let start = head * head_len(self.dim);
        // No slice of the block: others may be writing other heads of it.
        let (data, len) = self.blocks[block].raw();
        assert!((start + head_len(self.dim)) * size_of::<T>() <= len);
        let keys = data.cast::<T>().wrapping_add(start);
        (keys, keys.wrapping_add(BLOCK * self.dim))
    }

    /// Keys and values of one position, all heads, as they are stored.
    #[cfg(test)]
    pub fn position(&self, position: usize) -> (Vec<f32>, Vec<f32>) {
        let bytes = &self.blocks[position / BLOCK];
        let numbers: Vec<f32> = match self.dtype {
            // SAFETY: the type is the blocks'.
            KvDtype::F16 => unsafe { numbers::<u16>(bytes) }
                .iter()
                .map(|&h| crate::quant::widen_f16(h))
                .collect(),
            // SAFETY: as above.
            KvDtype::F32 => unsafe { numbers::<f32>(bytes) }.to_vec(),
        };
        let slot = position % BLOCK;
        let heads = numbers.chunks_exact(head_len(self.dim));
        heads
            .flat_map(|head| {
                let (keys, values) = head.split_at(BLOCK * self.dim);
                (0..self.dim)
                    .map(move |d| (keys[d * BLOCK + slot], values[value_at(self.dim, d, slot)]))
            })
            .unzip()
    }
}

/// A block's bytes as numbers.
///
/// # Safety
/// `T` has no invalid bits.
#[cfg(test)]
unsafe fn numbers<T: Stored>(bytes: &[u8]) -> &[T] {
    // SAFETY: the caller's; pieces start at a multiple of 64.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }
}

/// Up to [`LANES`] numbers and zeros.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
unsafe fn lanes<L: Lanes>(from: &[f32]) -> L {
    // SAFETY: the caller's; what is read is there.
    unsafe {
        if from.len() == LANES {
            return L::load(from.as_ptr());
        }
        let mut padded = [0.0; LANES];
        padded[..from.len()].copy_from_slice(from);
        L::load(padded.as_ptr())
    }
}

impl KvStore for Kv {
    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.blocks.truncate(len.div_ceil(BLOCK));
        }
    }

    fn fill(&mut self, positions: usize) -> bool {
        let width = self.heads * self.dim;
        let numbers = |seed| {
            let numbers = (0..width * BLOCK).map(|i| uniform(seed, i as u64) as f32 - 0.5);
            Tensor::new(BLOCK, width, numbers.collect::<Vec<f32>>())
        };
        let (k, v) = (&numbers(1), &numbers(2));
        let start = self.len;
        self.grow(positions);
        for part in parts(start..self.len) {
            for head in 0..self.heads {
                // SAFETY: this thread has the cache alone; arrays need no instructions.
                unsafe { self.write::<Portable>(head, part, Fresh { k, v }, 0) };
            }
        }
        true
    }
}
