//! Which processors to compute on: one per physical core, of those that this
//! process may use, and no more than its cgroup grants it time for.

use std::sync::OnceLock;

/// Numbers of the processors to compute on, one per core; never empty. As they
/// were when this was first asked: a thread that has been pinned since would
/// know of one only.
pub fn usable_cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(find_cores)
}

fn find_cores() -> Vec<usize> {
    let limit = std::thread::available_parallelism().map_or(1, usize::from);
    let mut cores = physical_cores().unwrap_or_else(|| (0..limit).collect());
    cores.truncate(limit);
    if cores.is_empty() {
        cores.push(0);
    }
    cores
}

/// The first processor of each core in this thread's affinity mask.
#[cfg(target_os = "linux")]
fn physical_cores() -> Option<Vec<usize>> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).ok()?;
    let mut seen = std::collections::BTreeSet::new();
    let mut cores = Vec::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)) {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        // Without it every processor counts as a core.
        let siblings = std::fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string());
        if seen.insert(siblings.trim().to_owned()) {
            cores.push(cpu);
        }
    }
    Some(cores)
}

#[cfg(not(target_os = "linux"))]
fn physical_cores() -> Option<Vec<usize>> {
    None
}

/// Keeps the calling thread on one processor, where the system allows it.
#[cfg(target_os = "linux")]
pub(super) fn pin_to(cpu: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(cpu);
    // Where it is not allowed the scheduler decides, as it always did.
    let _ = sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin_to(_: usize) {}

#[cfg(test)]
mod tests {
    use super::{find_cores, usable_cores};

    #[test]
    fn there_is_a_core_and_none_twice() {
        let cores = find_cores();
        let distinct: std::collections::BTreeSet<_> = cores.iter().collect();
        assert!(!cores.is_empty());
        assert_eq!(cores, usable_cores());
        assert_eq!(distinct.len(), cores.len());
    }
}
