//! The self-test in a build without MLX.

use super::on_cpu;
use crate::agent::Exit;
use crate::cli::fail;
use crate::model::LoadError;

pub fn preferred() -> Exit {
    on_cpu("on the CPU backend: this build has no MLX, so no Metal kernel can run")
}

pub fn run() -> Exit {
    fail(Exit::Usage, &LoadError::NoMlx.to_string())
}
