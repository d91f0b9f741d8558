//! Stopping the turn that runs now, from a signal handler's thread or a key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::generate::Cancel;

/// A handle to whatever turn is running. Clones are the same handle.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    turn: Option<Cancel>,
    /// Asked for before the turn began.
    early: bool,
}

/// What a request to stop met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A turn was running and is now told to stop.
    Turn,
    /// There was none; the next one will stop where it starts.
    Early,
    /// It had been asked for before.
    Again,
}

impl Stop {
    pub fn request(&self) -> Stopped {
        let mut state = self.lock();
        match &state.turn {
            Some(cancel) if cancel.is_cancelled() => Stopped::Again,
            Some(cancel) => {
                cancel.cancel();
                Stopped::Turn
            }
            None if state.early => Stopped::Again,
            None => {
                state.early = true;
                Stopped::Early
            }
        }
    }

    /// Whether a stop was asked for that no turn has seen yet.
    pub fn is_waiting(&self) -> bool {
        self.lock().early
    }

    /// A fresh turn begins.
    pub(super) fn begin(&self) -> Cancel {
        let mut state = self.lock();
        let cancel = Cancel::default();
        if std::mem::take(&mut state.early) {
            cancel.cancel();
        }
        state.turn = Some(cancel.clone());
        cancel
    }

    pub(super) fn finish(&self) {
        self.lock().turn = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reaches_the_turn_that_runs_or_the_next_one() {
        let stop = Stop::default();
        let turn = stop.begin();
        assert_eq!(stop.request(), Stopped::Turn);
        assert!(turn.is_cancelled());
        assert_eq!(stop.request(), Stopped::Again);
        stop.finish();
        assert!(!stop.begin().is_cancelled());
        stop.finish();
        assert_eq!(stop.request(), Stopped::Early);
        assert!(stop.is_waiting());
        assert_eq!(stop.request(), Stopped::Again);
        assert!(stop.begin().is_cancelled());
        assert!(!stop.is_waiting());
    }
}
