//! Keys and values as bytes, row after row, and back: what is kept on disk does not
//! show how blocks are laid out.

use std::ops::Range;

use super::kv::{BLOCK, Kv, Stored, parts, value_at};
use crate::backend::{KvDtype, KvStore};

impl Kv {
    /// Keys `[positions, heads * dim]`, then values, as they are stored.
    pub(super) fn to_bytes(&self, positions: Range<usize>) -> Vec<u8> {
        match self.dtype() {
            KvDtype::F16 => self.to_bytes_as::<u16>(positions),
            KvDtype::F32 => self.to_bytes_as::<f32>(positions),
        }
    }

    /// Appends what [`Kv::to_bytes`] gave for `rows` positions; what is missing or
    /// too much of it is not written.
    pub(super) fn append_bytes(&mut self, rows: usize, bytes: &[u8]) {
        match self.dtype() {
            KvDtype::F16 => self.append_bytes_as::<u16>(rows, bytes),
            KvDtype::F32 => self.append_bytes_as::<f32>(rows, bytes),
        }
    }

    fn to_bytes_as<T: Stored>(&self, positions: Range<usize>) -> Vec<u8> {
        assert!(positions.end <= self.len());
        let (dim, width, start) = (self.dim(), self.heads() * self.dim(), positions.start);
        let rows = positions.len();
        let mut numbers = vec![T::default(); 2 * rows * width];
        let (all_keys, all_values) = numbers.split_at_mut(rows * width);
        for part in parts(positions) {
            let (first, slot) = (part.position - start, part.position % BLOCK);
            for head in 0..self.heads() {
                let (keys, values) = self.head::<T>(part.position / BLOCK, head);
                for i in 0..part.len {
                    let row = (first + i) * width + head * dim;
                    let to_keys = &mut all_keys[row..row + dim];
                    let to_values = &mut all_values[row..row + dim];
                    for d in 0..dim {
                        // SAFETY: `head` says that a head of the block is there, which these
                        // are places of; nobody writes while the cache is borrowed.
                        unsafe {
                            to_keys[d] = *keys.add(d * BLOCK + slot + i);
                            to_values[d] = *values.add(value_at(dim, d, slot + i));
                        }
                    }
                }
            }
        }
        // SAFETY: `Stored` types are numbers without padding.
        let bytes = unsafe {
            std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(&numbers[..]))
        };
        bytes.to_vec()
    }

    fn append_bytes_as<T: Stored>(&mut self, rows: usize, bytes: &[u8]) {
        let (dim, width, start) = (self.dim(), self.heads() * self.dim(), self.len());
        let mut numbers = vec![T::default(); 2 * rows * width];
        let count = bytes.len().min(size_of_val(&numbers[..]));
        // SAFETY: any bits are a `Stored` number; both sides have `count` bytes.
        unsafe {
            let to = numbers.as_mut_ptr().cast::<u8>();
            to.copy_from_nonoverlapping(bytes.as_ptr(), count);
        }
        let (all_keys, all_values) = numbers.split_at(rows * width);
        self.grow(rows);
        for part in parts(start..start + rows) {
            let (first, slot) = (part.position - start, part.position % BLOCK);
            for head in 0..self.heads() {
                let (keys, values) = self.head::<T>(part.position / BLOCK, head);
                let (keys, values) = (keys.cast_mut(), values.cast_mut());
                for i in 0..part.len {
                    let row = (first + i) * width + head * dim;
                    for d in 0..dim {
                        // SAFETY: as in `to_bytes_as`; `grow` made the blocks this
                        // sequence's alone, and it is borrowed mutably.
                        unsafe {
                            *keys.add(d * BLOCK + slot + i) = all_keys[row + d];
                            *values.add(value_at(dim, d, slot + i)) = all_values[row + d];
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slab::Slabs;
    use super::*;

    /// Any range, appended anywhere, with dimensions that fill no vector.
    #[test]
    fn bytes_come_back_as_they_were() {
        for dtype in [KvDtype::F16, KvDtype::F32] {
            for dim in [12, 16, 80, 128] {
                let new = || Kv::new(&Slabs::default(), dtype, 2, dim);
                let mut kv = new();
                assert!(kv.fill(200));
                for (first, cut) in [(0, 64), (0, 200), (0, 1), (0, 130)] {
                    let mut copy = new();
                    for range in [first..cut, cut..cut + 3, cut + 3..200] {
                        if range.end > 200 || range.is_empty() {
                            continue;
                        }
                        let bytes = kv.to_bytes(range.clone());
                        assert_eq!(bytes.len(), range.len() * 4 * dim * dtype.size());
                        copy.append_bytes(range.len(), &bytes);
                    }
                    assert!((0..copy.len()).all(|p| copy.position(p) == kv.position(p)));
                    assert!(copy.len() >= cut);
                }
            }
        }
    }

    #[test]
    fn a_fork_does_not_see_what_is_appended() {
        let mut kv = Kv::new(&Slabs::default(), KvDtype::F16, 1, 16);
        assert!(kv.fill(70));
        let fork = kv.clone();
        let before = fork.to_bytes(0..70);
        kv.truncate(65);
        kv.append_bytes(5, &before[..5 * 64]);
        assert_eq!(fork.to_bytes(0..70), before);
    }
}
