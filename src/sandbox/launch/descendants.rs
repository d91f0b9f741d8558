//! Who descends from whom, and signals to processes that reach nobody who only got
//! the same number.

use std::collections::HashSet;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::sandbox::linux::processes::Process;

/// Which of the descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those that are not stopped.
    Running,
}

/// Sends a signal to descendants of this process; says to how many.
pub fn signal(which: Which, signal: Signal) -> usize {
    let processes = Process::all();
    let this = std::process::id();
    let family = and_descendants(HashSet::from([this]), &processes);
    processes
        .iter()
        .filter(|p| p.id != this && !p.ended && family.contains(&p.id))
        .filter(|p| which == Which::All || !p.stopped)
        .filter(|p| send(p, signal))
        .count()
}

/// These and all that descend from them.
pub fn and_descendants(mut members: HashSet<u32>, processes: &[Process]) -> HashSet<u32> {
    loop {
        let before = members.len();
        let children: Vec<u32> = processes
            .iter()
            .filter(|p| members.contains(&p.parent))
            .map(|p| p.id)
            .collect();
        members.extend(children);
        if members.len() == before {
            return members;
        }
    }
}

/// To this process and not to one that got its number since.
pub fn send(process: &Process, signal: Signal) -> bool {
    let Some(pid) = i32::try_from(process.id).ok().and_then(Pid::from_raw) else {
        return false;
    };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    Process::of(process.id).is_some_and(|now| now.started == process.started && !now.ended)
        && pidfd_send_signal(handle, signal).is_ok()
}
