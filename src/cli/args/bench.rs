//! `cairn bench`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::{positive, sequences, threads};
use super::{BackendName, InstructionsName};

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Bundle to run: a folder, or a name that `cairn models` lists [default: the
    /// configured one, else the built-in demo]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// Tokens of the prompt whose prefill is timed
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = positive)]
    pub prompt: usize,

    /// Tokens to decode in each run
    #[arg(long = "gen", value_name = "N", default_value_t = 64, value_parser = positive)]
    pub generate: usize,

    /// Tokens in the cache when decode starts, a list; the first counts as the speed
    #[arg(
        long,
        value_name = "LIST",
        default_value = "0,4096,32768",
        value_delimiter = ','
    )]
    pub context: Vec<usize>,

    /// Sequences in one step, a list
    #[arg(long, value_name = "LIST", default_value = "1,8", value_delimiter = ',', value_parser = sequences)]
    pub batch: Vec<usize>,

    /// Most runs of each measurement; slow ones end earlier
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive)]
    pub repeats: usize,

    /// Use no more of what the processor has than this
    #[arg(long, value_name = "LEVEL")]
    pub instructions: Option<InstructionsName>,

    /// What to compute on [default: mlx on Apple Silicon, cpu elsewhere]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
