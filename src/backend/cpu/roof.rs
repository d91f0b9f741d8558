//! How fast this machine's memory can be read: the roof over any engine that
//! reads its weights once per token. A plain sum over a buffer much larger than
//! any cache, in huge pages, by the same number of threads that compute, in the
//! manner that is fastest here.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::huge::{Arena, Region};
use super::level::{Level, per_level};
use super::options::{CpuOptions, Instructions};
use super::pool::Pool;

/// Bytes that a thread claims at once, at least.
const PIECE: usize = 1 << 20;

/// How a thread goes through a piece: in how many places at a time, and how far
/// ahead it prefetches in each, in bytes (0 leaves it to the hardware). Which is
/// best depends on the machine, so each is tried at the start.
#[derive(Clone, Copy)]
struct Manner {
    places: usize,
    ahead: usize,
}

const MANNERS: [Manner; 8] = [
    Manner::of(1, 0),
    Manner::of(1, 4096),
    Manner::of(2, 0),
    Manner::of(2, 4096),
    Manner::of(4, 0),
    Manner::of(4, 4096),
    Manner::of(8, 0),
    Manner::of(8, 4096),
];

impl Manner {
    const fn of(places: usize, ahead: usize) -> Self {
        Self { places, ahead }
    }
}

/// A buffer to read, and the threads that read it.
pub struct ReadRoof {
    pool: Pool,
    level: Level,
    buffer: Region,
    /// The best of [`MANNERS`].
    manner: Manner,
}

/// A roof over `bytes` of memory, which stay allocated while it lives, for as
/// many threads as these options mean.
///
/// # Errors
/// If the threads or the memory can't be had.
pub fn read_roof(options: &CpuOptions, bytes: usize) -> io::Result<ReadRoof> {
    let pool = Pool::new(options.threads)?;
    let bytes = bytes.max(PIECE) / PIECE * PIECE;
    // Written from end to end: a page that nobody wrote is the one page of zeros.
    let buffer = Arena::new(usize::MAX)
        .filled(&pool, bytes, |buffer| buffer.fill(0x5a))
        .ok_or(io::ErrorKind::OutOfMemory)?;
    let mut roof = ReadRoof {
        pool,
        level: Level::detect(options.instructions.unwrap_or(Instructions::Amx)),
        buffer,
        manner: MANNERS[0],
    };
    // The first pass finds out where the pages are.
    roof.pass(MANNERS[0]);
    let mut best = [0.0; MANNERS.len()];
    for _ in 0..3 {
        for (best, manner) in best.iter_mut().zip(MANNERS) {
            *best = roof.pass(manner).max(*best);
        }
    }
    let fastest = (0..MANNERS.len()).max_by(|&a, &b| f64::total_cmp(&best[a], &best[b]));
    roof.manner = MANNERS[fastest.unwrap_or(0)];
    Ok(roof)
}

impl ReadRoof {
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Bytes per second of the faster of two passes over the buffer.
    pub fn measure(&self) -> f64 {
        self.pass(self.manner).max(self.pass(self.manner))
    }

    fn pass(&self, manner: Manner) -> f64 {
        let sum = AtomicU64::new(0);
        let start = Instant::now();
        self.pool.run(self.bytes() / PIECE, 1, |pieces| {
            for piece in pieces {
                let bytes = &self.buffer[piece * PIECE..(piece + 1) * PIECE];
                let mut part = 0;
                read(self.level, bytes, manner, &mut part);
                sum.fetch_xor(part, Ordering::Relaxed);
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        // What nobody looks at need not be read.
        std::hint::black_box(sum.into_inner());
        self.bytes() as f64 / seconds
    }
}

per_level! {
    fn read = read_body(bytes: &[u8], manner: Manner, sum: &mut u64)
}

#[inline(always)]
fn read_body(bytes: &[u8], manner: Manner, sum: &mut u64) {
    match manner.places {
        1 => read_places::<1>(bytes, manner.ahead, sum),
        2 => read_places::<2>(bytes, manner.ahead, sum),
        4 => read_places::<4>(bytes, manner.ahead, sum),
        _ => read_places::<8>(bytes, manner.ahead, sum),
    }
}

/// Two independent sums of the widest vector; `N` parts of the bytes side by side.
#[inline(always)]
fn read_places<const N: usize>(bytes: &[u8], ahead: usize, sum: &mut u64) {
    let mut sums = [[0u64; 8]; 2];
    let part = bytes.len() / N;
    let mut parts: [&[[u8; 64]]; N] =
        std::array::from_fn(|n| bytes[n * part..(n + 1) * part].as_chunks().0);
    let steps = part / 128;
    for _ in 0..steps {
        for part in &mut parts {
            let (lines, rest) = part.split_at(2);
            *part = rest;
            for (sums, line) in sums.iter_mut().zip(lines) {
                if ahead > 0 {
                    prefetch(line, ahead);
                }
                for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
                    *sum ^= u64::from_le_bytes(*word);
                }
            }
        }
    }
    *sum = sums.iter().flatten().fold(0, |all, sum| all ^ sum);
}

/// Asks for the line `ahead` bytes behind this one; it need not exist.
#[inline(always)]
fn prefetch(line: &[u8; 64], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = line.as_ptr().wrapping_add(ahead);
        // SAFETY: a hint, which never faults; x86-64 has it always.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (line, ahead);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_at_every_level() {
        let mut bytes = vec![0u8; 8 * 256];
        for i in 0..bytes.len() {
            bytes[i] = 1 << (i % 7);
            let want = bytes
                .as_chunks::<8>()
                .0
                .iter()
                .fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
            assert_ne!(want, 0);
            for level in Level::available() {
                for manner in MANNERS {
                    let mut sum = 0;
                    read(level, &bytes, manner, &mut sum);
                    assert_eq!(sum, want);
                }
            }
            bytes[i] = 0;
        }
    }

    #[test]
    fn memory_has_a_speed() {
        let options = CpuOptions {
            threads: 2,
            ..CpuOptions::default()
        };
        let roof = read_roof(&options, 32 << 20).expect("memory");
        assert_eq!((roof.bytes(), roof.threads()), (32 << 20, 2));
        assert!(roof.measure() > 1e8);
    }
}
