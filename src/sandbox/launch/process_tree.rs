//! Ending everything that a command started. Its process group is killed
//! everywhere; on Linux also what left the group: processes of its session,
//! descendants, and daemons that made their own session, which are known by a
//! variable in the environment that they inherited. (A daemon that also clears
//! its environment needs a process namespace to be caught.)

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};

/// The variable whose value names one run of one command.
pub(super) const MARKER: &str = "CAIRN_COMMAND";

static COUNTER: AtomicU64 = AtomicU64::new(0);

pub(super) struct ProcessTree {
    /// Leader of the session and of the process group.
    leader: Pid,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only /proc shows it")
    )]
    marker: String,
}

impl ProcessTree {
    /// `leader` must not be reaped while this value is used.
    pub(super) fn new(leader: Pid, marker: String) -> ProcessTree {
        ProcessTree { leader, marker }
    }

    /// A value for `MARKER` that no other run has.
    pub(super) fn new_marker() -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("{}.{count}.{}", std::process::id(), now.as_nanos())
    }

    pub(super) fn leader(&self) -> Pid {
        self.leader
    }

    /// Kills all of it. An empty group is no error: that is the usual case.
    pub(super) fn kill(&self) {
        #[cfg(target_os = "linux")]
        {
            // First those outside the group, while the links between parents and
            // children still stand; again until none is left, for they may fork.
            for _ in 0..50 {
                let strays = linux::kill_members(self.leader, &self.marker);
                let _ = kill_process_group(self.leader, Signal::KILL);
                if strays == 0 {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = kill_process_group(self.leader, Signal::KILL);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;

    use rustix::process::{Pid, Signal};

    use super::super::descendants::{and_descendants, send};
    use crate::sandbox::linux::processes::Process;

    /// Kills every living process that belongs to the command; says how many.
    pub(super) fn kill_members(leader: Pid, marker: &str) -> usize {
        let leader = leader.as_raw_pid().unsigned_abs();
        let mut processes = Process::all();
        processes.retain(|process| !process.ended);
        let wanted = format!("{}={marker}", super::MARKER);
        let mut members: HashSet<u32> = processes
            .iter()
            .filter(|p| p.id == leader || p.session == leader || has_variable(p.id, &wanted))
            .map(|p| p.id)
            .collect();
        members.insert(leader);
        let members = and_descendants(members, &processes);
        processes
            .iter()
            .filter(|p| members.contains(&p.id) && send(p, Signal::KILL))
            .count()
    }

    fn has_variable(pid: u32, wanted: &str) -> bool {
        std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|b| *b == 0)
                .any(|variable| variable == wanted.as_bytes())
        })
    }
}
