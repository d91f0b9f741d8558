//! The project's chores: the checks that CI runs, synthetic bundles in real
//! shapes, and the demo model. `cargo xtask help` lists them.

mod bench_tui;
mod ci;
mod demo;
mod head_audit;
mod head_time;
mod jang;
mod mlx;
mod oracle;
mod probe;
mod readme;
mod synth;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check that the project must pass
    Ci(ci::Args),
    /// Write a bundle of random weights in a model's real shapes
    SynthBundle(synth::Args),
    /// Make models/demo from the trained checkpoint
    DemoBundle(demo::BundleArgs),
    /// Measure the demo model's exact match through cairn
    DemoEval(demo::EvalArgs),
    /// Compare logits and encoders with the reference programs
    Oracle(oracle::Args),
    /// Compare the screened head with the full one, token by token
    HeadAudit(head_audit::Args),
    /// Time the head in full and screened, in a model's real shape
    HeadTime(head_time::Args),
    /// Measure the full-screen program: frames, memory, start, idling
    BenchTui(bench_tui::Args),
    /// Fetch and build MLX for tests and type checks off Apple Silicon
    MlxSetup(mlx::SetupArgs),
    /// Run the tests of the MLX engine
    MlxTest,
    /// Record the README's example by running it
    ReadmeExample,
    /// Record the README's pictures of the screen, in tmux
    ReadmePanes,
    /// Write the README's list of commands and keys
    ReadmeKeys,
    /// Measure opening and running one bundle, as JSON
    #[command(hide = true)]
    Probe(probe::Args),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        Task::Ci(args) => ci::run(&args),
        Task::SynthBundle(args) => synth::run(&args),
        Task::DemoBundle(args) => demo::bundle(&args),
        Task::DemoEval(args) => demo::eval(&args),
        Task::Oracle(args) => oracle::run(&args),
        Task::HeadAudit(args) => head_audit::run(&args),
        Task::HeadTime(args) => head_time::run(&args),
        Task::BenchTui(args) => bench_tui::run(&args),
        Task::MlxSetup(args) => mlx::run(&args),
        Task::MlxTest => mlx::run_tests(),
        Task::ReadmeExample => readme::record_example(),
        Task::ReadmePanes => readme::record_panes(),
        Task::ReadmeKeys => readme::write_keys(),
        Task::Probe(args) => probe::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or(manifest.clone(), PathBuf::from)
}

/// The cargo that runs this program, in the root and with nothing on its input.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command, its output passed through; `what` says in an error what was
/// being done.
fn execute(command: &mut Command, what: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{what}: {command:?} can't be started"))?;
    ensure!(status.success(), "{what} failed: {status}");
    Ok(())
}

/// The folder of material beside the repository: `CAIRN_SHARED`, or `../shared`.
fn shared() -> Result<PathBuf> {
    let folder = match std::env::var_os("CAIRN_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => root().join("../shared"),
    };
    folder.canonicalize().with_context(|| {
        format!(
            "{}: the shared folder is not there; set CAIRN_SHARED to it",
            folder.display()
        )
    })
}
