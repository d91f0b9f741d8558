//! Everything that can be typed after `cairn`: flags and subcommands as clap
//! sees them, one file per subcommand. What they mean is decided elsewhere.

mod bench;
mod cache;
mod debug;
mod names;
mod numbers;
mod permissions;
mod run;
mod sandbox;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use bench::BenchArgs;
pub use cache::{CacheArgs, CacheCommand};
pub use debug::{DebugCommand, Format, LogitsArgs, ParseArgs, RenderArgs, Skip};
pub use names::{BackendName, InstructionsName, ModeName, Output, PermissionName, Switch};
pub use permissions::{PermissionsArgs, PermissionsCommand, TrustArgs};
pub use run::{RuleList, RunArgs};
pub use sandbox::SandboxArgs;

/// A terminal coding assistant that runs its own model.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about, max_term_width = 100)]
pub struct Cli {
    /// Do this and exit; `-` reads it from stdin. Given several times: several
    /// turns of one conversation
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Vec<String>,

    #[command(flatten)]
    pub run: RunArgs,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Talk, line by line
    Repl(RunArgs),
    /// Say what is in a bundle and whether it can be used
    Inspect(InspectArgs),
    /// Measure the speed of a bundle against what this machine's memory allows
    Bench(BenchArgs),
    /// Say what is kept of prompts on disk; check it and clear it up
    Cache(CacheArgs),
    /// Run a command as the model's commands are run
    Sandbox(SandboxArgs),
    /// List the rules of what is allowed and denied, add and remove them
    Permissions(PermissionsArgs),
    /// Look at a project's own settings and let them count, or not
    Trust(TrustArgs),
    /// Say whether the sandbox holds on this machine, and what else cairn needs
    Doctor(DoctorArgs),
    /// Compare what this machine computes with plain references, kernel by kernel
    SelftestKernels(SelftestArgs),
    /// Look inside: logits, prompts, parsing
    #[command(subcommand)]
    Debug(DebugCommand),
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The bundle's folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Bundle to look at; without it CAIRN_MODEL, without that the built-in demo
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// What to test [default: mlx where the build has it, else cpu]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,
}
