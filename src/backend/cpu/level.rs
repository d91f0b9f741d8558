//! Which instruction set the portable kernels are compiled for. The same Rust
//! is compiled once per level and picked at run time; every level does the same
//! operations in the same order, so the bits do not depend on it.

use super::options::Instructions;

/// Chosen once per backend.
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
    /// The best that this processor has and `limit` allows.
    pub(super) fn detect(limit: Instructions) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if limit >= Instructions::Avx512 && has_avx512() {
                return Self::Avx512;
            }
            if limit >= Instructions::Avx2 && has_avx2() {
                return Self::Avx2;
            }
        }
        let _ = limit;
        Self::Baseline
    }

    /// Whether tiles of int8 may be multiplied beside this level's vectors.
    pub(super) fn has_amx(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::panels::amx_available(),
            _ => false,
        }
    }

    /// What this level is to the user.
    pub(super) fn instructions(self) -> Instructions {
        match self {
            Self::Baseline => Instructions::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Instructions::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Instructions::Avx512,
        }
    }

    #[cfg(test)]
    pub(super) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other architectures have one level")]
        let mut levels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx2() {
                levels.push(Self::Avx2);
            }
            if has_avx512() {
                levels.push(Self::Avx512);
            }
        }
        levels
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// All of what the AVX-512 kernels use.
#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vbmi")
}

/// Defines `fn $name($level, args...)` that runs `$body`, an `#[inline(always)]`
/// function, compiled for the given [`Level`].
macro_rules! per_level {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        $vis fn $name(level: $crate::backend::cpu::level::Level, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $ty),*) {
                    $body($($arg),*)
                }
                #[target_feature(
                    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma,f16c"
                )]
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
