//! What can be wrong with a bundle, each in one line: where, what, what to do.

/// A bundle that can't be used. `Display` is one line.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}; {remedy}")]
pub struct Error {
    /// The file, and the tensor within it when there is one.
    pub place: String,
    pub problem: String,
    pub remedy: String,
}
