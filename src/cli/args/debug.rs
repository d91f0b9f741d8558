//! `cairn debug`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::{positive, threads};
use super::{BackendName, InstructionsName};

#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Compute the logits of given tokens and write them to a file
    Logits(LogitsArgs),
    /// Print the prompt that messages on stdin become
    Render(RenderArgs),
    /// Print what model output on stdin is parsed to
    Parse(ParseArgs),
}

#[derive(Debug, Args)]
pub struct LogitsArgs {
    /// Bundle to run
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,

    /// Token ids, separated by commas
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    pub tokens: Vec<u32>,

    /// Prefill in chunks of N tokens
    #[arg(long, value_name = "N", value_parser = positive)]
    pub chunk: Option<usize>,

    /// Run the tokens from this one on one at a time
    #[arg(long, value_name = "K")]
    pub decode_from: Option<usize>,

    /// Keep keys and values in 32 bits
    #[arg(long)]
    pub f32_cache: bool,

    /// What a skipped token's experts give: its scaled input, or zero
    #[arg(long, value_name = "MODE")]
    pub skip: Option<Skip>,

    /// Use the engine's default path instead of f32 activations and the full head
    #[arg(long)]
    pub fast: bool,

    /// Use no more of what the processor has than this
    #[arg(long, value_name = "LEVEL")]
    pub instructions: Option<InstructionsName>,

    /// File for the tensor `logits` [tokens, vocabulary]
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// What to compute on [default: mlx on Apple Silicon, cpu elsewhere]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Skip {
    Scaled,
    Zero,
}

#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Bundle whose template and tokenizer to use
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,

    /// Print token ids, as one JSON array
    #[arg(long)]
    pub ids: bool,
}

#[derive(Debug, Args)]
pub struct ParseArgs {
    /// How the model writes tool calls
    #[arg(long, value_name = "NAME", default_value = "zaya_xml")]
    pub format: Format,

    /// The tools: a JSON list, or an object with `tools`
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// Start inside reasoning
    #[arg(long)]
    pub thinking: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[value(name = "zaya_xml", aliases = ["zaya", "zyphra"])]
    ZayaXml,
}
