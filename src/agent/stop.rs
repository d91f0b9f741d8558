//! Stopping the turn that runs now, from a signal handler's thread or a key.

use std::sync::{Arc, Mutex, PoisonError};

use crate::generate::Cancel;

/// A handle to whatever turn is running. Clones are the same handle.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<Option<Cancel>>>);

/// What a request to stop met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A turn was running and is now told to stop.
    Turn,
    /// It had been told before.
    Again,
    /// There was nothing to stop.
    Nothing,
}

impl Stop {
    pub fn request(&self) -> Stopped {
        match &*self.lock() {
            None => Stopped::Nothing,
            Some(cancel) if cancel.is_cancelled() => Stopped::Again,
            Some(cancel) => {
                cancel.cancel();
                Stopped::Turn
            }
        }
    }

    /// A fresh turn begins.
    pub(super) fn begin(&self) -> Cancel {
        let cancel = Cancel::default();
        *self.lock() = Some(cancel.clone());
        cancel
    }

    pub(super) fn finish(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Cancel>> {
        // A panic elsewhere leaves nothing half done in an `Option`.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
