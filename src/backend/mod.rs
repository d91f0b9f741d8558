//! The operations that a model is made of, and the devices that run them.
//!
//! A model is written once against [`Backend`]. Its tensors, token ids, routes
//! and samples are backend types, so a step can be queued on a device without
//! the host looking inside. The fused operations have default bodies composed
//! of the small ones: a new backend is right before it is fast, and the default
//! is what a fused kernel is tested against.

mod audit;
pub mod cpu;
pub mod kernels;
mod memory;
#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
pub mod mlx;
mod qkv;
mod random;
mod rows;
mod sample;
mod traits;
mod weights;

pub use audit::HeadAudit;
pub use memory::{available_memory, own_memory};
pub use qkv::{Projected, Qkv};
pub use random::uniform;
pub use rows::{KvMode, Rows, Segment};
pub use sample::{Alternative, SampleSpec, TokenMask, TokenStats, sample_row};
use traits::route_in_parts;
pub use traits::{AttentionShape, Backend, HeadReads, KvDtype, KvStore, SkipMode};
pub use weights::{CcaWeights, ExpertWeights, MergeWeights, RouterWeights};
