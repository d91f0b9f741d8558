//! The jobs that are one cargo command each.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

pub fn fmt() -> Result<String> {
    cargo(&["fmt", "--all", "--check"], &[])
}

/// What clippy checks in the program beyond its defaults. Tests may unwrap.
const POLICY: &[&str] = &[
    "allow_attributes_without_reason",
    "dbg_macro",
    "todo",
    "undocumented_unsafe_blocks",
    "unimplemented",
    "unwrap_used",
];

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

pub fn policy() -> Result<String> {
    let lints: Vec<String> = POLICY
        .iter()
        .map(|lint| format!("-Dclippy::{lint}"))
        .collect();
    let mut arguments = vec!["clippy", "--workspace", "--lib", "--bins", "--"];
    arguments.extend(lints.iter().map(String::as_str));
    cargo(&arguments, &[])
}

/// Private items too: their links rot just the same. Public items may link to
/// private ones, because this is the only way these pages are built.
pub fn doc() -> Result<String> {
    cargo(
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        &[(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private_intra_doc_links",
        )],
    )
}

pub fn test() -> Result<String> {
    cargo(&["test", "--workspace", "--quiet", "--no-fail-fast"], &[])
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
