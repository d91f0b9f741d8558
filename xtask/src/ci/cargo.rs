//! The jobs that are one cargo command each.

use std::process::Command;

use anyhow::{Context, Result, ensure};

pub fn fmt() -> Result<String> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    let beside = ["fmt", "--check", "--manifest-path", crate::mlx::BINDINGS];
    cargo(&beside, &[])
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
    let lints = policy_lints();
    let mut arguments = vec!["clippy", "--workspace", "--lib", "--bins", "--"];
    arguments.extend(lints.iter().map(String::as_str));
    cargo(&arguments, &[])
}

/// The policy as arguments for clippy.
pub fn policy_lints() -> Vec<String> {
    let deny = |lint: &&str| format!("-Dclippy::{lint}");
    POLICY.iter().map(deny).collect()
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
    cargo(
        &["test", "--workspace", "--quiet", "--no-fail-fast"],
        // Here a missing C++ compiler is a failure; elsewhere it is said loudly.
        &[("CAIRN_REQUIRE_EMULATOR", "1")],
    )
}

/// Runs cargo; what it prints says what is wrong.
pub fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = crate::cargo();
    command.args(arguments).envs(environment.iter().copied());
    crate::execute(&mut command, &format!("`cargo {}`", arguments.join(" ")))?;
    Ok(String::new())
}

/// Sees to it that rustc has the standard library for `target`.
pub fn install_target(target: &str) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .context("rustc can't be started")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if std::path::Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let remedy = format!(
        "rustc has no standard library for {target}, and `rustup target add {target}` did not \
         install it: install it by hand"
    );
    let status = Command::new("rustup")
        .args(["target", "add", target])
        .current_dir(crate::root())
        .status()
        .with_context(|| remedy.clone())?;
    ensure!(status.success(), remedy);
    Ok(())
}
