//! Places in the transcript: a row of an item.

/// Ordered from top to bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub item: usize,
    /// Counted from the item's first row, which may be the empty one above it.
    pub row: usize,
}
