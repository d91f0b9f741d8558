//! `cairn config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub what: Option<ConfigCommand>,

    /// Folder whose project settings count [default: the current one]
    #[arg(long, value_name = "DIR", global = true)]
    pub workspace: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting, its value, and which layer says so (so does no command)
    Show,
    /// Print which files count
    Path,
    /// Open your config.toml in $VISUAL or $EDITOR, and keep what is right
    Edit,
    /// Say what is wrong with the files and variables
    Check,
}
