//! The probe's system calls: those that the filter should refuse, by number, and
//! those that no library has.

use std::fs::File;
use std::io;

use rustix::process::{Pid, Signal, WaitOptions};

use super::process::{Forked, fork};

const NEW_USER: i64 = libc::CLONE_NEWUSER as i64;

/// Calls that end with another error, or none, if no filter is in the way.
const FILTERED: &[(&str, i64, [i64; 3])] = &[
    ("unshare", libc::SYS_unshare, [NEW_USER, 0, 0]),
    ("setns", libc::SYS_setns, [-1, 0, 0]),
    (
        "ptrace",
        libc::SYS_ptrace,
        [libc::PTRACE_TRACEME as i64, 0, 0],
    ),
    ("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0]),
    ("mount", libc::SYS_mount, [0, 0, 0]),
    ("open_tree", libc::SYS_open_tree, [-1, 0, 0]),
    ("add_key", libc::SYS_add_key, [0, 0, 0]),
    ("keyctl", libc::SYS_keyctl, [0, 0, 0]),
    ("bpf", libc::SYS_bpf, [0, 0, 0]),
    ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0]),
    ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0]),
    ("clone3", libc::SYS_clone3, [0, 0, 0]),
    (
        "socket(vsock)",
        libc::SYS_socket,
        [libc::AF_VSOCK as i64, 1, 0],
    ),
    ("socket(alg)", libc::SYS_socket, [libc::AF_ALG as i64, 5, 0]),
];

pub fn count() -> usize {
    FILTERED.len()
}

/// Names of calls that the filter let through.
pub fn passed() -> Vec<&'static str> {
    FILTERED
        .iter()
        .filter(|(_, number, arguments)| {
            let [a, b, c] = *arguments;
            // SAFETY: pointers among the arguments are null.
            let result = unsafe { libc::syscall(*number, a, b, c, 0, 0, 0) };
            let error = io::Error::last_os_error().raw_os_error();
            result != -1 || !matches!(error, Some(libc::EPERM | libc::ENOSYS))
        })
        .map(|(name, ..)| *name)
        .collect()
}

pub fn become_root() -> io::Result<()> {
    // SAFETY: plain numbers; of this thread, which is the only one.
    result(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) })
}

/// All capabilities, as far as the structure goes.
pub fn take_capabilities() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let one = CapabilitySet::DAC_OVERRIDE;
    let sets = CapabilitySets {
        effective: one,
        permitted: one,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Descriptors that are open beyond input, output and error.
pub fn descriptors() -> Vec<i32> {
    (3..4096)
        // SAFETY: looks whether a number is a descriptor.
        .filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) != -1 })
        .collect()
}

/// Makes a file so long; fails instead of ending the process.
pub fn grow(file: &File, bytes: u64) -> io::Result<()> {
    // SAFETY: nobody waits for this signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    file.set_len(bytes)
}

/// How many processes could be started at once, of so many; none is left.
pub fn fork_until_refused(most: u32) -> u32 {
    let mut children: Vec<Pid> = Vec::new();
    while (children.len() as u32) < most {
        match fork() {
            Ok(Forked::Parent(child)) => children.push(child),
            Ok(Forked::Child) => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            Err(_) => break,
        }
    }
    for child in &children {
        let _ = rustix::process::kill_process(*child, Signal::KILL);
        let _ = rustix::process::waitpid(Some(*child), WaitOptions::empty());
    }
    children.len() as u32
}

fn result(value: i64) -> io::Result<()> {
    match value {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
