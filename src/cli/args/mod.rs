//! Everything that can be typed after `cairn`: flags and subcommands as clap
//! sees them, one file per subcommand. What they mean is decided elsewhere.

mod bench;
mod cache;
mod config;
mod debug;
mod names;
mod numbers;
mod permissions;
mod run;
mod sandbox;
mod sessions;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use bench::BenchArgs;
pub use cache::{CacheArgs, CacheCommand};
pub use config::{ConfigArgs, ConfigCommand};
pub use debug::{DebugCommand, Format, LogitsArgs, ParseArgs, RenderArgs, Skip};
pub use names::{BackendName, InstructionsName, ModeName, Output, PermissionName, Switch};
pub use permissions::{PermissionsArgs, PermissionsCommand, TrustArgs};
pub use run::{ForkPoint, RuleList, RunArgs};
pub use sandbox::SandboxArgs;
pub use sessions::{ExportFormat, ReplayArgs, SessionsArgs, SessionsCommand, TraceArgs};

use numbers::positive;

/// A terminal coding assistant that runs its own model.
///
/// `cairn` alone begins a conversation: on a terminal with a screen of its own, the
/// model's reasoning beside it (? lists its keys), elsewhere line by line, as `cairn
/// repl` does everywhere. `cairn --prompt TEXT` does one task.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about, max_term_width = 100)]
pub struct Cli {
    /// Do this and exit; `-` reads it from stdin. Given several times: several
    /// turns of one conversation
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Vec<String>,

    /// Stay at the end of the terminal's own screen, so that what is finished scrolls
    /// into its memory
    #[arg(long)]
    pub inline: bool,

    #[command(flatten)]
    pub run: RunArgs,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Talk, line by line
    Repl(Box<RunArgs>),
    /// Say what is in a bundle and whether it can be used
    Inspect(InspectArgs),
    /// List the bundles on this machine, and whether they fit its memory
    Models(ModelsArgs),
    /// Measure the speed of a bundle against what this machine's memory allows
    Bench(BenchArgs),
    /// Say what is kept of prompts on disk; check it and clear it up
    Cache(CacheArgs),
    /// Run a command as the model's commands are run
    Sandbox(SandboxArgs),
    /// Show the settings and where each comes from, edit them, check them
    Config(ConfigArgs),
    /// List the sessions that are kept; show, export and remove them
    Sessions(SessionsArgs),
    /// Walk in the reasoning of a stored session, without loading a model
    Trace(TraceArgs),
    /// Run a session again and fail at the first token that differs
    Replay(ReplayArgs),
    /// List the rules of what is allowed and denied, add and remove them
    Permissions(PermissionsArgs),
    /// Look at a project's own settings and let them count, or not
    Trust(TrustArgs),
    /// Say whether the sandbox holds on this machine, and what else cairn needs
    Doctor(DoctorArgs),
    /// Compare what this machine computes with plain references, kernel by kernel
    SelftestKernels(SelftestArgs),
    /// Print the completions of a shell: `source <(cairn completions bash)`
    Completions(CompletionsArgs),
    /// Print the manual page: `cairn man > cairn.1`
    Man(ManArgs),
    /// Look inside: logits, prompts, parsing
    #[command(subcommand)]
    Debug(DebugCommand),
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The bundle: a folder, or a name that `cairn models` lists [default: the
    /// configured one, else the built-in demo]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Tokens of context that have to fit beside the weights; less where a model
    /// has less
    #[arg(long, value_name = "N", default_value_t = 32_768, value_parser = positive)]
    pub context: usize,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Bundle to look at: a folder, or a name that `cairn models` lists [default: the
    /// configured one, else the built-in demo]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// What to test [default: mlx where the build has it, else cpu]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,
}
