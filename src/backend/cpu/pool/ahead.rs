//! What threads do while there is nothing to do: between two regions one thread
//! prepares the next while the others wait. They fetch what they will read first
//! then, so that memory does not wait with them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::part_size;

/// Bytes that a thread fetches at most: a small part of its own cache.
const MOST: usize = 128 << 10;

/// Bytes that are asked for before a thread looks whether there is work again.
const STEP: usize = 1024;

const LINE: usize = 64;

/// Memory that a region will read, from end to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    pub address: usize,
    pub item_bytes: usize,
    /// As [`super::Pool::run`] will be told.
    pub len: usize,
    pub grain: usize,
}

/// The stream that is expected next.
#[derive(Default)]
pub(super) struct Ahead {
    version: AtomicU64,
    address: AtomicUsize,
    item_bytes: AtomicUsize,
    len: AtomicUsize,
    grain: AtomicUsize,
}

/// What one thread has yet to fetch.
#[derive(Default)]
pub(super) struct Fetch {
    version: u64,
    at: usize,
    end: usize,
}

impl Ahead {
    pub fn set(&self, stream: Stream) {
        self.address.store(stream.address, Ordering::Relaxed);
        self.item_bytes.store(stream.item_bytes, Ordering::Relaxed);
        self.len.store(stream.len, Ordering::Relaxed);
        self.grain.store(stream.grain, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// What the thread will most likely read that comes `place`-th of `count`.
    /// Read while it is being written this may be nonsense, which does no harm:
    /// fetching fails in silence, and there is never much of it.
    pub fn start(&self, place: usize, count: usize) -> Fetch {
        let version = self.version.load(Ordering::Acquire);
        let len = self.len.load(Ordering::Relaxed);
        let grain = self.grain.load(Ordering::Relaxed).max(1);
        let (mut first, mut size) = (0, 0);
        for _ in 0..=place {
            first += size;
            size = part_size(len.saturating_sub(first), count, grain);
        }
        let item_bytes = self.item_bytes.load(Ordering::Relaxed);
        let offset = first.wrapping_mul(item_bytes);
        let at = self.address.load(Ordering::Relaxed).wrapping_add(offset);
        let end = at.wrapping_add(size.wrapping_mul(item_bytes).min(MOST));
        Fetch { version, at, end }
    }

    /// Whether this was made for the stream that is expected now.
    pub fn is_current(&self, fetch: &Fetch) -> bool {
        self.version.load(Ordering::Relaxed) == fetch.version
    }
}

impl Fetch {
    /// Fetches a little; false if all has been fetched.
    pub fn step(&mut self) -> bool {
        if self.at >= self.end {
            return false;
        }
        for line in (self.at..self.end.min(self.at + STEP)).step_by(LINE) {
            fetch(line);
        }
        self.at += STEP;
        true
    }
}

#[cfg(target_arch = "x86_64")]
fn fetch(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program could see, and of an
    // address that is not mapped it does nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::without_provenance(address)) };
}

#[cfg(not(target_arch = "x86_64"))]
fn fetch(_: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fetch_where_they_will_start_and_not_too_much() {
        let ahead = Ahead::default();
        assert!(!ahead.start(0, 2).step());
        ahead.set(Stream {
            address: 1 << 20,
            item_bytes: 4096,
            len: 64,
            grain: 1,
        });
        let fetches: Vec<Fetch> = (0..3).map(|place| ahead.start(place, 3)).collect();
        assert_eq!(fetches[0].at, 1 << 20);
        for (place, fetch) in fetches.iter().enumerate() {
            let before: usize = (0..place)
                .scan(64, |left, _| {
                    let size = part_size(*left, 3, 1);
                    *left -= size;
                    Some(size)
                })
                .sum();
            assert_eq!(fetch.at, (1 << 20) + before * 4096);
            assert!(fetch.end - fetch.at <= MOST && ahead.is_current(fetch));
        }
        ahead.set(Stream::default());
        assert!(!ahead.is_current(&fetches[0]));
    }
}
