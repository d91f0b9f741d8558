//! Random numbers by position: the value at an index is a function of the
//! stream and the index alone, so any part can be made in any order.

/// One stream of numbers, for one tensor.
#[derive(Clone, Copy)]
pub struct Stream(u64);

impl Stream {
    /// The stream of the thing called `name` under `seed`.
    pub fn new(name: &str, seed: u64) -> Self {
        let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(fnv ^ mix(seed)))
    }

    /// 64 random bits (splitmix64 as a counter).
    pub fn bits(self, index: u64) -> u64 {
        mix(self
            .0
            .wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Uniform in -1..1.
    pub fn signed(self, index: u64) -> f32 {
        ((self.bits(index) >> 40) as f32) / 8_388_608.0 - 1.0
    }

    /// Uniform in `0..limit`; slightly uneven, which is no matter here.
    pub fn below(self, index: u64, limit: usize) -> usize {
        (self.bits(index) % limit as u64) as usize
    }
}

fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
