//! `cairn cache`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub what: Option<CacheCommand>,

    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Print what is kept, by bundle (so does no command at all)
    List,
    /// Read every block and remove what is broken; 1 if something was
    Verify,
    /// Remove the longest unused blocks over the limit, and what killed cairns left
    Gc,
}
