//! Attempts that take everything, or never end.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};

/// More processes than anybody may have.
const MANY: usize = 5000;

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: the probe has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(id),
    }
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Fails at the limit; those that were made stay.
pub fn fork_bomb() -> io::Result<()> {
    for _ in 0..MANY {
        if fork()? == 0 {
            wait_for_ever();
        }
    }
    Ok(())
}

pub fn take_memory() -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

/// Lines, or one line.
pub fn flood(end: &str) -> io::Result<()> {
    let text = format!("{}{end}", "y".repeat(4095)).repeat(16);
    let mut out = io::stdout().lock();
    loop {
        out.write_all(text.as_bytes())?;
    }
}

/// Forks twice with a session between; what is left has no pipe and no parent.
pub fn daemon() -> io::Result<()> {
    if fork()? == 0 {
        // SAFETY: plain calls; the descriptors are this process' own.
        unsafe {
            libc::setsid();
            libc::close(1);
            libc::close(2);
        }
        if fork()? == 0 {
            wait_for_ever();
        }
        std::process::exit(0);
    }
    Ok(())
}

/// A child keeps the output open.
pub fn hold_pipe() -> io::Result<()> {
    match fork()? {
        0 => wait_for_ever(),
        _ => Ok(()),
    }
}

pub fn ignore_signals() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: those that can't be ignored are refused.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    wait_for_ever()
}

pub fn stop_self() -> io::Result<()> {
    // SAFETY: plain numbers.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
    Ok(())
}

pub fn wait_for_fifo(path: &str) -> io::Result<()> {
    let name = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: a name that ends in NUL.
    if unsafe { libc::mkfifo(name.as_ptr(), 0o600) } != 0 {
        return Err(io::Error::last_os_error());
    }
    File::open(path).map(drop)
}

pub fn spin() -> io::Result<()> {
    let mut number = 0u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}
