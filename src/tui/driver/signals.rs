//! What the system says: end, go into the background, come back, another size.

use std::io;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;

use super::Incoming;
use super::inbox::Outbox;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Terminate,
    Suspend,
    Continued,
    Resized,
}

/// Passes signals on from here on.
///
/// # Errors
/// When the handlers can't be installed.
pub fn start(outbox: Outbox) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH])?;
    let thread = std::thread::Builder::new().name("cairn-signals".into());
    let spawned = thread.spawn(move || {
        for signal in signals.forever() {
            let signal = match signal {
                SIGTSTP => Signal::Suspend,
                SIGCONT => Signal::Continued,
                SIGWINCH => Signal::Resized,
                _ => Signal::Terminate,
            };
            if !outbox.send(Incoming::Signal(signal)) {
                return;
            }
        }
    });
    spawned.map(drop)
}

/// Stops this process until somebody continues it. False if nobody would.
pub fn suspend() -> bool {
    // Whoever began the session has nobody above who could bring it back.
    let leads = rustix::process::getsid(None).is_ok_and(|id| id == rustix::process::getpid());
    !leads && signal_hook::low_level::emulate_default_handler(SIGTSTP).is_ok()
}
