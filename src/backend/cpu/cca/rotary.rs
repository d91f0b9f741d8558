//! Rotate-half embedding over the leading `rotary_dims` of a head: dimension `i`
//! pairs with `i + rotary_dims / 2`. All layers turn by the same angles, so these
//! are computed once per position and kept.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::AttentionShape;

/// Positions computed at a time.
const BLOCK: usize = 256;

/// Of consecutive positions: the sines of all pairs, then their cosines.
type Block = Arc<Vec<f32>>;

/// The angles of all positions met so far.
#[derive(Default)]
pub struct Rotary {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Rotated dimensions and base, as bits: what the blocks were computed for.
    key: (usize, u64),
    blocks: Vec<Option<Block>>,
}

/// The angles of some positions.
pub struct Angles {
    /// Number of the first block.
    first: usize,
    blocks: Vec<Block>,
    /// Sines and cosines of a position.
    dims: usize,
}

impl Rotary {
    /// The angles of these positions, to be used by many threads.
    pub fn of(&self, positions: Range<usize>, shape: &AttentionShape) -> Angles {
        let key = (shape.rotary_dims, shape.rope_theta.to_bits());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.key != key {
            *kept = Kept {
                key,
                blocks: Vec::new(),
            };
        }
        let (first, end) = (positions.start / BLOCK, positions.end.div_ceil(BLOCK));
        if kept.blocks.len() < end {
            kept.blocks.resize(end, None);
        }
        let blocks = (first..end.max(first)).map(|index| {
            let block = kept.blocks[index].get_or_insert_with(|| {
                let positions = index * BLOCK..(index + 1) * BLOCK;
                Arc::new(positions.flat_map(|p| angles(p, shape)).collect())
            });
            Arc::clone(block)
        });
        Angles {
            first,
            blocks: blocks.collect(),
            dims: shape.rotary_dims / 2 * 2,
        }
    }
}

/// A position's sines, then its cosines.
fn angles(position: usize, shape: &AttentionShape) -> impl Iterator<Item = f32> {
    let sines = shape.rotation(position).map(|(sin, _)| sin);
    sines.chain(shape.rotation(position).map(|(_, cos)| cos))
}

impl Angles {
    /// The sines of a position's pairs, and their cosines.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let block = &self.blocks[position / BLOCK - self.first];
        let start = position % BLOCK * self.dims;
        block[start..start + self.dims].split_at(self.dims / 2)
    }
}

/// Turns a head by the angles of its position.
#[inline(always)]
pub(super) fn turn(head: &mut [f32], (sines, cosines): (&[f32], &[f32])) {
    let (first, rest) = head.split_at_mut(sines.len());
    let pairs = first.iter_mut().zip(rest);
    for (((a, b), sin), cos) in pairs.zip(sines).zip(cosines) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}
