//! Keys and values of one layer of one sequence: one array each, with room at
//! the end. Appending writes in place as long as no fork holds the same array,
//! because MLX then gives the old buffer to the new array.

use std::ops::Range;

use half::f16;
use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, ops};

use super::raw;
use super::sample::host;
use super::tensor::int;
use crate::backend::{KvDtype, KvStore};

type Result<T> = std::result::Result<T, Exception>;

/// Positions by which the arrays grow.
const STEP: usize = 256;

/// Largest finite half: an infinity would turn every later attention row into NaN.
const LARGEST: f32 = 65504.0;

#[derive(Clone)]
pub struct Kv {
    dtype: KvDtype,
    heads: usize,
    dim: usize,
    len: usize,
    /// Keys and values, `[1, heads, capacity, dim]`; none while empty.
    arrays: Option<[Array; 2]>,
}

impl Kv {
    pub fn new(dtype: KvDtype, heads: usize, dim: usize) -> Self {
        Self {
            dtype,
            heads,
            dim,
            len: 0,
            arrays: None,
        }
    }

    fn element(&self) -> Dtype {
        match self.dtype {
            KvDtype::F16 => Dtype::Float16,
            KvDtype::F32 => Dtype::Float32,
        }
    }

    /// Appends rows of `[heads * dim]` keys and values.
    pub fn append(&mut self, keys: &Array, values: &Array, rows: usize) -> Result<()> {
        let [keys, values] = [self.stored(keys, rows)?, self.stored(values, rows)?];
        let at = [0, 0, self.len, 0];
        // Taken out, so that nothing here keeps the old arrays alive.
        let [k, v] = match self.arrays.take() {
            Some(arrays) => self.grown(arrays, rows)?,
            None => [self.room(rows)?, self.room(rows)?],
        };
        self.arrays = Some([
            raw::slice_update(&k, &keys, &at)?,
            raw::slice_update(&v, &values, &at)?,
        ]);
        self.len += rows;
        Ok(())
    }

    /// `[rows, heads * dim]` as the cache keeps it: `[1, heads, rows, dim]`.
    fn stored(&self, x: &Array, rows: usize) -> Result<Array> {
        let shape = [1, int(rows), int(self.heads), int(self.dim)];
        let x = x.reshape(&shape)?.transpose_axes(&[0, 2, 1, 3])?;
        match self.dtype {
            KvDtype::F32 => Ok(x),
            KvDtype::F16 => {
                let bound = |x: f32| Array::from_f32(x);
                ops::minimum(ops::maximum(x, bound(-LARGEST))?, bound(LARGEST))?
                    .as_dtype(Dtype::Float16)
            }
        }
    }

    /// Zeros for at least this many rows.
    fn room(&self, rows: usize) -> Result<Array> {
        let rows = rows.div_ceil(STEP) * STEP;
        ops::zeros_dtype(
            &[1, int(self.heads), int(rows), int(self.dim)],
            self.element(),
        )
    }

    fn grown(&self, arrays: [Array; 2], rows: usize) -> Result<[Array; 2]> {
        let capacity = arrays[0].dim(2) as usize;
        let missing = (self.len + rows).saturating_sub(capacity);
        if missing == 0 {
            return Ok(arrays);
        }
        let [k, v] = arrays;
        Ok([
            ops::concatenate(&[k, self.room(missing)?], 2)?,
            ops::concatenate(&[v, self.room(missing)?], 2)?,
        ])
    }

    /// Keys of these positions, `[positions, heads * dim]`, then values, as stored.
    pub fn to_bytes(&self, positions: Range<usize>) -> Result<Vec<u8>> {
        let Some(arrays) = &self.arrays else {
            return Ok(Vec::new());
        };
        let start = [0, 0, positions.start, 0];
        let stop = [1, self.heads, positions.end, self.dim];
        let mut bytes = Vec::new();
        for array in arrays {
            let rows = raw::slice(array, &start, &stop)?
                .transpose_axes(&[0, 2, 1, 3])?
                .contiguous()?;
            match self.dtype {
                KvDtype::F16 => host::<f16>(&rows)?
                    .iter()
                    .for_each(|x| bytes.extend_from_slice(&x.to_ne_bytes())),
                KvDtype::F32 => host::<f32>(&rows)?
                    .iter()
                    .for_each(|x| bytes.extend_from_slice(&x.to_ne_bytes())),
            }
        }
        Ok(bytes)
    }

    /// Appends what [`Kv::to_bytes`] gave for `rows` positions. All of it is finite,
    /// so it is stored as it was.
    pub fn append_bytes(&mut self, rows: usize, bytes: &[u8]) -> Result<()> {
        let numbers: Vec<f32> = match self.dtype {
            KvDtype::F16 => {
                let (halves, _) = bytes.as_chunks::<2>();
                halves
                    .iter()
                    .map(|&x| f16::from_ne_bytes(x).to_f32())
                    .collect()
            }
            KvDtype::F32 => {
                let (singles, _) = bytes.as_chunks::<4>();
                singles.iter().map(|&x| f32::from_ne_bytes(x)).collect()
            }
        };
        let width = self.heads * self.dim;
        if numbers.len() != 2 * rows * width {
            return Err(Exception::custom("rows of another shape"));
        }
        let (keys, values) = numbers.split_at(rows * width);
        let extents = [int(rows), int(width)];
        let [keys, values] = [keys, values].map(|rows| Array::from_slice(rows, &extents));
        self.append(&keys, &values, rows)
    }

    /// Keys and values of the stored positions, `[1, heads, len, dim]`.
    pub fn stored_rows(&self) -> Result<[Array; 2]> {
        let Some([k, v]) = &self.arrays else {
            return Err(Exception::custom("attention to an empty cache"));
        };
        let stop = [1, self.heads, self.len, self.dim];
        Ok([
            raw::slice(k, &[0; 4], &stop)?,
            raw::slice(v, &[0; 4], &stop)?,
        ])
    }
}

impl KvStore for Kv {
    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}
