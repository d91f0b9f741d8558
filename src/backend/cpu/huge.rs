//! Memory in huge pages: weights are read from end to end for every token, and
//! with pages of 4 KiB a good part of that time would go into finding them.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// Alignment of every region: a cache line, and the widest vector.
const ALIGN: usize = 64;
/// Size of a huge page where it matters (x86-64, aarch64 with 4 KiB pages).
pub(super) const HUGE: usize = 2 << 20;
/// Smallest mapping that an arena asks the system for.
const CHUNK: usize = 64 << 20;

/// An anonymous mapping of zeros that starts at a multiple of [`HUGE`] and asks
/// for huge pages.
pub(super) struct Mapping {
    data: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to this value alone; access goes through the
// disjoint regions that the arena hands out.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` is rounded up to huge pages. `None` if the system has no memory.
    pub(super) fn new(len: usize) -> Option<Self> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
        let len = len.checked_next_multiple_of(HUGE)?;
        // Wherever it comes to lie, a huge page starts within the first of them.
        let room = len.checked_add(HUGE)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new private mapping at an address of the system's choice
        // touches nobody's memory.
        let data = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                room,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }
        .ok()?;
        let head = data.addr().next_multiple_of(HUGE) - data.addr();
        // SAFETY: what lies before and after the huge pages is within the mapping
        // and nobody has seen it yet.
        let data = unsafe {
            let start = data.byte_add(head);
            if head > 0 {
                let _ = munmap(data, head);
            }
            if head < HUGE {
                let _ = munmap(start.byte_add(len), HUGE - head);
            }
            start
        };
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

    pub(super) fn data(&self) -> *mut u8 {
        self.data
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
