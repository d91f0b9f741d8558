//! Rotate-half embedding over the leading `rotary_dims` of a head: dimension `i`
//! pairs with `i + rotary_dims / 2`. All layers turn by the same angles, so these
//! are computed once per position and kept.

use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::AttentionShape;

/// Positions computed at a time.
const BLOCK: usize = 256;

/// (sin, cos) of the pairs of consecutive positions.
type Block = Arc<Vec<(f32, f32)>>;

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

impl Rotary {
    /// The block of `position`, and where in it the position's pairs start.
    pub fn at(&self, position: usize, shape: &AttentionShape) -> (Block, usize) {
        let key = (shape.rotary_dims, shape.rope_theta.to_bits());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.key != key {
            *kept = Kept {
                key,
                blocks: Vec::new(),
            };
        }
        let index = position / BLOCK;
        if kept.blocks.len() <= index {
            kept.blocks.resize(index + 1, None);
        }
        let block = kept.blocks[index].get_or_insert_with(|| {
            let positions = index * BLOCK..(index + 1) * BLOCK;
            Arc::new(positions.flat_map(|p| shape.rotation(p)).collect())
        });
        (
            Arc::clone(block),
            position % BLOCK * (shape.rotary_dims / 2),
        )
    }
}

/// Turns a head by the angles of its position.
#[inline(always)]
pub(super) fn turn(head: &mut [f32], angles: &[(f32, f32)]) {
    let (first, rest) = head.split_at_mut(angles.len());
    for ((a, b), (sin, cos)) in first.iter_mut().zip(rest).zip(angles) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}
