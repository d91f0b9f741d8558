//! How much memory this process holds by itself, apart from the files that it
//! maps: weights are used where they lie, so only the rest costs anything.

/// Bytes in memory that no file backs, where the system says.
#[cfg(target_os = "linux")]
pub fn own_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Bytes that macOS charges the process for, compressed ones too; clean pages of
/// mapped files are not among them. What a GPU was given is.
#[cfg(target_os = "macos")]
pub fn own_memory() -> Option<u64> {
    let pid = i32::try_from(std::process::id()).ok()?;
    let mut usage = std::mem::MaybeUninit::<libc::rusage_info_v0>::zeroed();
    // SAFETY: the flavour V0 makes the system fill one `rusage_info_v0`, which is
    // what the pointer leads to (the declared `rusage_info_t *` is a historical
    // misnomer: the argument is the structure's own address). All of its fields
    // are integers, so zeroed memory is a valid value of it.
    let usage = unsafe {
        if libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V0, usage.as_mut_ptr().cast()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    Some(usage.ri_phys_footprint)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn own_memory() -> Option<u64> {
    None
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    use super::own_memory;

    #[test]
    fn what_is_written_counts() {
        // Much more than other tests may free meanwhile.
        let before = own_memory().unwrap();
        let held = std::hint::black_box(vec![1u8; 256 << 20]);
        let after = own_memory().unwrap();
        assert_eq!(held[held.len() - 1], 1);
        assert!(after >= before + (128 << 20), "{before} {after}");
    }
}
