//! From an opened bundle to a running engine.

use std::path::PathBuf;

use super::Engine;
use super::loading::Loading;
use super::run::ZayaEngine;
use crate::backend::cpu::{CpuBackend, CpuOptions};
#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
use crate::backend::mlx::MlxBackend;
use crate::backend::{Backend, KvDtype, SkipMode};
use crate::bundle::{Bundle, Family};

/// Which backend to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    Cpu,
    Mlx,
}

/// MLX on Apple Silicon, the CPU elsewhere.
impl Default for BackendKind {
    fn default() -> Self {
        match cfg!(all(target_os = "macos", target_arch = "aarch64")) {
            true => Self::Mlx,
            false => Self::Cpu,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    pub backend: BackendKind,
    /// Threads, and how to compute, on the CPU backend.
    pub cpu: CpuOptions,
    pub kv: KvDtype,
    pub skip: SkipMode,
    /// Tokens per prefill chunk; `None` for the default.
    pub chunk: Option<usize>,
    /// Folder for what a device was found to be able to, so that it need not be
    /// found out again.
    pub cache: Option<PathBuf>,
    /// Counts what is in place.
    pub loading: Loading,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "this build has no mlx backend; use --backend cpu, or build with --features mlx (see README.md)"
    )]
    NoMlx,
    #[error("can't start the {backend} backend: {reason}")]
    Start {
        backend: &'static str,
        reason: String,
    },
}

impl LoadError {
    fn start(backend: &'static str, reason: impl ToString) -> Self {
        Self::Start {
            backend,
            reason: reason.to_string(),
        }
    }
}

/// Uploads the bundle's weights to the backend. On the CPU nothing is copied:
/// the weights are used where they were mapped. If MLX can't start, the engine
/// runs on the CPU and its notices say why.
///
/// # Errors
/// If the backend is not in this build or can't start, in one line.
pub fn load(bundle: &Bundle, options: &LoadOptions) -> Result<Box<dyn Engine>, LoadError> {
    match options.backend {
        BackendKind::Cpu => on_cpu(bundle, options, Vec::new()),
        BackendKind::Mlx => on_mlx(bundle, options),
    }
}

fn on_cpu(
    bundle: &Bundle,
    options: &LoadOptions,
    notices: Vec<String>,
) -> Result<Box<dyn Engine>, LoadError> {
    let backend = CpuBackend::new(&options.cpu).map_err(|e| LoadError::start("cpu", e))?;
    engine(backend, bundle, options, notices)
}

#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
fn on_mlx(bundle: &Bundle, options: &LoadOptions) -> Result<Box<dyn Engine>, LoadError> {
    let started = MlxBackend::open(options.cache.as_deref()).map(|backend| {
        let notices = backend.notices().to_vec();
        (backend, notices)
    });
    or_on_cpu(started, bundle, options)
}

/// On this backend with these notices, or on the CPU with one that says why.
#[cfg(any(
    test,
    feature = "mlx",
    all(target_os = "macos", target_arch = "aarch64")
))]
fn or_on_cpu<B: Backend>(
    started: Result<(B, Vec<String>), impl std::fmt::Display>,
    bundle: &Bundle,
    options: &LoadOptions,
) -> Result<Box<dyn Engine>, LoadError> {
    match started {
        Ok((backend, notices)) => engine(backend, bundle, options, notices),
        Err(reason) => {
            let notice = format!("the mlx backend can't be used, running on the CPU: {reason}");
            on_cpu(bundle, options, vec![notice])
        }
    }
}

#[cfg(not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))))]
fn on_mlx(_: &Bundle, _: &LoadOptions) -> Result<Box<dyn Engine>, LoadError> {
    Err(LoadError::NoMlx)
}

fn engine<B: Backend>(
    backend: B,
    bundle: &Bundle,
    options: &LoadOptions,
    notices: Vec<String>,
) -> Result<Box<dyn Engine>, LoadError> {
    let name = backend.name();
    match &bundle.model {
        Family::Zaya(tensors) => {
            let engine = ZayaEngine::new(backend, tensors, options, notices)
                .map_err(|e| LoadError::start(name, e))?;
            Ok(Box::new(engine))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn demo() -> Bundle {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        Bundle::open(&dir).unwrap()
    }

    /// A start that failed, of a backend that does not matter then.
    #[test]
    fn goes_on_with_the_cpu_and_says_why() {
        let failed = Err::<(CpuBackend, Vec<String>), _>("MLX can't start: no Metal device");
        let engine = or_on_cpu(failed, &demo(), &LoadOptions::default()).unwrap();
        assert!(engine.info().backend.starts_with("cpu, "));
        let expected = "the mlx backend can't be used, running on the CPU: \
                        MLX can't start: no Metal device";
        assert_eq!(engine.info().notices, [expected]);
    }

    #[test]
    fn what_a_backend_has_to_say_is_passed_on() {
        let notices = vec!["one".to_owned(), "two".to_owned()];
        let started = Ok::<_, String>((
            CpuBackend::new(&CpuOptions {
                threads: 1,
                ..CpuOptions::default()
            })
            .unwrap(),
            notices.clone(),
        ));
        let engine = or_on_cpu(started, &demo(), &LoadOptions::default()).unwrap();
        assert_eq!(engine.info().notices, notices);
    }
}
