//! What a head that looks only at a part of its rows has done so far.

/// Counts since the engine was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadAudit {
    /// Sampled tokens.
    pub tokens: u64,
    /// Tokens for which all rows were computed.
    pub full_passes: u64,
    /// Rows computed exactly for the other tokens.
    pub rows_computed: u64,
    /// Tokens that were also computed in full, to compare.
    pub audited: u64,
    /// Of those, the tokens whose id (of greedy, top-k and min-p sampling) or
    /// five alternatives came out differently, whose total for top-p was off by
    /// more than a thousandth, or that had a row outside the margin.
    pub misses: u64,
    /// Rows whose estimate was compared, by its error in standard deviations,
    /// rounded down; the last counts all that are larger.
    pub errors: [u64; 16],
}
