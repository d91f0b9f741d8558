//! How the rows of one call are divided among sequences.

/// Consecutive rows of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of rows.
    pub len: usize,
    /// Absolute position of the first of them.
    pub position: usize,
}

/// The rows of one call, segment after segment; segment `i` belongs to the
/// `i`-th of the caches that go with the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub segments: Vec<Segment>,
    pub kv: KvMode,
}

/// What attention does with the keys and values of the rows it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMode {
    /// Append them, then attend to everything up to each row.
    Append,
    /// They are stored already: attend to what is stored, append nothing. Used
    /// to rebuild the convolution state by replay.
    Stored,
}
