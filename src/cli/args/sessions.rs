//! `cairn sessions`, `cairn trace` and `cairn replay`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::{positive, threads};
use super::{BackendName, Switch};

#[derive(Debug, Args)]
pub struct SessionsArgs {
    #[command(subcommand)]
    pub what: Option<SessionsCommand>,

    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// Print a table, the newest first (so does no command at all)
    List,
    /// Print the entries of a session with their numbers
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Write a session for reading elsewhere
    Export {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,

        /// JSON has every token with its alternatives
        #[arg(long, value_name = "FORMAT", default_value = "markdown")]
        format: ExportFormat,
    },
    /// Remove sessions
    Rm {
        /// Their ids, or the beginnings of them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Remove sessions in which nothing was said, and what killed processes left
    Gc {
        /// And those that were not used for so many days
        #[arg(long, value_name = "N", value_parser = positive)]
        days: Option<usize>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Markdown,
    Json,
}

#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Its id, or the beginning of it, and with @ the turn, counted from 1
    #[arg(value_name = "ID[@TURN]")]
    pub what: String,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The session's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,

    /// Run the tools again, where they were allowed, instead of taking their results
    /// from the session
    #[arg(long)]
    pub live_tools: bool,

    /// Bundle to run [default: the session's]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// Prefill in chunks of N tokens
    #[arg(long, value_name = "N", value_parser = positive)]
    pub chunk: Option<usize>,

    /// Use what is kept of prompts on disk, or compute all of it
    #[arg(long, value_name = "on|off")]
    pub cache: Option<Switch>,

    /// What to compute on [default: mlx on Apple Silicon, cpu elsewhere]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
