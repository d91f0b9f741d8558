//! Everything that happens comes through one queue. Whoever sends can't be slowed
//! down by whoever draws.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use super::Incoming;

/// Where things are sent to. Clones lead to the same place.
#[derive(Clone)]
pub struct Outbox(Sender<Incoming>);

impl Outbox {
    /// False if nobody reads any more.
    pub fn send(&self, incoming: Incoming) -> bool {
        self.0.send(incoming).is_ok()
    }
}

pub struct Inbox(Receiver<Incoming>);

/// What waiting came to.
pub enum Waited {
    Got(Incoming),
    /// The time that was waited for has come.
    Due,
    /// Nobody can send any more.
    Closed,
}

impl Inbox {
    /// Waits for what happens next, or for a time.
    pub fn wait(&self, until: Option<Instant>) -> Waited {
        let got = match until {
            None => self.0.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.0.recv_timeout(left)
            }
        };
        match got {
            Ok(incoming) => Waited::Got(incoming),
            Err(RecvTimeoutError::Timeout) => Waited::Due,
            Err(RecvTimeoutError::Disconnected) => Waited::Closed,
        }
    }

    /// What is there already.
    pub fn next(&self) -> Option<Incoming> {
        self.0.try_recv().ok()
    }
}

pub fn channel() -> (Outbox, Inbox) {
    let (send, receive) = mpsc::channel();
    (Outbox(send), Inbox(receive))
}
