//! Which processors to compute on: one per physical core, of those that this
//! process may use, and no more than its cgroup grants it time for. The standard
//! library knows the grants (affinity, cgroup quotas of both versions); which
//! processors share a core is read here.

use std::sync::OnceLock;

/// The processors to compute on, one per core.
#[derive(Debug, PartialEq, Eq)]
pub struct Cores {
    /// How many; never 0.
    pub count: usize,
    /// Their numbers, where threads may be kept on them: not where the process
    /// has time for a part of its cores only, as all processes under such a
    /// quota would then crowd on the first ones.
    pub pinned: Option<Vec<usize>>,
}

/// As they were when this was first asked: a thread that has been pinned since
/// would know of one only.
pub fn usable_cores() -> &'static Cores {
    static CORES: OnceLock<Cores> = OnceLock::new();
    CORES.get_or_init(find_cores)
}

fn find_cores() -> Cores {
    let limit = std::thread::available_parallelism().map_or(1, usize::from);
    system::allowed().map_or(
        Cores {
            count: limit,
            pinned: None,
        },
        |allowed| system::choose(&allowed, limit, std::path::Path::new(system::ROOT)),
    )
}

pub use system::pin_to;

#[cfg(target_os = "linux")]
mod system {
    use std::collections::BTreeSet;
    use std::path::Path;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::Cores;

    /// Where the system describes its processors.
    pub const ROOT: &str = "/sys/devices/system/cpu";

    /// The processors in this thread's affinity mask.
    pub fn allowed() -> Option<Vec<usize>> {
        let set = sched_getaffinity(None).ok()?;
        Some(
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| set.is_set(cpu))
                .collect(),
        )
    }

    /// The first of `allowed` on each core, as `root` describes them, of which
    /// `limit` may compute at a time.
    pub fn choose(allowed: &[usize], limit: usize, root: &Path) -> Cores {
        let mut seen = BTreeSet::new();
        let mut cores = Vec::new();
        for &cpu in allowed {
            let path = root.join(format!("cpu{cpu}/topology/thread_siblings_list"));
            // Without it every processor counts as a core.
            let siblings = std::fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string());
            if seen.insert(siblings.trim().to_owned()) {
                cores.push(cpu);
            }
        }
        Cores {
            count: cores.len().min(limit).max(1),
            pinned: (!cores.is_empty() && cores.len() <= limit).then_some(cores),
        }
    }

    /// Keeps the calling thread on one processor, where the system allows it.
    pub fn pin_to(cpu: usize) {
        let mut set = CpuSet::new();
        set.set(cpu);
        // Where it is not allowed the scheduler decides, as it always did.
        let _ = sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::Path;

    use super::Cores;

    pub const ROOT: &str = "";

    pub fn allowed() -> Option<Vec<usize>> {
        None
    }

    pub fn choose(_: &[usize], limit: usize, _: &Path) -> Cores {
        Cores {
            count: limit,
            pinned: None,
        }
    }

    pub fn pin_to(_: usize) {}
}

#[cfg(test)]
mod tests {
    use super::usable_cores;

    #[test]
    fn there_is_a_core_and_none_twice() {
        let cores = usable_cores();
        assert!(cores.count > 0);
        if let Some(pinned) = &cores.pinned {
            let distinct: std::collections::BTreeSet<_> = pinned.iter().collect();
            assert_eq!(distinct.len(), cores.count);
        }
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use super::super::Cores;
        use super::super::system::choose;

        /// A machine's processors by the lists of those that share their core.
        fn machine(siblings: &[&str]) -> tempfile::TempDir {
            let root = tempfile::tempdir().expect("folder");
            for (cpu, list) in siblings.iter().enumerate() {
                let folder = root.path().join(format!("cpu{cpu}/topology"));
                std::fs::create_dir_all(&folder).expect("folder");
                let text = format!("{list}\n");
                std::fs::write(folder.join("thread_siblings_list"), text).expect("file");
            }
            root
        }

        fn cores(count: usize, pinned: Option<&[usize]>) -> Cores {
            Cores {
                count,
                pinned: pinned.map(<[usize]>::to_vec),
            }
        }

        #[test]
        fn threads_of_a_core_count_once() {
            let neighbours = machine(&["0-1", "0-1", "2-3", "2-3"]);
            let root = neighbours.path();
            assert_eq!(choose(&[0, 1, 2, 3], 4, root), cores(2, Some(&[0, 2])));
            // The first of a core may be out of reach.
            assert_eq!(choose(&[1, 2, 3], 3, root), cores(2, Some(&[1, 2])));
            let apart = machine(&["0,2", "1,3", "0,2", "1,3"]);
            let all = choose(&[0, 1, 2, 3], 4, apart.path());
            assert_eq!(all, cores(2, Some(&[0, 1])));
        }

        #[test]
        fn a_quota_below_the_cores_leaves_the_choice_to_the_system() {
            let machine = machine(&["0", "1", "2", "3"]);
            let root = machine.path();
            assert_eq!(choose(&[0, 1, 2, 3], 3, root), cores(3, None));
            assert_eq!(choose(&[0, 1, 2, 3], 1, root), cores(1, None));
            assert_eq!(choose(&[2], 1, root), cores(1, Some(&[2])));
        }

        #[test]
        fn without_a_description_each_processor_is_a_core() {
            let empty = tempfile::tempdir().expect("folder");
            let all = choose(&[4, 7], 2, empty.path());
            assert_eq!(all, cores(2, Some(&[4, 7])));
            assert_eq!(choose(&[], 2, empty.path()), cores(1, None));
        }
    }
}
