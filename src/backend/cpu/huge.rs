//! Memory in huge pages: weights are read from end to end for every token, and
//! with pages of 4 KiB a good part of that time would go into finding them.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// Alignment of every region: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// Size of a huge page where it matters (x86-64, aarch64 with 4 KiB pages).
const HUGE: usize = 2 << 20;
/// Smallest mapping that an arena asks the system for.
const CHUNK: usize = 64 << 20;

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

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no region is left, as each
        // keeps the mapping alive.
        let _ = unsafe { rustix::mm::munmap(self.data.cast(), self.len) };
    }
}

/// Hands out regions, one after the other.
#[derive(Default)]
pub struct Arena {
    current: Mutex<Option<(Arc<Mapping>, usize)>>,
}

/// Bytes that were written once, at a multiple of 64.
#[derive(Clone)]
pub struct Region {
    mapping: Arc<Mapping>,
    range: Range<usize>,
}

impl Arena {
    /// A region of `len` bytes with what `fill` makes of its zeros; `None` if the
    /// system has no memory.
    pub fn filled(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Option<Region> {
        let (mapping, range) = self.reserve(len)?;
        // SAFETY: `reserve` hands out each range once, and the region that makes
        // it readable does not exist yet.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(mapping.data.add(range.start), range.len()) };
        fill(bytes);
        Some(Region { mapping, range })
    }

    fn reserve(&self, len: usize) -> Option<(Arc<Mapping>, Range<usize>)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mapping, used)) = &mut *current
            && mapping.len - *used >= len
        {
            let range = *used..*used + len;
            *used = range.end.next_multiple_of(ALIGN);
            return Some((Arc::clone(mapping), range));
        }
        let mapping = Arc::new(Mapping::new(len.max(CHUNK))?);
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
    fn regions_lie_apart_are_aligned_and_keep_their_bytes() {
        let arena = Arena::default();
        let sizes = [1, 63, 64, 65, 0, 4096, HUGE + 1, 3];
        let regions: Vec<Region> = (1..)
            .zip(sizes)
            .map(|(i, size)| {
                let fill = |out: &mut [u8]| {
                    assert!(out.iter().all(|byte| *byte == 0));
                    out.fill(i);
                };
                arena.filled(size, fill).expect("memory")
            })
            .collect();
        // What regions lie in outlives the arena.
        drop(arena);
        for ((i, size), region) in (1..).zip(sizes).zip(&regions) {
            assert!(region.as_ptr().addr().is_multiple_of(ALIGN));
            assert_eq!(region.len(), size);
            assert!(region.iter().all(|byte| *byte == i));
        }
    }

    #[test]
    fn threads_fill_regions_at_once_and_what_does_not_fit_gets_a_mapping() {
        let arena = Arena::default();
        let size = CHUNK / 3 + 1;
        std::thread::scope(|scope| {
            for i in 1..5u8 {
                let arena = &arena;
                scope.spawn(move || {
                    let region = arena.filled(size, |out| {
                        out[0] = i;
                        out[size - 1] = i;
                    });
                    let copy = region.expect("memory").clone();
                    assert_eq!((copy[0], copy[1], copy[size - 1]), (i, 0, i));
                });
            }
        });
    }

    #[test]
    fn what_the_system_does_not_have_is_not_given() {
        assert!(Arena::default().filled(usize::MAX / 2, |_| ()).is_none());
        assert!(Arena::default().filled(usize::MAX, |_| ()).is_none());
    }
}
