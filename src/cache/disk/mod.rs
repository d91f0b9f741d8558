//! Caches on disk, shared by every session of this machine. A block is the rows of 64
//! positions, in a file that is named after all the tokens up to its end and after
//! what computed them, so equal beginnings are stored once and any process may write
//! any block at any time. A block may carry the convolution state after its last
//! token, and one that does may be shorter: where a prompt was cut.

mod block;
mod evict;
mod files;
mod folder;
mod key;
mod limit;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use block::{Block, Fault};
pub use folder::{Checked, Collected, Shelf, gc, list, verify};
pub use key::Key;
pub use limit::Limit;
pub use store::{Identity, Parts, Place, Queued, Store};

/// Positions per block.
pub const BLOCK: usize = 64;
