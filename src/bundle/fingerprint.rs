//! A name for exactly these weights, configuration and tokenizer. Hashing all
//! of a large bundle would take longer than opening it, so weight files count
//! with their headers, their lengths and samples from all over their data. It
//! tells bundles apart; it is no protection against forgery.

use super::index::Index;

/// Samples per weight file, and bytes per sample.
const SAMPLES: usize = 64;
const SAMPLE: usize = 4096;

/// `files`: the small files that count, in a fixed order; absent ones too.
pub(super) fn compute(index: &Index, files: &[Option<&[u8]>]) -> String {
    let mut hash = Hash::new();
    for file in &index.files {
        let (header, data) = file.bytes.split_at(file.header);
        hash.add(header);
        hash.add(&(data.len() as u64).to_le_bytes());
        let step = (data.len() / SAMPLES).max(SAMPLE);
        let mut at = 0;
        while at < data.len() {
            hash.add(&data[at..data.len().min(at + SAMPLE)]);
            at += step;
        }
    }
    for file in files {
        hash.add(&[u8::from(file.is_some())]);
        hash.add(file.unwrap_or_default());
    }
    hash.finish()
}

/// Two independent lanes of multiply and rotate over 64-bit words.
struct Hash([u64; 2]);

const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

impl Hash {
    fn new() -> Self {
        Self([0x2545_f491_4f6c_dd1d, 0xd6e8_feb8_6659_fd93])
    }

    fn word(&mut self, word: u64) {
        for (lane, odd) in self.0.iter_mut().zip(ODD) {
            *lane = (*lane ^ word).wrapping_mul(odd);
            *lane ^= lane.rotate_right(29);
        }
    }

    /// Adds `data` and its length, so that the borders between pieces count.
    fn add(&mut self, data: &[u8]) {
        let (words, tail) = data.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        self.word(u64::from_le_bytes(last));
        self.word(data.len() as u64);
    }

    fn finish(mut self) -> String {
        for _ in 0..4 {
            let [a, b] = self.0;
            self.word(a ^ b.rotate_left(32));
        }
        format!("{:016x}{:016x}", self.0[0], self.0[1])
    }
}
