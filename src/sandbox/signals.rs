//! How a program expects to be started: no signal blocked, none ignored. Whoever
//! started cairn may have left it others (`nohup`), and so may its runtime.

use std::io;

/// As many as Linux has; others have fewer.
const MOST_SIGNALS: i32 = 64;

/// Allocates nothing and locks nothing, so it may stand between fork and exec.
///
/// # Errors
/// When the mask can't be set.
pub fn reset() -> io::Result<()> {
    // SAFETY: the set is initialised by `sigemptyset` and outlives the call.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Those that can't be changed are as they should be.
    (1..=MOST_SIGNALS).for_each(by_default);
    Ok(())
}

/// Not by the C library: it keeps two signals to itself, and has programs that it
/// starts ignore them.
#[cfg(target_os = "linux")]
fn by_default(signal: i32) {
    // The kernel's structure for the default action, which is all zeros, and more.
    const DEFAULT: [u64; 8] = [0; 8];
    const MASK_BYTES: usize = 8;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the structure is longer than what the call reads of it.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            DEFAULT.as_ptr(),
            none,
            MASK_BYTES,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn by_default(signal: i32) {
    // SAFETY: the default action is valid for every signal; other numbers are refused.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
