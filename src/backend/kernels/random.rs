//! Random numbers for test calls: a stream that depends on its seed alone.

use crate::backend::uniform;

pub struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// In `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        uniform(self.seed, self.drawn)
    }

    /// In `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.uniform() * (high - low + 1) as f64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }

    /// Roughly normal, with mean 0 and variance 1 (a sum of uniforms).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    pub fn normals(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.normal()).collect()
    }

    pub fn word(&mut self) -> u32 {
        (self.uniform() * 4_294_967_296.0) as u32
    }
}
