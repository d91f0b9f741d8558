//! From an opened bundle to a running engine.

use super::Engine;
use super::run::ZayaEngine;
use crate::backend::cpu::CpuBackend;
use crate::backend::{KvDtype, SkipMode};
use crate::bundle::{Bundle, Family};

/// Which backend to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    #[default]
    Cpu,
}

#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    pub backend: BackendKind,
    /// 0 takes one thread per available processor.
    pub threads: usize,
    pub kv: KvDtype,
    pub skip: SkipMode,
    /// Tokens per prefill chunk; `None` for the default.
    pub chunk: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("can't start the {backend} backend: {reason}")]
pub struct LoadError {
    backend: &'static str,
    reason: String,
}

/// Uploads the bundle's weights to the backend. On the CPU nothing is copied:
/// the weights are used where they were mapped.
///
/// # Errors
/// If the backend can't start, in one line.
pub fn load(bundle: &Bundle, options: &LoadOptions) -> Result<Box<dyn Engine>, LoadError> {
    match (options.backend, &bundle.model) {
        (BackendKind::Cpu, Family::Zaya(tensors)) => {
            let backend = CpuBackend::new(options.threads).map_err(|e| LoadError {
                backend: "cpu",
                reason: e.to_string(),
            })?;
            let engine = ZayaEngine::new(backend, tensors, options).map_err(|e| LoadError {
                backend: "cpu",
                reason: e.to_string(),
            })?;
            Ok(Box::new(engine))
        }
    }
}
