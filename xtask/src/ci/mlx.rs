//! The jobs around the MLX engine. Off Apple Silicon they begin with what
//! `cargo xtask mlx-setup` does, which needs the network once.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use super::cargo::{install_target, policy_lints};
use crate::mlx;

pub fn test() -> Result<String> {
    mlx::test()
}

/// clippy over the MLX engine, with the program's own lints on top.
pub fn clippy() -> Result<String> {
    let cargo = || mlx::cargo("clippy");
    lint(&mut cargo()?, &["--package", "cairn", "--all-targets"], &[])?;
    let policy = policy_lints();
    lint(
        &mut cargo()?,
        &["--package", "cairn", "--lib", "--bins"],
        &policy,
    )?;
    Ok(String::new())
}

/// clippy over everything as a Mac would build it: the real compiler for the
/// real target, with nothing linked.
pub fn macos() -> Result<String> {
    install_target(mlx::MAC)?;
    let cargo = || mlx::cargo_for_mac("clippy");
    lint(&mut cargo()?, &["--workspace", "--all-targets"], &[])?;
    let policy = policy_lints();
    lint(&mut cargo()?, &["--workspace", "--lib", "--bins"], &policy)?;
    Ok(String::new())
}

fn lint(clippy: &mut Command, what: &[&str], lints: &[String]) -> Result<()> {
    clippy.args(what).args(["--", "-D", "warnings"]).args(lints);
    let arguments: Vec<&str> = clippy.get_args().filter_map(OsStr::to_str).collect();
    let name = format!("`cargo {}`", arguments.join(" "));
    crate::execute(clippy, &name)
}
