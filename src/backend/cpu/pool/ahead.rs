//! What threads do while there is nothing to do: between two regions one thread
//! prepares the next while the others wait. They fetch what they will read first
//! then, so that memory does not wait with them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::part_size;

/// Bytes that a thread fetches at most: a part of its own cache.
const MOST: usize = 512 << 10;

/// Lines that are asked for before a thread looks whether there is work again.
const STEP: usize = 16;

/// Places at which a thread's part is read at the same time, at equal distances.
const PLACES: usize = 4;

const LINE: usize = 64;

/// Memory that a region will read, from end to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    pub address: usize,
    /// The same items of something else, read together with these.
    pub beside: Option<usize>,
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
    /// 0 for none.
    beside: AtomicUsize,
    item_bytes: AtomicUsize,
    len: AtomicUsize,
    grain: AtomicUsize,
}

/// What one thread has yet to fetch.
#[derive(Default)]
pub(super) struct Fetch {
    version: u64,
    places: [usize; PLACES],
    /// Bytes that were fetched at each place, and how many are to be.
    at: usize,
    end: usize,
}

impl Ahead {
    pub fn set(&self, stream: Stream) {
        self.address.store(stream.address, Ordering::Relaxed);
        let beside = stream.beside.unwrap_or(0);
        self.beside.store(beside, Ordering::Relaxed);
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
        let address = self.address.load(Ordering::Relaxed);
        let bases = match self.beside.load(Ordering::Relaxed) {
            0 => [address; PLACES],
            // Half of the places each.
            beside => [address, address, beside, beside],
        };
        let shares = if bases[0] == bases[PLACES - 1] {
            PLACES
        } else {
            PLACES / 2
        };
        let share = size / shares;
        let places = std::array::from_fn(|p| {
            let item = first + p % shares * share;
            bases[p].wrapping_add(item.wrapping_mul(item_bytes))
        });
        let end = share.wrapping_mul(item_bytes).min(MOST / PLACES);
        Fetch {
            version,
            places,
            at: 0,
            end,
        }
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
        for line in 0..STEP / PLACES {
            for place in self.places {
                fetch(place.wrapping_add(self.at + line * LINE));
            }
        }
        self.at += STEP / PLACES * LINE;
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
        let mut stream = Stream {
            address: 1 << 20,
            beside: None,
            item_bytes: 4096,
            len: 64,
            grain: 1,
        };
        ahead.set(stream);
        let fetches: Vec<Fetch> = (0..3).map(|place| ahead.start(place, 3)).collect();
        let mut before = 0;
        for fetch in &fetches {
            let size = part_size(64 - before, 3, 1);
            let places: [usize; 4] =
                std::array::from_fn(|p| (1 << 20) + (before + p * (size / 4)) * 4096);
            assert_eq!(fetch.places, places);
            assert_eq!(fetch.end, (size / 4 * 4096).min(MOST / 4));
            assert!(ahead.is_current(fetch));
            before += size;
        }
        stream.beside = Some(1 << 30);
        ahead.set(stream);
        assert!(!ahead.is_current(&fetches[0]));
        let half = part_size(64, 3, 1) / 2 * 4096;
        let places = [1 << 20, (1 << 20) + half, 1 << 30, (1 << 30) + half];
        assert_eq!(ahead.start(0, 3).places, places);
    }
}
