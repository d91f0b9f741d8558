//! A matrix of results that threads write together.

use std::marker::PhantomData;

use super::panels::PANEL;

/// `[rows, cols]` of f32, written panel by panel.
pub(super) struct Output<'a> {
    data: *mut f32,
    rows: usize,
    cols: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: threads write disjoint places (`Output::write`).
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub fn new(data: &'a mut [f32], cols: usize) -> Self {
        Self {
            rows: data.len() / cols.max(1),
            data: data.as_mut_ptr(),
            cols,
            lifetime: PhantomData,
        }
    }

    /// Writes columns from `first` on of row `row`; what goes beyond the last
    /// column is dropped.
    ///
    /// # Safety
    /// No other thread touches these columns of this row at the time.
    pub unsafe fn write(&self, row: usize, first: usize, values: &[f32]) {
        // SAFETY: the caller's.
        let place = unsafe { self.columns(row, first, values.len()) };
        place.copy_from_slice(&values[..place.len()]);
    }

    /// Up to `count` columns from `first` on of row `row`.
    ///
    /// # Safety
    /// No other thread touches these columns of this row while the slice lives.
    #[allow(
        clippy::mut_from_ref,
        reason = "places are disjoint, as the contract says"
    )]
    pub unsafe fn columns(&self, row: usize, first: usize, count: usize) -> &mut [f32] {
        assert!(row < self.rows && first < self.cols);
        let count = count.min(self.cols - first);
        // SAFETY: within the matrix, as asserted, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.cols + first), count) }
    }

    /// Writes what a kernel found for a panel, plus the bias.
    ///
    /// # Safety
    /// As [`Output::write`].
    pub unsafe fn panel(&self, row: usize, panel: usize, y: &[f32; PANEL], bias: Option<&[f32]>) {
        let first = panel * PANEL;
        let mut y = *y;
        if let Some(bias) = bias {
            match bias[first..].first_chunk::<PANEL>() {
                Some(bias) => y.iter_mut().zip(bias).for_each(|(y, b)| *y += b),
                None => y.iter_mut().zip(&bias[first..]).for_each(|(y, b)| *y += b),
            }
        }
        if first + PANEL > self.cols {
            // SAFETY: the caller's.
            unsafe { self.write(row, first, &y) };
            return;
        }
        assert!(row < self.rows);
        // SAFETY: within the matrix, and the caller's alone. Of a length that is
        // known it is one store, where a copy would be a call.
        unsafe {
            let place = self.data.add(row * self.cols + first);
            place.cast::<[f32; PANEL]>().write(y);
        }
    }

    /// The whole row.
    ///
    /// # Safety
    /// No other thread touches this row while the slice lives.
    #[allow(
        clippy::mut_from_ref,
        reason = "rows are disjoint, as the contract says"
    )]
    pub unsafe fn row(&self, row: usize) -> &mut [f32] {
        assert!(row < self.rows);
        // SAFETY: within the matrix, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.cols), self.cols) }
    }
}
