//! MLX where mlx-sys's own build script can't build it: a prebuilt library from
//! the Python package index, mlx-c compiled against it with a few shims of ours,
//! and a cargo configuration that puts both in place of that script. All of it is
//! under `target/mlx`; a build without `--config` never looks there.

mod bindings;
mod config;
mod mlxc;
mod product;
mod sources;
mod suite;
mod wheels;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

#[derive(clap::Args, Default)]
pub struct SetupArgs {
    /// What to build for: this machine's triple, or aarch64-apple-darwin for type
    /// checks only
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

/// The manifest of the package that writes mlx-c's declarations, outside the
/// workspace so that only a setup builds it.
pub const BINDINGS: &str = "xtask/mlx/bindings/Cargo.toml";

/// Machines for which MLX is prebuilt.
const TRIPLES: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

pub fn run(args: &SetupArgs) -> Result<()> {
    if on_a_mac()? {
        println!("on Apple Silicon mlx-sys builds MLX itself: there is nothing to set up");
        return Ok(());
    }
    println!("{}", setup(args.target.as_deref())?.display());
    Ok(())
}

pub fn run_tests() -> Result<()> {
    println!("{}", suite::run()?);
    Ok(())
}

pub use config::MAC;
pub use suite::run as test;

/// cargo with the MLX engine in the build: what `subcommand` should do follows.
/// On Apple Silicon it needs no setup.
pub fn cargo(subcommand: &str) -> Result<Command> {
    let mut cargo = crate::cargo();
    cargo.args([subcommand, "--features", "mlx"]);
    if on_a_mac()? {
        return Ok(cargo);
    }
    // After the subcommand: clippy is a program of its own and sees only that.
    cargo.arg("--config").arg(setup(None)?);
    Ok(cargo)
}

/// cargo with what it takes to build for Apple Silicon as far as type checks go.
pub fn cargo_for_mac(subcommand: &str) -> Result<Command> {
    let mut cargo = crate::cargo();
    cargo.args([subcommand, "--target", MAC, "--target-dir", "target/macos"]);
    if !on_a_mac()? {
        cargo.arg("--config").arg(setup(Some(MAC))?);
    }
    Ok(cargo)
}

fn on_a_mac() -> Result<bool> {
    Ok(host()? == MAC)
}

/// Makes what is missing or was made from something else, and gives the file for
/// cargo's `--config`. A second run does nothing; two at a time wait for each
/// other.
fn setup(target: Option<&str>) -> Result<PathBuf> {
    let host = host()?;
    let target = target.unwrap_or(&host);
    ensure!(
        target == host || target == MAC,
        "MLX can't be set up for {target} on this machine, only for {host} or {MAC}"
    );
    if !TRIPLES.contains(&host.as_str()) {
        bail!(
            "there is no prebuilt MLX for {host}, only for {}",
            TRIPLES.join(", ")
        );
    }
    let place = place();
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    let _lock = lock(&place.join("lock"))?;

    let mlx_sys = sources::find()?;
    let requirements = shim("requirements.txt")?;
    let pinned = wheels::mlx_version(&requirements).unwrap_or("none");
    ensure!(
        pinned == mlx_sys.wants,
        "mlx-sys {} is written against MLX {}, but xtask/mlx/requirements.txt pins {pinned}: \
         pin the same version",
        mlx_sys.version,
        mlx_sys.wants
    );
    let compiler = mlxc::Compiler::find()?;
    let machine = place.join(&host);
    let wheels = machine.join("wheels");
    product::make(&wheels, &requirements, |folder| {
        println!("fetching MLX {pinned}");
        wheels::fetch(&self::requirements(), folder)
    })?;
    let mlx = wheels.join("mlx");

    let library_inputs = format!("{requirements}{}", mlxc::inputs(&mlx_sys, &compiler)?);
    let library = machine.join("lib");
    if target == host {
        product::make(&library, &library_inputs, |folder| {
            println!("compiling mlx-c");
            mlxc::build(&mlx_sys, &compiler, &mlx.join("include"), folder)
        })?;
    }
    let generated = machine.join("gen");
    let generated_inputs = bindings::inputs(&mlx_sys, &compiler, &requirements)?;
    product::make(&generated, &generated_inputs, |folder| {
        println!("generating the declarations of mlx-c");
        bindings::build(&mlx_sys, &compiler, &wheels::libclang(&wheels)?, folder)
    })?;

    let shared = mlx.join("lib");
    let linkable = config::Library {
        triple: &host,
        mlx_c: &library,
        mlx: &shared,
        inputs: &library_inputs,
    };
    let linkable = product::is_current(&library, &library_inputs).then_some(&linkable);
    let declarations = config::Declarations {
        folder: &generated,
        inputs: &generated_inputs,
    };
    let text = config::text(&declarations, linkable)?;
    let config = place.join("config.toml");
    product::replace(&config, &text)?;
    Ok(config)
}

/// The folder of the shims and of what is pinned.
fn folder() -> PathBuf {
    crate::root().join("xtask/mlx")
}

fn shim(name: &str) -> Result<String> {
    let path = folder().join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn requirements() -> PathBuf {
    folder().join("requirements.txt")
}

/// The folder of everything that a setup makes.
fn place() -> PathBuf {
    crate::root().join("target/mlx")
}

/// Held until the value is dropped, or the process ends.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    file.lock().with_context(|| path.display().to_string())?;
    Ok(file)
}

/// The triple that this machine's rustc builds for.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("rustc can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say what it builds for")?
        .to_owned())
}

/// The last line with something on it, of what a program wrote.
fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or("it says nothing").trim().to_owned()
}
