//! Which instruction set the portable kernels are compiled for. The same Rust
//! is compiled once per level and picked at run time; every level does the same
//! operations in the same order, so the bits do not depend on it.

/// Chosen once per process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// What the target guarantees.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    #[cfg(test)]
    pub(super) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other architectures have one level")]
        let mut levels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                levels.push(Self::Avx2);
            }
            if Self::detect() == Self::Avx512 {
                levels.push(Self::Avx512);
            }
        }
        levels
    }
}

/// Defines `fn $name($level, args...)` that runs `$body`, an `#[inline(always)]`
/// function, compiled for the given [`Level`].
macro_rules! per_level {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        $vis fn $name(level: $crate::backend::cpu::level::Level, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw")]
                fn avx512($($arg: $ty),*) {
                    $body($($arg),*)
                }
                match level {
                    // SAFETY: `Level::detect` saw the feature on this processor.
                    $crate::backend::cpu::level::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::backend::cpu::level::Level::Avx512 => {
                        // SAFETY: as above.
                        return unsafe { avx512($($arg),*) };
                    }
                    $crate::backend::cpu::level::Level::Baseline => {}
                }
            }
            let _ = level;
            $body($($arg),*)
        }
    };
}

pub(super) use per_level;
