//! What went wrong on the device. Operations of a backend can't fail, so the
//! first failure is kept here and the engine asks for it before it believes
//! anything that was read.

use std::sync::{Mutex, PoisonError};

use mlx_rs::Array;
use mlx_rs::error::Exception;

use super::tensor::{Tensor, int};

#[derive(Default)]
pub struct Faults(Mutex<Option<String>>);

impl Faults {
    pub fn note(&self, error: &Exception) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| {
            let text: Vec<&str> = error.what().split_whitespace().collect();
            text.join(" ")
        });
    }

    pub fn take(&self) -> Option<String> {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.take()
    }

    /// The value, or the fault noted and something of the same shape.
    pub fn or<T>(&self, result: Result<T, Exception>, instead: impl FnOnce() -> T) -> T {
        result.unwrap_or_else(|error| {
            self.note(&error);
            instead()
        })
    }

    /// A tensor of this shape; after a fault, zeros.
    pub fn tensor(&self, rows: usize, cols: usize, result: Result<Array, Exception>) -> Tensor {
        let array = self.or(result, || zeros(&[rows, cols]));
        Tensor { array, rows, cols }
    }
}

/// Zeros, without asking a stream for them.
pub fn zeros(shape: &[usize]) -> Array {
    let sizes: Vec<i32> = shape.iter().map(|&size| int(size)).collect();
    Array::from_slice(&vec![0.0f32; shape.iter().product()], &sizes)
}
