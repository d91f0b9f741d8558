//! Keys and values of one layer of one sequence, in blocks that forks share. A
//! block holds, head after head, the keys of its positions transposed, so that
//! a vector of scores is found without sums across lanes, and the values by
//! strips of as many dimensions as a kernel sums up at once. Attention so reads
//! a head of a block from end to end.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::lanes::{Element, LANES};
use super::slab::{Piece, Slabs};
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

/// Part of a block to be written: rows from `first` on of those that are
/// appended, from slot `slot` on.
pub(super) struct Append<'a> {
    block: &'a mut Piece,
    dtype: KvDtype,
    dim: usize,
    slot: usize,
    pub first: usize,
    pub len: usize,
}

/// What a block is made of.
pub(super) trait Stored: Element + Default + 'static {
    /// Numbers as they are stored.
    fn narrow(from: &[f32], to: &mut [Self]);
}

impl Stored for f32 {
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
}

impl Stored for u16 {
    /// Clamped to the largest finite half: an infinity would turn every later row
    /// of attention into NaN.
    fn narrow(from: &[f32], to: &mut [Self]) {
        let (mut clamped, mut halves) = ([0.0; LANES], [f16::ZERO; LANES]);
        for (from, to) in from.chunks(LANES).zip(to.chunks_mut(LANES)) {
            for (clamped, x) in clamped.iter_mut().zip(from) {
                *clamped = x.clamp(-65504.0, 65504.0);
            }
            halves.convert_from_f32_slice(&clamped);
            for (to, half) in to.iter_mut().zip(halves) {
                *to = half.to_bits();
            }
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
fn value_at(dim: usize, d: usize, slot: usize) -> usize {
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

    pub(super) fn dtype(&self) -> KvDtype {
        self.dtype
    }

    /// Makes room for `rows` more positions and says what is to be written where,
    /// block by block. The positions count as stored at once.
    pub(super) fn append(&mut self, rows: usize) -> impl Iterator<Item = Append<'_>> {
        let start = self.len;
        self.len += rows;
        let size = match self.dtype {
            KvDtype::F16 => 2,
            KvDtype::F32 => 4,
        };
        let bytes = self.heads * head_len(self.dim) * size;
        let slabs = &self.slabs;
        self.blocks
            .resize_with(self.len.div_ceil(BLOCK), || Arc::new(slabs.zeroed(bytes)));
        let (dtype, dim, end) = (self.dtype, self.dim, self.len);
        let first_block = start / BLOCK;
        let blocks = self.blocks[first_block.min(end.div_ceil(BLOCK))..].iter_mut();
        blocks.enumerate().map(move |(i, block)| {
            let block_start = (first_block + i) * BLOCK;
            let from = start.max(block_start);
            Append {
                // A block that a fork reads is left to it.
                block: Arc::make_mut(block),
                dtype,
                dim,
                slot: from - block_start,
                first: from - start,
                len: end.min(block_start + BLOCK) - from,
            }
        })
    }

    /// Keys `[dim, BLOCK]` and strips of values `[BLOCK, strip]` of a head of a block.
    ///
    /// # Safety
    /// `T` is what the blocks are made of.
    #[inline(always)]
    pub(super) unsafe fn head<T: Stored>(&self, block: usize, head: usize) -> (*const T, *const T) {
        let start = head * head_len(self.dim);
        // SAFETY: the caller's: pieces are aligned for any number.
        let numbers = unsafe { numbers::<T>(&self.blocks[block]) };
        let (keys, values) = numbers[start..start + head_len(self.dim)].split_at(BLOCK * self.dim);
        (keys.as_ptr(), values.as_ptr())
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
unsafe fn numbers<T: Stored>(bytes: &[u8]) -> &[T] {
    // SAFETY: the caller's; pieces start at a multiple of 64.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }
}

impl Append<'_> {
    /// Writes the rows `k` and `v` yield for an index, all heads each.
    pub fn write<'a>(&mut self, k: impl Fn(usize) -> &'a [f32], v: impl Fn(usize) -> &'a [f32]) {
        match self.dtype {
            KvDtype::F16 => self.write_as::<u16>(k, v),
            KvDtype::F32 => self.write_as::<f32>(k, v),
        }
    }

    fn write_as<'a, T: Stored>(
        &mut self,
        k: impl Fn(usize) -> &'a [f32],
        v: impl Fn(usize) -> &'a [f32],
    ) {
        let dim = self.dim;
        let len = self.block.len() / size_of::<T>();
        // SAFETY: pieces start at a multiple of 64, any bits are a number, and the
        // block is borrowed for writing.
        let block =
            unsafe { std::slice::from_raw_parts_mut(self.block.as_mut_ptr().cast::<T>(), len) };
        let mut narrow = vec![T::default(); self.len * dim];
        for (head, block) in block.chunks_exact_mut(head_len(dim)).enumerate() {
            let (keys, values) = block.split_at_mut(BLOCK * dim);
            for (row, narrow) in narrow.chunks_exact_mut(dim).enumerate() {
                T::narrow(&k(self.first + row)[head * dim..(head + 1) * dim], narrow);
            }
            for (d, keys) in keys.chunks_exact_mut(BLOCK).enumerate() {
                let column = narrow[d..].iter().step_by(dim);
                for (to, x) in keys[self.slot..].iter_mut().zip(column) {
                    *to = *x;
                }
            }
            for row in 0..self.len {
                let value = &v(self.first + row)[head * dim..(head + 1) * dim];
                for (i, part) in value.chunks(LANES).enumerate() {
                    let at = value_at(dim, i * LANES, self.slot + row);
                    T::narrow(part, &mut values[at..at + part.len()]);
                }
            }
        }
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
        let numbers = |seed| -> Vec<f32> {
            (0..width * positions.min(BLOCK))
                .map(|i| uniform(seed, i as u64) as f32 - 0.5)
                .collect()
        };
        let (k, v) = (numbers(1), numbers(2));
        for mut part in self.append(positions) {
            part.first = 0;
            part.write(
                |i| &k[i * width..(i + 1) * width],
                |i| &v[i * width..(i + 1) * width],
            );
        }
        true
    }
}
