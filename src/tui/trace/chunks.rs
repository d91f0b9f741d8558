//! A column of a trace: rows of numbers in chunks of a fixed size, so that it grows
//! without a copy and without room for twice as many.

/// Rows of a chunk.
const ROWS: usize = 1024;

/// Rows of `stride` numbers each.
#[derive(Clone, Debug)]
pub struct Chunks<T> {
    stride: usize,
    len: usize,
    chunks: Vec<Vec<T>>,
}

impl<T: Copy> Chunks<T> {
    pub fn new(stride: usize) -> Self {
        Self {
            stride,
            len: 0,
            chunks: Vec::new(),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a row; what is missing in `row` is `blank`, what is too much is left out.
    pub fn push(&mut self, row: impl IntoIterator<Item = T>, blank: T) {
        if self.len.is_multiple_of(ROWS) {
            self.chunks.push(Vec::with_capacity(ROWS * self.stride));
        }
        if let Some(last) = self.chunks.last_mut() {
            let padded = row.into_iter().chain(std::iter::repeat(blank));
            last.extend(padded.take(self.stride));
            self.len += 1;
        }
    }

    /// A row; empty where there is none.
    pub fn row(&self, at: usize) -> &[T] {
        let from = at % ROWS * self.stride;
        let chunk = self.chunks.get(at / ROWS);
        let row = chunk.and_then(|chunk| chunk.get(from..from + self.stride));
        row.unwrap_or_default()
    }

    /// The first number of a row.
    pub fn get(&self, at: usize) -> Option<T> {
        self.row(at).first().copied()
    }

    /// The first number of a row, to be changed.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let from = at % ROWS * self.stride;
        self.chunks.get_mut(at / ROWS)?.get_mut(from)
    }

    /// No more rows are expected: the room for them is given back.
    pub fn seal(&mut self) {
        if let Some(last) = self.chunks.last_mut() {
            last.shrink_to_fit();
        }
        self.chunks.shrink_to_fit();
    }

    /// Memory that it has, in bytes.
    pub fn bytes(&self) -> usize {
        let numbers: usize = self.chunks.iter().map(Vec::capacity).sum();
        numbers * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_whole_and_room_is_given_back() {
        let mut column = Chunks::new(3);
        for n in 0..2500u32 {
            column.push([n, n + 1], 9);
        }
        assert_eq!(
            (column.len(), column.row(2047)),
            (2500, [2047, 2048, 9].as_slice())
        );
        assert_eq!((column.get(2499), column.get(2500)), (Some(2499), None));
        *column.get_mut(1024).unwrap() = 7;
        assert_eq!(column.row(1024), [7, 1025, 9]);
        let before = column.bytes();
        column.seal();
        assert!(column.bytes() < before);
        column.push([1, 2, 3], 9);
        assert_eq!(column.row(2500), [1, 2, 3]);
    }
}
