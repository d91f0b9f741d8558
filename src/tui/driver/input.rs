//! What is typed, on a thread of its own that sleeps until there is something. It can
//! be held, so that an editor or a shell gets what is typed meanwhile.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossterm::event::{poll, read};
use rustix::event::{PollFd, PollFlags, Timespec, poll as wait};

use super::Incoming;
use super::inbox::Outbox;

/// How long the thread sleeps at most before it looks whether it is held.
const LOOK: Duration = Duration::from_secs(3600);

/// What is there is there; but a time of nothing would not even look.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Holds the thread that reads.
#[derive(Clone, Default)]
pub struct Hold(Arc<Held>);

#[derive(Default)]
struct Held {
    held: Mutex<bool>,
    changed: Condvar,
}

impl Hold {
    /// Nothing is read from here on; what is being waited for is given up at the next
    /// key.
    pub fn hold(&self) {
        *self.lock() = true;
    }

    pub fn release(&self) {
        *self.lock() = false;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let held = self.lock();
        let free = self.0.changed.wait_while(held, |held| *held);
        drop(free.unwrap_or_else(PoisonError::into_inner));
    }

    fn is_held(&self) -> bool {
        *self.lock()
    }
}

/// Starts to read.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(outbox: Outbox, hold: Hold) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("cairn-keys".into());
    let spawned = thread.spawn(move || {
        let ended = follow(&outbox, &hold);
        outbox.send(Incoming::TerminalGone(ended.err().map(|e| e.to_string())));
    });
    spawned.map(drop)
}

fn follow(outbox: &Outbox, hold: &Hold) -> io::Result<()> {
    loop {
        hold.wait();
        if !ready()? || hold.is_held() {
            continue;
        }
        while poll(AT_ONCE)? {
            if !outbox.send(Incoming::Terminal(read()?)) {
                return Ok(());
            }
        }
    }
}

/// Waits for the terminal; true if it has something to read.
fn ready() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let most = Timespec {
        tv_sec: i64::try_from(LOOK.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    match wait(&mut fds, Some(&most)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let found = fds[0].revents();
    if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::Error::other("the terminal is gone"));
    }
    Ok(found.contains(PollFlags::IN))
}
