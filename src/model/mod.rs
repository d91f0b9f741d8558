//! Architectures, each written once and generic over a backend, behind
//! [`Engine`]: the only thing the floors above see.

mod engine;
pub mod zaya;

pub use engine::{Cache, Engine, EngineInfo, Error, Interrupted, Step, StepRow};
