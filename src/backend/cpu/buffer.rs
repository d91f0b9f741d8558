//! Memory of activations, used again. A prompt's activations are megabytes that
//! live for microseconds: asking the system for them anew, and clearing them,
//! takes longer than filling them.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Numbers that a thread keeps for later, over all buffers.
const MOST_KEPT: usize = 8 << 20;

/// Buffers that a thread keeps.
const MOST_BUFFERS: usize = 64;

/// Below this many numbers the allocator is as fast.
const SMALL: usize = 1 << 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Numbers that go back to the thread that drops them.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` numbers of no meaning: every one is to be written before it is read.
    pub fn of(len: usize) -> Self {
        if len < SMALL {
            return Self(vec![0.0; len]);
        }
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            let fits = |kept: &Vec<f32>| kept.len() >= len && kept.len() <= 2 * len;
            let best = (0..spare.len())
                .filter(|&i| fits(&spare[i]))
                .min_by_key(|&i| spare[i].len())?;
            Some(spare.swap_remove(best))
        });
        match kept {
            Ok(Some(mut numbers)) => {
                numbers.truncate(len);
                if cfg!(test) {
                    numbers.fill(f32::NAN);
                }
                Self(numbers)
            }
            _ => Self(vec![0.0; len]),
        }
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(numbers: Vec<f32>) -> Self {
        Self(numbers)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.len() < SMALL {
            return;
        }
        let numbers = std::mem::take(&mut self.0);
        // A thread that is ending keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            let kept: usize = spare.iter().map(Vec::capacity).sum();
            if spare.len() < MOST_BUFFERS && kept + numbers.capacity() <= MOST_KEPT {
                spare.push(numbers);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let mut buffer = Buffer::of(2 * SMALL);
        buffer.fill(7.0);
        let place = buffer.as_ptr();
        drop(buffer);
        let again = Buffer::of(2 * SMALL - 3);
        assert_eq!((again.as_ptr(), again.len()), (place, 2 * SMALL - 3));
        // Much too large for this one.
        assert_eq!(Buffer::of(SMALL).len(), SMALL);
    }

    #[test]
    fn not_too_much_is_kept() {
        let all: Vec<Buffer> = (0..2 * MOST_BUFFERS).map(|_| Buffer::of(SMALL)).collect();
        drop(all);
        SPARE.with(|spare| assert!(spare.borrow().len() <= MOST_BUFFERS));
    }
}
