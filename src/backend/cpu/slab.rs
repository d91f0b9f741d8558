//! Memory for keys and values: pieces of one size cut from slabs of huge pages,
//! which all layers and sequences share. A sequence so grows by pieces of some
//! 64 KB, while its memory is still found through few entries of the page table.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::huge::{HUGE, Mapping};

/// Hands out pieces. Clones are the same allocator.
#[derive(Clone, Default)]
pub(super) struct Slabs(Arc<Mutex<Shelves>>);

#[derive(Default)]
struct Shelves {
    /// By address.
    slabs: BTreeMap<usize, Slab>,
    /// The slab that the last piece came from.
    last: usize,
}

struct Slab {
    mapping: Mapping,
    /// Bytes of a piece.
    size: usize,
    pieces: usize,
    /// Offsets of the pieces that nobody has.
    free: Vec<usize>,
}

/// Bytes of its own, at a multiple of 64; it goes back to its slab when dropped.
pub(super) struct Piece {
    slabs: Slabs,
    slab: usize,
    data: *mut u8,
    len: usize,
}

// SAFETY: the bytes are this value's alone, and its slab stays mapped as long as
// one of its pieces is out.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

impl Slabs {
    /// A piece of `len` bytes of any content. Ends the process where the system has
    /// no memory, as any other allocation does.
    pub fn piece(&self, len: usize) -> Piece {
        let size = len.max(1).next_multiple_of(64);
        let (slab, data) = self.shelves().take(size).unwrap_or_else(|| {
            handle_alloc_error(Layout::from_size_align(size, 64).unwrap_or(Layout::new::<u8>()))
        });
        let mut piece = Piece {
            slabs: self.clone(),
            slab,
            data,
            len,
        };
        if cfg!(test) {
            // No number: nobody may depend on what was there.
            piece.fill(0xff);
        }
        piece
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    /// The address of a slab and of a piece of `size` bytes in it.
    fn take(&mut self, size: usize) -> Option<(usize, *mut u8)> {
        let fits = |slab: &Slab| slab.size == size && !slab.free.is_empty();
        if !self.slabs.get(&self.last).is_some_and(fits) {
            let found = self.slabs.iter().find(|(_, slab)| fits(slab));
            self.last = match found {
                Some((&address, _)) => address,
                None => self.add(size)?,
            };
        }
        let slab = self.slabs.get_mut(&self.last)?;
        let offset = slab.free.pop()?;
        Some((self.last, slab.mapping.data().wrapping_add(offset)))
    }

    fn add(&mut self, size: usize) -> Option<usize> {
        let len = size.checked_next_multiple_of(HUGE)?;
        let mapping = Mapping::new(len)?;
        let address = mapping.data().addr();
        let pieces = len / size;
        let slab = Slab {
            mapping,
            size,
            pieces,
            // The last one is taken first.
            free: (0..pieces).rev().map(|i| i * size).collect(),
        };
        self.slabs.insert(address, slab);
        Some(address)
    }

    /// Takes a piece back; a slab that is whole again goes back to the system.
    fn put(&mut self, address: usize, data: *mut u8) {
        let Some(slab) = self.slabs.get_mut(&address) else {
            return;
        };
        slab.free.push(data.addr() - address);
        if slab.free.len() == slab.pieces {
            self.slabs.remove(&address);
        }
    }
}

impl Piece {
    /// The bytes and how many, for those who write and read different ones of them
    /// at a time.
    pub fn raw(&self) -> (*mut u8, usize) {
        (self.data, self.len)
    }
}

impl Clone for Piece {
    fn clone(&self) -> Self {
        let mut copy = self.slabs.piece(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.slabs.shelves().put(self.slab, self.data);
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes of a mapped slab that are this value's alone.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl DerefMut for Piece {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_apart_and_given_back() {
        let slabs = Slabs::default();
        let count = || slabs.shelves().slabs.len();
        let sizes = [64 << 10, 1000, 3 << 20];
        let mut pieces: Vec<Piece> = (0..90).map(|i| slabs.piece(sizes[i % 3])).collect();
        for (i, piece) in pieces.iter_mut().enumerate() {
            assert!(piece.data.addr() % 64 == 0);
            piece.fill(i as u8 + 1);
        }
        for (i, piece) in pieces.iter().enumerate() {
            assert!(piece.iter().all(|&byte| byte == i as u8 + 1));
        }
        // 30 of 64 KB fit one slab, 30 of 1000 bytes another; big ones have their own.
        assert_eq!(count(), 32);
        let copy = pieces[0].clone();
        pieces.truncate(1);
        assert_eq!(count(), 1);
        drop(pieces);
        assert!(copy.iter().all(|&byte| byte == 1));
        drop(copy);
        assert_eq!(count(), 0);
    }
}
