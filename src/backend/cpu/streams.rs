//! Which weights are read after which. The order of a model's operations is the
//! same for every token, so it is learnt from the token before, and threads that
//! wait can fetch what comes next.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::context::Context;
use super::panels::IntegerPanels;
use super::pool::Stream;

/// Bytes that a thread claims at least: less would be mostly beginnings, with more
/// the others wait too long for the last.
const PART_BYTES: usize = 16 << 10;

/// Items of this size that are claimed at least.
pub(super) fn grain(item_bytes: usize) -> usize {
    PART_BYTES.div_ceil(item_bytes.max(1)).min(8)
}

/// Panels of `all` weights of which `first` is the first.
pub(super) fn of_panels(first: &IntegerPanels, all: usize) -> Stream {
    let item_bytes = first.panel_bytes();
    Stream {
        address: first.data.as_ptr().addr(),
        beside: None,
        item_bytes,
        len: all,
        grain: grain(item_bytes),
    }
}

/// What followed what.
#[derive(Default)]
pub struct Successors {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: usize,
    next: HashMap<usize, Stream>,
}

impl Context {
    /// Expects again what followed the last stream: something else was expected
    /// in between.
    pub fn expect_next(&self) {
        if self.pool.threads() > 1 {
            let kept = self
                .successors
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.pool.expect(kept.next.get(&kept.last).copied());
        }
    }

    /// A region is about to read this stream, or what is known by this address:
    /// what followed it the last time is expected after it.
    pub fn reads(&self, key: usize, stream: Option<Stream>) {
        if self.pool.threads() == 1 {
            return;
        }
        let kept = &mut *self
            .successors
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut kept.last, key);
        match stream {
            Some(stream) => kept.next.insert(last, stream),
            None => kept.next.remove(&last),
        };
        self.pool.expect(kept.next.get(&key).copied());
    }
}
