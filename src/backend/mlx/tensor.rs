//! Activations on the device, and weights that stay there.

use std::ops::Deref;

use mlx_rs::Array;

/// `[rows, cols]` of f32. Lazy: an operation queues work, reading waits for it.
#[derive(Clone)]
pub struct Tensor {
    pub(super) array: Array,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// An evaluated array that is only read from now on.
pub struct Resident(Array);

// SAFETY: MLX arrays are handles with atomic reference counts; what is not safe
// to share is an array whose evaluation is pending, because evaluating fills it
// in. `Resident::new` evaluates, and nothing writes through a `Resident`.
unsafe impl Sync for Resident {}

impl Resident {
    /// # Errors
    /// If the array can't be computed.
    pub(super) fn new(array: Array) -> Result<Self, mlx_rs::error::Exception> {
        array.eval()?;
        Ok(Self(array))
    }

    pub(super) fn zeros(len: usize) -> Self {
        Self(super::faults::zeros(&[len]))
    }
}

impl Deref for Resident {
    type Target = Array;

    fn deref(&self) -> &Array {
        &self.0
    }
}

/// A size as MLX counts. Nothing that can be loaded has 2^31 of anything in one
/// dimension (uploads refuse it); such a size fits no array.
pub(super) fn int(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
