//! Processes of the launcher, which has one thread and so may fork.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::process::Pid;

#[derive(Clone, Copy, Debug)]
pub enum Forked {
    Child,
    Parent(Pid),
}

/// # Errors
/// When there may be no more processes.
pub fn fork() -> io::Result<Forked> {
    // SAFETY: launcher and probe have one thread, so no lock is held by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(Pid::from_raw(id).map_or(Forked::Child, Forked::Parent)),
    }
}

/// Closes all but standard input, output and error.
pub fn close_others() -> io::Result<()> {
    // SAFETY: nothing of this process has a descriptor yet.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// No process may look into this one, or take its files.
pub fn shut_in() -> io::Result<()> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on what loses its parent becomes this process' child.
pub fn adopt() -> io::Result<()> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A descriptor that can be read when a child has ended.
pub fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by `sigemptyset`, and outlives the calls.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Becomes another program, looked up in its own `PATH`; returns only if that fails.
pub fn execute(argv: &[String], environment: &[(String, String)]) -> io::Error {
    let strings = |all: Vec<String>| {
        all.into_iter()
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()
    };
    let variables = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let (Ok(argv), Ok(environment)) = (strings(argv.to_vec()), strings(variables.collect())) else {
        return io::Error::other("a NUL byte in an argument");
    };
    let Some(program) = argv.first() else {
        return io::Error::other("no command");
    };
    let path = environment
        .iter()
        .find(|v| v.to_bytes().starts_with(b"PATH="));
    if let Some(path) = path {
        // SAFETY: one thread, and a string of the form NAME=VALUE that is never freed.
        unsafe { libc::putenv(path.clone().into_raw()) };
    }
    let pointers = |all: &[CString]| -> Vec<*const libc::c_char> {
        let all = all.iter().map(|string| string.as_ptr());
        all.chain([std::ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(&argv), pointers(&environment));
    // SAFETY: both lists hold strings that live on, and end in a null pointer.
    unsafe { libc::execvpe(program.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Lets the command's own loopback carry something.
pub fn raise_loopback() -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: the request names `lo` and has room for the flags; the socket is open.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        match libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
