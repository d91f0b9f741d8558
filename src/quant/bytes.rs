//! A shared, read-only region of bytes. Weights stay in the mapping they were
//! opened from; a `Bytes` keeps that mapping alive and names a part of it.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// Memory that bytes lie in: a memory map, a `Vec<u8>`, embedded data.
pub trait Memory: AsRef<[u8]> + Send + Sync {
    /// All of this part will be read, soon and once.
    fn will_read(&self, _part: Range<usize>) {}

    /// This part will hardly be read again: what backs it need not stay in
    /// memory. Its content does not change.
    fn release(&self, _part: Range<usize>) {}
}

impl Memory for Vec<u8> {}
impl Memory for &'static [u8] {}

/// Keeps the bytes alive.
pub type Owner = Arc<dyn Memory>;

#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

impl Bytes {
    /// The part `range` of `owner`.
    ///
    /// # Panics
    /// If `range` does not lie within the owner's bytes: the caller validates.
    pub fn new(owner: Owner, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= (*owner).as_ref().len());
        Self { owner, range }
    }

    pub fn from_vec(data: Vec<u8>) -> Self {
        let range = 0..data.len();
        Self {
            owner: Arc::new(data),
            range,
        }
    }

    /// What the region is part of, with its place in it: a backend that maps
    /// whole files to a device wraps each owner once.
    pub fn owner(&self) -> (&Owner, Range<usize>) {
        (&self.owner, self.range.clone())
    }

    /// All of the region will be read, soon and once.
    pub fn will_read(&self) {
        self.owner.will_read(self.range.clone());
    }

    /// The region will hardly be read again.
    pub fn release(&self) {
        self.owner.release(self.range.clone());
    }

    /// The part `range` of this region.
    ///
    /// # Panics
    /// If `range` does not lie within this region.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.range.len());
        Self {
            owner: Arc::clone(&self.owner),
            range: self.range.start + range.start..self.range.start + range.end,
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({} bytes)", self.range.len())
    }
}
