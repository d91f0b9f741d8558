//! Activations in memory.

use std::sync::Arc;

use super::buffer::Buffer;

/// `[rows, cols]` of f32, row-major. Cloning shares the data.
#[derive(Clone, Debug)]
pub struct Tensor {
    rows: usize,
    cols: usize,
    data: Arc<Buffer>,
}

impl Tensor {
    /// # Panics
    /// If `data` is not `rows * cols` long.
    pub(super) fn new(rows: usize, cols: usize, data: impl Into<Buffer>) -> Self {
        let data = data.into();
        assert_eq!(data.len(), rows * cols);
        Self {
            rows,
            cols,
            data: Arc::new(data),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    /// The data, to be overwritten: a copy if others hold it.
    pub(super) fn into_data(self) -> Buffer {
        Arc::try_unwrap(self.data).unwrap_or_else(|shared| {
            let mut copy = Buffer::of(shared.len());
            copy.copy_from_slice(&shared);
            copy
        })
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    /// The named rows, in that order.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        let mut data = Vec::with_capacity(rows.len() * self.cols);
        for &row in rows {
            data.extend_from_slice(self.row(row as usize));
        }
        Self::new(rows.len(), self.cols, data)
    }

    /// The rows in order; none for a tensor without columns.
    pub(super) fn iter_rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.cols.max(1))
    }
}
