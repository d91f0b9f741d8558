//! `cairn sandbox`.

use std::path::PathBuf;

use clap::Args;

use super::ModeName;
use crate::sandbox::Network;

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// How far the command reaches [default: workspace-write]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<ModeName>,

    /// What of the network it reaches: off, loopback, or HOST:PORT, a list [default:
    /// off]
    #[arg(long, value_name = "WHAT")]
    pub net: Vec<Network>,

    /// Run it without namespaces, where this system lets you make none: with less to
    /// hold it, and no network
    #[arg(long)]
    pub sandbox_degraded: bool,

    /// Folder it works in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// Most seconds it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,

    /// Most memory it may take with all that it starts [default: most of what is
    /// available]
    #[arg(long, value_name = "MEGABYTES")]
    pub memory: Option<u64>,

    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<String>,
}
