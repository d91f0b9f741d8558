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

/// Bytes that this process could still take without others being pushed out of
/// memory, where the system says: what is free or could be, and no more than its
/// control group has left.
#[cfg(target_os = "linux")]
pub fn available_memory() -> Option<u64> {
    let system = field(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable:",
    )?;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let group = control_group(
        read("/sys/fs/cgroup/memory.max").or_else(|| read(V1_LIMIT)),
        read("/sys/fs/cgroup/memory.stat").or_else(|| read(V1_STAT)),
    );
    Some(group.map_or(system, |group| group.min(system)))
}

#[cfg(not(target_os = "linux"))]
pub fn available_memory() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
const V1_LIMIT: &str = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
#[cfg(target_os = "linux")]
const V1_STAT: &str = "/sys/fs/cgroup/memory/memory.stat";

/// What a control group has left: pages of files give way, anonymous ones don't.
#[cfg(target_os = "linux")]
fn control_group(limit: Option<String>, stat: Option<String>) -> Option<u64> {
    // "max" is no number, and no limit.
    let limit: u64 = limit?.trim().parse().ok()?;
    let stat = stat?;
    let used = ["anon ", "total_rss "].iter().find_map(|key| {
        let line = stat.lines().find_map(|l| l.strip_prefix(key))?;
        line.trim().parse::<u64>().ok()
    })?;
    Some(limit.saturating_sub(used))
}

/// A field of /proc/meminfo, in bytes.
#[cfg(target_os = "linux")]
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_control_group_leaves_what_its_limit_leaves() {
        let left = |limit: &str, stat: &str| control_group(Some(limit.into()), Some(stat.into()));
        assert_eq!(left("max\n", "anon 5\n"), None);
        assert_eq!(left("1000\n", "file 700\nanon 400\n"), Some(600));
        assert_eq!(left("1000\n", "rss 1\ntotal_rss 1400\n"), Some(0));
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }

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
