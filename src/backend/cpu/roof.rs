//! How fast this machine's memory can be read: the roof over any engine that
//! reads its weights once per token. A plain sum over a buffer much larger than
//! any cache, in huge pages, by the same number of threads that compute.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::huge::{Arena, Region};
use super::level::{Level, per_level};
use super::options::{CpuOptions, Instructions};
use super::pool::Pool;

/// Bytes that a thread claims at once, at least.
const PIECE: usize = 1 << 20;

/// How far ahead to prefetch, in bytes. Which is best depends on the machine, so
/// each is tried at the start; 0 leaves it to the hardware.
const DISTANCES: [usize; 3] = [4096, 1024, 0];

/// A buffer to read, and the threads that read it.
pub struct ReadRoof {
    pool: Pool,
    level: Level,
    buffer: Region,
    /// The best of [`DISTANCES`].
    ahead: usize,
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
        ahead: 0,
    };
    let mut best = 0.0;
    // The first pass finds out where the pages are.
    roof.pass(0);
    for ahead in DISTANCES {
        let speed = roof.pass(ahead).max(roof.pass(ahead));
        if speed > best {
            (best, roof.ahead) = (speed, ahead);
        }
    }
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
        self.pass(self.ahead).max(self.pass(self.ahead))
    }

    fn pass(&self, ahead: usize) -> f64 {
        let sum = AtomicU64::new(0);
        let start = Instant::now();
        self.pool.run(self.bytes() / PIECE, 1, |pieces| {
            let bytes = &self.buffer[pieces.start * PIECE..pieces.end * PIECE];
            let mut part = 0;
            read(self.level, bytes, ahead, &mut part);
            sum.fetch_xor(part, Ordering::Relaxed);
        });
        let seconds = start.elapsed().as_secs_f64();
        // What nobody looks at need not be read.
        std::hint::black_box(sum.into_inner());
        self.bytes() as f64 / seconds
    }
}

per_level! {
    fn read = read_body(bytes: &[u8], ahead: usize, sum: &mut u64)
}

/// Four independent sums of the widest vector.
#[inline(always)]
fn read_body(bytes: &[u8], ahead: usize, sum: &mut u64) {
    let mut sums = [[0u64; 8]; 4];
    for lines in bytes.as_chunks::<256>().0 {
        for (sums, line) in sums.iter_mut().zip(lines.as_chunks::<64>().0) {
            if ahead > 0 {
                prefetch(line, ahead);
            }
            for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
                *sum ^= u64::from_le_bytes(*word);
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
        let mut bytes = vec![0u8; 4 * 256];
        for i in 0..bytes.len() {
            bytes[i] = 1 << (i % 7);
            for level in Level::available() {
                let mut sum = 0;
                read(level, &bytes, 64, &mut sum);
                let want = bytes
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
                assert_eq!(sum, want);
                assert_ne!(sum, 0);
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
