//! How far loading a model has come, for whoever waits for it on another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Layers whose weights are in place, of all. Clones are the same count.
#[derive(Clone, Debug, Default)]
pub struct Loading(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Loading {
    pub(super) fn begin(&self, total: usize) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn one_more(&self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Layers done, and how many there are; 0 of 0 before that is known.
    pub fn layers(&self) -> (usize, usize) {
        let count = &self.0;
        (
            count.done.load(Ordering::Relaxed),
            count.total.load(Ordering::Relaxed),
        )
    }
}
