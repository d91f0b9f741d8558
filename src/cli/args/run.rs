//! How to run a conversation: the flags of every front end.

use std::path::PathBuf;

use clap::Args;

use super::numbers::{min_p, positive, temperature, threads, top_p};
use super::{BackendName, ModeName, Output, PermissionName, Switch};
use crate::sandbox::{Network, Rule, RuleError};

/// How to run a conversation; the same for every front end.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Bundle to run; without it CAIRN_MODEL, without that the built-in demo
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Folder the tools work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// Allow without asking: write, run, write:GLOB, `run:WORDS` (commands that
    /// begin so), `run=COMMAND`, or read:GLOB for what is asked about
    #[arg(long, value_name = "RULE", value_parser = allowing)]
    pub allow: Vec<RuleList>,

    /// Refuse without asking, whatever else allows it; rules as for --allow
    #[arg(long, value_name = "RULE", value_parser = rules)]
    pub deny: Vec<RuleList>,

    /// What is asked before it is done [default: ask]
    #[arg(long, value_name = "MODE")]
    pub permission_mode: Option<PermissionName>,

    /// How far commands and tools reach [default: workspace-write]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<ModeName>,

    /// What of the network commands reach: off, loopback, or HOST:PORT, a list
    /// [default: off]
    #[arg(long, value_name = "WHAT")]
    pub net: Vec<Network>,

    /// Run commands without namespaces, where this system lets you make none: with
    /// less to hold them, and no network
    #[arg(long)]
    pub sandbox_degraded: bool,

    /// Seed of the sampler [default: drawn, and reported]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// 0 takes the most likely token
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Option<f32>,

    /// Sample from the most likely tokens that add up to P; 1 is off
    #[arg(long, value_name = "P", value_parser = top_p, allow_negative_numbers = true)]
    pub top_p: Option<f32>,

    /// Sample from the K most likely tokens; 0 is off
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,

    /// Drop tokens less likely than P times the most likely; 0 is off
    #[arg(long, value_name = "P", value_parser = min_p, allow_negative_numbers = true)]
    pub min_p: Option<f32>,

    /// Most tokens the model may write in one turn
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_tokens: Option<usize>,

    /// Most answers of the model (each may call tools) in one turn [default: 24]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_steps: Option<usize>,

    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// Compute every logit of every token exactly, on the CPU
    #[arg(long)]
    pub full_head: bool,

    /// What to compute on [default: mlx on Apple Silicon, cpu elsewhere]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,

    /// Let the model reason before it answers [default: by bundle]
    #[arg(long, value_name = "on|off")]
    pub thinking: Option<Switch>,

    /// Give the model what AGENTS.md files say, from the workspace up to the
    /// repository [default: on]
    #[arg(long, value_name = "on|off")]
    pub memory: Option<Switch>,

    /// Text for people, or one JSON object per line [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<Output>,
}

impl RunArgs {
    /// These, and what only `outer` says: flags before a subcommand count, too.
    pub fn or(self, outer: Self) -> Self {
        Self {
            model: self.model.or(outer.model),
            workspace: self.workspace.or(outer.workspace),
            allow: match self.allow.is_empty() {
                true => outer.allow,
                false => self.allow,
            },
            deny: match self.deny.is_empty() {
                true => outer.deny,
                false => self.deny,
            },
            permission_mode: self.permission_mode.or(outer.permission_mode),
            mode: self.mode.or(outer.mode),
            net: match self.net.is_empty() {
                true => outer.net,
                false => self.net,
            },
            sandbox_degraded: self.sandbox_degraded || outer.sandbox_degraded,
            seed: self.seed.or(outer.seed),
            temperature: self.temperature.or(outer.temperature),
            top_p: self.top_p.or(outer.top_p),
            top_k: self.top_k.or(outer.top_k),
            min_p: self.min_p.or(outer.min_p),
            max_tokens: self.max_tokens.or(outer.max_tokens),
            max_steps: self.max_steps.or(outer.max_steps),
            threads: self.threads.or(outer.threads),
            full_head: self.full_head || outer.full_head,
            backend: self.backend.or(outer.backend),
            thinking: self.thinking.or(outer.thinking),
            memory: self.memory.or(outer.memory),
            output: self.output.or(outer.output),
        }
    }
}

/// What one `--allow` or `--deny` says: `write,run`, or one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleList(pub Vec<Rule>);

fn rules(text: &str) -> Result<RuleList, RuleError> {
    let plain = |word: &str| match word.trim() {
        "write" => Some(Rule::Write),
        "run" => Some(Rule::Run),
        _ => None,
    };
    match text.split(',').map(plain).collect() {
        Some(list) => Ok(RuleList(list)),
        None => Ok(RuleList(vec![text.parse()?])),
    }
}

fn allowing(text: &str) -> Result<RuleList, RuleError> {
    let list = rules(text)?.0.into_iter().map(Rule::can_allow);
    list.collect::<Result<_, _>>().map(RuleList)
}
