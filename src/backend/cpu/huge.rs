//! Memory in huge pages: weights are read from end to end for every token, and
//! with pages of 4 KiB a good part of that time would go into finding them.

use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pool::Pool;

/// Alignment of every region: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// Size of a huge page where it matters (x86-64, aarch64 with 4 KiB pages).
const HUGE: usize = 2 << 20;
/// Largest mapping that an arena asks the system for ahead of need.
const CHUNK: usize = 32 << 20;

/// An anonymous mapping that asks for huge pages.
struct Mapping {
    data: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to this value alone; access goes through the
// disjoint regions that the arena hands out.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize) -> Option<Self> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
        let len = len.checked_next_multiple_of(HUGE)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new private mapping at an address of the system's choice
        // touches nobody's memory.
        let data = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }
        .ok()?;
        #[cfg(target_os = "linux")]
        // SAFETY: advice on this mapping only; it changes no content.
        let _ = unsafe { madvise(data, len, Advice::LinuxHugepage) };
        #[cfg(not(target_os = "linux"))]
        let _ = (madvise, Advice::Normal);
        Some(Self {
            data: data.cast(),
            len,
        })
    }
}

impl Mapping {
    /// Has the system clear all pages now, several at a time: threads that fill
    /// the same huge page would wait for one of them to do it.
    fn touch(&self, pool: &Pool) {
        struct Start(*mut u8);
        // SAFETY: threads write disjoint bytes.
        unsafe impl Sync for Start {}
        let start = Start(self.data);
        pool.each(self.len / HUGE, |page| {
            let start = &start;
            // SAFETY: within the mapping, which nobody else has seen yet.
            unsafe { start.0.add(page * HUGE).write_volatile(0) };
        });
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no region is left, as each
        // keeps the mapping alive.
        let _ = unsafe { rustix::mm::munmap(self.data.cast(), self.len) };
    }
}

/// Hands out regions, one after the other, as long as there is memory.
pub struct Arena {
    current: Mutex<Option<(Arc<Mapping>, usize)>>,
    /// Bytes that may still be mapped.
    budget: AtomicUsize,
    mapped: AtomicUsize,
    /// Bytes that were asked for in vain.
    refused: AtomicUsize,
}

/// Bytes that were written once, at a multiple of 64.
#[derive(Clone)]
pub struct Region {
    mapping: Arc<Mapping>,
    range: Range<usize>,
}

impl Arena {
    /// An arena that takes no more than `budget` bytes from the system.
    pub fn new(budget: usize) -> Self {
        Self {
            current: Mutex::new(None),
            budget: AtomicUsize::new(budget),
            mapped: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Bytes for which there was no memory.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// A region of `len` bytes with what `fill` makes of its zeros; `None` if the
    /// system has no memory.
    pub fn filled(&self, pool: &Pool, len: usize, fill: impl FnOnce(&mut [u8])) -> Option<Region> {
        let (mapping, range) = self.reserve(pool, len)?;
        // SAFETY: `reserve` hands out each range once, and the region that makes
        // it readable does not exist yet.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(mapping.data.add(range.start), range.len()) };
        fill(bytes);
        Some(Region { mapping, range })
    }

    /// A mapping, if the budget and the system allow.
    fn map(&self, len: usize) -> Option<Mapping> {
        let paid = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(len)
            });
        paid.ok()?;
        let mapping = Mapping::new(len)?;
        self.mapped.fetch_add(len, Ordering::Relaxed);
        Some(mapping)
    }

    fn reserve(&self, pool: &Pool, len: usize) -> Option<(Arc<Mapping>, Range<usize>)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mapping, used)) = &mut *current
            && mapping.len - *used >= len
        {
            let range = *used..*used + len;
            *used = range.end.next_multiple_of(ALIGN);
            return Some((Arc::clone(mapping), range));
        }
        // As much again as there is: little for a small model, few mappings for a
        // large one.
        let mapped = self.mapped.load(Ordering::Relaxed);
        let size = len.max(mapped.clamp(HUGE, CHUNK));
        let mapping = self.map(size).map(Arc::new);
        let Some(mapping) = mapping else {
            self.refused.fetch_add(len, Ordering::Relaxed);
            return None;
        };
        mapping.touch(pool);
        let used = len.next_multiple_of(ALIGN);
        *current = Some((Arc::clone(&mapping), used));
        Some((mapping, 0..len))
    }
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies within the mapping, which this region keeps
        // alive; nobody writes to it after `Arena::filled` returned.
        unsafe {
            std::slice::from_raw_parts(self.mapping.data.add(self.range.start), self.range.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_aligned_disjoint_and_outlive_the_arena() {
        let pool = Pool::new(2).expect("threads");
        let arena = Arena::new(usize::MAX);
        let regions: Vec<Region> = (0..40u8)
            .map(|i| {
                let len = usize::from(i) * 1_000_003 / 10;
                arena
                    .filled(&pool, len, |bytes| {
                        assert!(bytes.iter().all(|b| *b == 0));
                        bytes.fill(i);
                    })
                    .expect("memory")
            })
            .collect();
        drop(arena);
        for (i, region) in regions.iter().enumerate() {
            assert!(region.as_ptr().addr().is_multiple_of(ALIGN));
            assert!(region.iter().all(|b| usize::from(*b) == i));
        }
    }

    #[test]
    fn no_more_than_the_budget() {
        let pool = Pool::new(1).expect("threads");
        let arena = Arena::new(CHUNK);
        assert!(arena.filled(&pool, CHUNK / 2, |_| ()).is_some());
        assert!(arena.filled(&pool, CHUNK, |_| ()).is_none());
        assert!(arena.filled(&pool, CHUNK / 2, |_| ()).is_some());
        assert_eq!(arena.refused(), CHUNK);
    }
}
