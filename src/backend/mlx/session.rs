//! MLX, started: the thread that it lives on and the device it has found.

use mlx_rs::error::Exception;

use super::device::{self, Info, Kind};
use super::selftest::{FallbackRunner, MetalRunner};

pub struct Session {
    /// MLX's streams belong to the thread that made them, so one thread does
    /// everything.
    thread: rayon::ThreadPool,
    device: Info,
}

/// Why there is no MLX, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("its thread can't be started: {0}")]
    Thread(#[from] rayon::ThreadPoolBuildError),
    #[error("MLX can't start: {0}")]
    Mlx(String),
}

impl From<Exception> for StartError {
    fn from(error: Exception) -> Self {
        let words: Vec<&str> = error.what().split_whitespace().collect();
        Self::Mlx(words.join(" "))
    }
}

impl Session {
    /// # Errors
    /// If MLX can't start here.
    pub fn start() -> Result<Self, StartError> {
        let thread = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "cairn-mlx".to_owned())
            .build()?;
        let device = thread.install(device::find)?;
        Ok(Self { thread, device })
    }

    pub(super) fn device(&self) -> &Info {
        &self.device
    }

    /// Runs this on MLX's thread.
    pub(super) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.thread.install(work)
    }

    /// Our kernels, if this device runs any.
    pub fn metal(&self) -> Option<MetalRunner<'_>> {
        (self.device.kind == Kind::Metal).then_some(MetalRunner(self))
    }

    /// The same computations in MLX's own operations.
    pub fn fallbacks(&self) -> FallbackRunner<'_> {
        FallbackRunner(self)
    }
}
