//! Whether AMX may be used. Its registers are large, so Linux wants to be asked.

#[cfg(target_os = "linux")]
use std::sync::OnceLock;

/// Whether this processor multiplies int8 tiles, and the system lets it. The
/// first call asks the system; threads started before have the answer, too.
pub fn available() -> bool {
    #[cfg(target_os = "linux")]
    {
        static PERMITTED: OnceLock<bool> = OnceLock::new();
        *PERMITTED.get_or_init(|| has_int8_tiles() && permit())
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(target_os = "linux")]
fn has_int8_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    /// AMX-TILE and AMX-INT8 in EDX of leaf 7.
    const TILES: u32 = 1 << 24 | 1 << 25;
    /// The largest leaf is in EAX of leaf 0.
    const LEAF: u32 = 7;
    __cpuid(0).eax >= LEAF && __cpuid_count(LEAF, 0).edx & TILES == TILES
}

/// `arch_prctl(2)`: asks for the tile data among the extended state, then whether
/// it is granted.
#[cfg(target_os = "linux")]
fn permit() -> bool {
    const ARCH_GET_XCOMP_PERM: usize = 0x1022;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let mut granted = 0u64;
    // SAFETY: the first call takes a number, the second writes 64 bits to
    // `granted`.
    unsafe {
        arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0
            && arch_prctl(ARCH_GET_XCOMP_PERM, (&raw mut granted).expose_provenance()) == 0
            && granted >> XFEATURE_XTILEDATA & 1 == 1
    }
}

/// # Safety
/// `argument` is what the operation wants.
#[cfg(target_os = "linux")]
unsafe fn arch_prctl(operation: usize, argument: usize) -> isize {
    const ARCH_PRCTL: isize = 158;
    let result;
    // SAFETY: the system call changes these registers, and what the caller says.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") operation,
            in("rsi") argument,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}
