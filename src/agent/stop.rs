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
    /// There was none.
    Idle,
    /// It had been asked for before.
    Again,
}

impl Stop {
    /// Stops the turn that is running; without one, nothing happens.
    pub fn stop_turn(&self) -> Stopped {
        match &self.lock().turn {
            None => Stopped::Idle,
            Some(cancel) if cancel.is_cancelled() => Stopped::Again,
            Some(cancel) => {
                cancel.cancel();
                Stopped::Turn
            }
        }
    }

    /// Stops the turn that is running; without one, the next stops where it
    /// starts.
    pub fn stop_run(&self) -> Stopped {
        let stopped = self.stop_turn();
        if stopped == Stopped::Idle && std::mem::replace(&mut self.lock().early, true) {
            return Stopped::Again;
        }
        stopped
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
    fn a_stop_reaches_the_turn_that_runs() {
        let stop = Stop::default();
        assert_eq!(stop.stop_turn(), Stopped::Idle);
        let turn = stop.begin();
        assert!(!turn.is_cancelled());
        assert_eq!(stop.stop_turn(), Stopped::Turn);
        assert!(turn.is_cancelled());
        assert_eq!(stop.stop_run(), Stopped::Again);
        stop.finish();
        assert!(!stop.begin().is_cancelled());
    }

    #[test]
    fn a_run_can_be_stopped_before_its_turn() {
        let stop = Stop::default();
        assert_eq!(stop.stop_run(), Stopped::Idle);
        assert!(stop.is_waiting());
        assert_eq!(stop.stop_run(), Stopped::Again);
        assert!(stop.begin().is_cancelled());
        assert!(!stop.is_waiting());
    }
}
