//! Keys and values of one layer of one sequence, in blocks that forks share.

use std::sync::Arc;

use half::f16;

use crate::backend::{KvDtype, KvStore, uniform};
use crate::quant::widen_f16;

/// Positions per block.
pub(super) const BLOCK: usize = 64;

#[derive(Clone)]
pub struct Kv {
    dtype: KvDtype,
    /// Numbers per position: heads times head dimension.
    width: usize,
    len: usize,
    blocks: Vec<Arc<Block>>,
}

/// Keys then values of [`BLOCK`] positions, position-major.
#[derive(Clone)]
enum Block {
    F16 { k: Box<[u16]>, v: Box<[u16]> },
    F32 { k: Box<[f32]>, v: Box<[f32]> },
}

impl Kv {
    pub(super) fn new(dtype: KvDtype, width: usize) -> Self {
        Self {
            dtype,
            width,
            len: 0,
            blocks: Vec::new(),
        }
    }

    /// Appends one position. Halves are clamped to the largest finite one: an
    /// infinity would turn every later attention row into NaN.
    pub(super) fn push(&mut self, k: &[f32], v: &[f32]) {
        let slot = self.len % BLOCK;
        if slot == 0 {
            let size = BLOCK * self.width;
            self.blocks.push(Arc::new(match self.dtype {
                KvDtype::F16 => Block::F16 {
                    k: vec![0; size].into(),
                    v: vec![0; size].into(),
                },
                KvDtype::F32 => Block::F32 {
                    k: vec![0.0; size].into(),
                    v: vec![0.0; size].into(),
                },
            }));
        }
        let at = slot * self.width..(slot + 1) * self.width;
        let Some(block) = self.blocks.last_mut() else {
            return;
        };
        match Arc::make_mut(block) {
            Block::F16 { k: ks, v: vs } => {
                for (to, from) in [(&mut ks[at.clone()], k), (&mut vs[at], v)] {
                    for (to, x) in to.iter_mut().zip(from) {
                        *to = f16::from_f32(x.clamp(-65504.0, 65504.0)).to_bits();
                    }
                }
            }
            Block::F32 { k: ks, v: vs } => {
                ks[at.clone()].copy_from_slice(k);
                vs[at].copy_from_slice(v);
            }
        }
        self.len += 1;
    }

    /// Keys and values of one position, all heads, as they are stored.
    #[cfg(test)]
    pub fn position(&self, position: usize) -> (Vec<f32>, Vec<f32>) {
        let at = position % BLOCK * self.width;
        let at = at..at + self.width;
        match &*self.blocks[position / BLOCK] {
            Block::F16 { k, v } => {
                let read = |half: &[u16]| half.iter().map(|&h| widen_f16(h)).collect();
                (read(&k[at.clone()]), read(&v[at]))
            }
            Block::F32 { k, v } => (k[at.clone()].to_vec(), v[at].to_vec()),
        }
    }

    /// Writes the keys of one head of the positions of block `block` to `out`
    /// (`[BLOCK, head_dim]`).
    #[inline(always)]
    pub(super) fn keys(&self, block: usize, head: usize, head_dim: usize, out: &mut [f32]) {
        match &*self.blocks[block] {
            Block::F16 { k, .. } => gather(k, self.width, head, head_dim, out, |h| widen_f16(*h)),
            Block::F32 { k, .. } => gather(k, self.width, head, head_dim, out, |x| *x),
        }
    }

    /// The same for values.
    #[inline(always)]
    pub(super) fn values(&self, block: usize, head: usize, head_dim: usize, out: &mut [f32]) {
        match &*self.blocks[block] {
            Block::F16 { v, .. } => gather(v, self.width, head, head_dim, out, |h| widen_f16(*h)),
            Block::F32 { v, .. } => gather(v, self.width, head, head_dim, out, |x| *x),
        }
    }
}

#[inline(always)]
fn gather<T>(
    from: &[T],
    width: usize,
    head: usize,
    head_dim: usize,
    out: &mut [f32],
    convert: impl Fn(&T) -> f32,
) {
    for (position, out) in from.chunks_exact(width).zip(out.chunks_exact_mut(head_dim)) {
        let position = &position[head * head_dim..(head + 1) * head_dim];
        for (to, x) in out.iter_mut().zip(position) {
            *to = convert(x);
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
        let number = |seed, i: usize| uniform(seed, i as u64) as f32 - 0.5;
        let [k, v]: [Vec<f32>; 2] =
            [1, 2].map(|seed| (0..self.width).map(|i| number(seed, i)).collect());
        for _ in 0..positions {
            self.push(&k, &v);
        }
        true
    }
}
