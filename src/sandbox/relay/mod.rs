//! The way from a command to the destinations that it may reach: an HTTP proxy that
//! this process is, behind a port that only the command can see. Names are looked up
//! here, after they were found among the allowed ones; everything is bounded, and
//! ends with the relay.

mod addresses;
mod dial;
mod direction;
mod guest;
mod request;

use std::io::{self, PipeReader, PipeWriter};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::network::Destinations;
use guest::Guest;

/// Connections at a time.
const MOST_GUESTS: usize = 64;

/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Works until it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Closed when all is to end.
    stop: Option<PipeWriter>,
    host: Option<JoinHandle<()>>,
}

impl Relay {
    /// Passes on what comes in at a port.
    ///
    /// # Errors
    /// When the system has no more threads or descriptors.
    pub fn start(port: TcpListener, allowed: &Destinations) -> io::Result<Self> {
        port.set_nonblocking(true)?;
        let (stopped, stop) = io::pipe()?;
        let (stopped, allowed) = (Arc::new(stopped), Arc::new(allowed.clone()));
        let host = thread::Builder::new()
            .name("relay".into())
            .spawn(move || receive(&port, &allowed, &stopped))?;
        Ok(Self {
            stop: Some(stop),
            host: Some(host),
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(host) = self.host.take() {
            // One that panicked is over, too.
            let _ = host.join();
        }
    }
}

/// Gives each connection a thread; returns when all are over.
fn receive(port: &TcpListener, allowed: &Arc<Destinations>, stopped: &Arc<PipeReader>) {
    let mut guests: Vec<JoinHandle<()>> = Vec::new();
    while let Ok(false) = wait(stopped, &[PollFd::new(port, PollFlags::IN)], None) {
        guests.retain(|guest| !guest.is_finished());
        let accepted = port.accept().and_then(|(connection, _)| {
            let guest = Guest::new(connection, allowed.clone(), stopped.clone())?;
            if guests.len() >= MOST_GUESTS {
                guest.turn_away();
                return Ok(());
            }
            let work = thread::Builder::new().name("relay".into());
            guests.push(work.spawn(move || guest.serve())?);
            Ok(())
        });
        // There may be none left to take, or no room: neither is for ever.
        if accepted.is_err() && !matches!(wait(stopped, &[], Some(PAUSE)), Ok(false)) {
            break;
        }
    }
    for guest in guests {
        let _ = guest.join();
    }
}

/// Waits for one of these, or for so long; says whether the relay is to end.
fn wait<'a>(
    stopped: &'a PipeReader,
    others: &[PollFd<'a>],
    most: Option<Duration>,
) -> io::Result<bool> {
    let timeout = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    });
    let mut all = vec![PollFd::new(stopped, PollFlags::IN)];
    all.extend_from_slice(others);
    match poll(&mut all, timeout.as_ref()) {
        Ok(_) => Ok(!all[0].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
