//! Architectures, each written once and generic over a backend, behind
//! [`Engine`]: the only thing the floors above see.

mod engine;
mod load;
mod loading;
mod measure;
mod persist;
mod run;
mod sequence;
pub mod zaya;

pub use engine::{
    Cache, Engine, EngineInfo, Error, Interrupted, Progress, Snapshot, Step, StepRow,
};
pub use load::{BackendKind, LoadError, LoadOptions, load};
pub use loading::Loading;
pub use measure::{Clock, Measure, Stage, StepBytes, Traffic};
pub use persist::{Imported, Persist, Piece};
