//! The sign vector of the MXTQ rotation: numpy's
//! `default_rng(seed).choice([-1, +1], n)`, written out so that the stream is
//! ours to keep: numpy does not promise it for ever.

/// `n` signs, each +1 or -1. A shorter vector of the same seed is a prefix of
/// a longer one.
pub fn signs(n: usize, seed: u64) -> Vec<f32> {
    let mut generator = Pcg64::new(seed);
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        // Two 32-bit draws from each word, low half first; the top bit decides.
        let word = generator.next();
        for bit in [31, 63] {
            if out.len() < n {
                out.push(if word >> bit & 1 == 1 { 1.0 } else { -1.0 });
            }
        }
    }
    out
}

/// numpy's `SeedSequence(seed).generate_state(4, uint64)`: a pool of four
/// words, mixed.
fn seed_sequence(seed: u64) -> [u64; 4] {
    let mut multiplier: u32 = 0x43b0_d7e5;
    let mut hash = |mut value: u32| {
        value ^= multiplier;
        multiplier = multiplier.wrapping_mul(0x931e_8875);
        value = value.wrapping_mul(multiplier);
        value ^ value >> 16
    };
    let mix = |x: u32, y: u32| {
        let r = 0xca01_f9dd_u32
            .wrapping_mul(x)
            .wrapping_sub(0x4973_f715_u32.wrapping_mul(y));
        r ^ r >> 16
    };

    // A 64-bit seed never fills more than two words of entropy.
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hash);
    for from in 0..4 {
        for to in 0..4 {
            if from != to {
                pool[to] = mix(pool[to], hash(pool[from]));
            }
        }
    }

    let mut multiplier: u32 = 0x8b51_f9dd;
    let mut words = [0u32; 8];
    for (k, word) in words.iter_mut().enumerate() {
        let mut value = pool[k % 4] ^ multiplier;
        multiplier = multiplier.wrapping_mul(0x58f3_8ded);
        value = value.wrapping_mul(multiplier);
        *word = value ^ value >> 16;
    }
    std::array::from_fn(|i| u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32)
}

/// PCG64 XSL-RR 128/64.
struct Pcg64 {
    state: u128,
    increment: u128,
}

impl Pcg64 {
    fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_sequence(seed);
        let start = u128::from(a) << 64 | u128::from(b);
        let sequence = u128::from(c) << 64 | u128::from(d);
        let mut generator = Self {
            state: 0,
            increment: sequence << 1 | 1,
        };
        generator.step();
        generator.state = generator.state.wrapping_add(start);
        generator.step();
        generator
    }

    fn step(&mut self) {
        self.state = self
            .state
            .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
            .wrapping_add(self.increment);
    }

    fn next(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_state_and_stream() {
        assert_eq!(
            seed_sequence(42),
            [
                0x9f1e_2e6d_cd54_0ab7,
                0xd578_73dc_79fb_94b6,
                0x7d28_2a1b_64d4_20b7,
                0x3365_7971_4692_d5ff
            ]
        );
        let mut generator = Pcg64::new(42);
        assert_eq!(generator.state, 0xcea4_4f67_9879_8f2a_acbc_7c9d_6886_0ac8);
        assert_eq!(
            generator.increment,
            0xfa50_5436_c9a8_416e_66ca_f2e2_8d25_abff
        );
        assert_eq!(generator.next(), 0xc621_fbcd_16d9_2688);
        assert_eq!(generator.next(), 0x705a_5661_a791_ffc1);
    }

    #[test]
    fn known_signs() {
        let bits = signs(64, 42)
            .iter()
            .enumerate()
            .fold(0u64, |bits, (i, &s)| bits | u64::from(s > 0.0) << i);
        assert_eq!(bits.to_le_bytes(), 0xa6fc_951b_b6a6_07bd_u64.to_be_bytes());
        for (n, sum) in [
            (128, 8.0),
            (256, -4.0),
            (1280, 40.0),
            (1536, 14.0),
            (2048, 6.0),
            (4096, -24.0),
        ] {
            assert_eq!(signs(n, 42).iter().sum::<f32>(), sum, "n = {n}");
        }
    }

    #[test]
    fn shorter_is_a_prefix() {
        let long = signs(33, 7);
        for n in 0..33 {
            assert_eq!(signs(n, 7), long[..n]);
        }
    }
}
