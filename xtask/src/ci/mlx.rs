//! The jobs around the MLX engine. Off Apple Silicon they begin with what
//! `cargo xtask mlx-setup` does, which needs the network once.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cargo::policy_lints;
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
    install_target()?;
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

/// Sees to it that rustc has the standard library for Apple Silicon.
fn install_target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", mlx::MAC])
        .output()
        .context("rustc can't be started")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if std::path::Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let remedy = format!(
        "rustc has no standard library for {target}, and `rustup target add {target}` did not \
         install it: install it by hand",
        target = mlx::MAC
    );
    let status = Command::new("rustup")
        .args(["target", "add", mlx::MAC])
        .current_dir(crate::root())
        .status()
        .with_context(|| remedy.clone())?;
    ensure!(status.success(), remedy);
    Ok(())
}
