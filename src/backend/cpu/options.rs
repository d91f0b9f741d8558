//! What can be chosen about the CPU backend.

use std::sync::atomic::{AtomicU8, Ordering};

/// How to compute. The default is the fastest that the machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// 0 takes one thread per physical core that the process may use.
    pub threads: usize,
    pub precision: Precision,
    /// The most that may be used of what the processor has; `None` for all.
    pub instructions: Option<Instructions>,
    pub head: HeadMode,
}

/// How products with weights are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In f32, from what is stored: for comparing with other implementations.
    F32,
    /// With integer activations where the weights are codes.
    #[default]
    Fast,
}

/// A level of vector instructions; each includes those before it that its
/// architecture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What the compiler's target guarantees.
    Portable,
    /// aarch64 with dot products.
    Neon,
    Avx2,
    /// With VNNI and VBMI.
    Avx512,
    /// AVX-512 and AMX with int8 tiles.
    Amx,
}

impl std::fmt::Display for Instructions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable code",
            Self::Neon => "NEON",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Amx => "AVX-512 and AMX",
        })
    }
}

/// How the logits of a step are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadMode {
    /// Estimate all, compute exactly those that can matter.
    #[default]
    Screened,
    /// Compute all.
    Full,
    /// Screen, compute all as well, and count what the screen missed.
    Audit,
}

/// A [`HeadMode`] that can be changed while others use it.
#[derive(Debug)]
pub(super) struct HeadSwitch(AtomicU8);

impl HeadSwitch {
    pub fn new(mode: HeadMode) -> Self {
        Self(AtomicU8::new(mode as u8))
    }

    pub fn set(&self, mode: HeadMode) {
        self.0.store(mode as u8, Ordering::Relaxed);
    }

    pub fn get(&self) -> HeadMode {
        let modes = [HeadMode::Screened, HeadMode::Full, HeadMode::Audit];
        let stored = self.0.load(Ordering::Relaxed);
        modes
            .into_iter()
            .find(|&mode| mode as u8 == stored)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_holds_every_mode() {
        for mode in [HeadMode::Screened, HeadMode::Full, HeadMode::Audit] {
            let switch = HeadSwitch::new(HeadMode::Full);
            switch.set(mode);
            assert_eq!(switch.get(), mode);
            assert_eq!(HeadSwitch::new(mode).get(), mode);
        }
    }
}
