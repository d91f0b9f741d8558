//! Processes as `/proc` shows them: who descends from whom, and signals to them that
//! reach nobody who only got the same number.

use std::collections::HashSet;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub struct Process {
    pub pid: i32,
    parent: i32,
    pub session: i32,
    /// Since boot, in clock ticks: with the id it names a process for ever.
    started: u64,
    is_stopped: bool,
}

/// Which of the descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those that are not stopped.
    Running,
}

/// Sends a signal to descendants of this process; says to how many.
pub fn signal(which: Which, signal: Signal) -> usize {
    let processes = all();
    let this = rustix::process::getpid().as_raw_pid();
    let family = and_descendants(HashSet::from([this]), &processes);
    processes
        .iter()
        .filter(|p| p.pid != this && family.contains(&p.pid))
        .filter(|p| which == Which::All || !p.is_stopped)
        .filter(|p| send(p, signal))
        .count()
}

/// These and all that descend from them.
pub fn and_descendants(mut members: HashSet<i32>, processes: &[Process]) -> HashSet<i32> {
    loop {
        let before = members.len();
        let children: Vec<i32> = processes
            .iter()
            .filter(|p| members.contains(&p.parent))
            .map(|p| p.pid)
            .collect();
        members.extend(children);
        if members.len() == before {
            return members;
        }
    }
}

/// To this process and not to one that got its number since.
pub fn send(process: &Process, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return false;
    };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    read(process.pid).is_some_and(|now| now.started == process.started)
        && pidfd_send_signal(handle, signal).is_ok()
}

/// All that live.
pub fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

/// None for a process that is gone or only waits to be reaped.
fn read(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let state = *fields.first()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        is_stopped: state == "T",
    })
}
