//! The jobs that are one cargo command each.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

pub fn fmt() -> Result<String> {
    cargo(&["fmt", "--all", "--check"], &[])
}

pub fn clippy() -> Result<String> {
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )
}

/// Private items too: their links rot just the same.
pub fn doc() -> Result<String> {
    cargo(
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

pub fn test() -> Result<String> {
    cargo(&["test", "--workspace", "--quiet"], &[])
}

/// Runs cargo in the root, its output passed through and nothing on its input.
pub fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .status()
        .context("cargo can't be started")?;
    if !status.success() {
        bail!("`cargo {}`: {status}", arguments.join(" "));
    }
    Ok(String::new())
}
