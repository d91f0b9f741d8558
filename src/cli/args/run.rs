//! How to run a conversation: the flags of every front end.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::numbers::{min_p, positive, temperature, threads, top_p};
use super::{BackendName, ModeName, Output, PermissionName, Switch};
use crate::config::settings::LEVELS;
use crate::sandbox::{Network, Rule, RuleError};

/// How to run a conversation; the same for every front end.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Bundle to run: a folder, or a name that `cairn models` lists [default: the
    /// built-in demo]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Folder the tools work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// Go on with the session of this workspace that was used last
    #[arg(long = "continue", conflicts_with_all = ["resume", "fork"])]
    pub continue_last: bool,

    /// Go on with a session, named by its id or the beginning of it
    #[arg(long, value_name = "ID", conflicts_with = "fork")]
    pub resume: Option<String>,

    /// Go on with a copy of a session, from its end or from an entry of it
    #[arg(long, value_name = "ID[@ENTRY]")]
    pub fork: Option<ForkPoint>,

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

    /// Keep what was computed of prompts on disk, and take it from there [default: on]
    #[arg(long, value_name = "on|off")]
    pub cache: Option<Switch>,

    /// Let the model reason before it answers [default: by bundle]
    #[arg(long, value_name = "on|off")]
    pub thinking: Option<Switch>,

    /// Hold tool calls to what the tools take [default: on]
    #[arg(long, value_name = "on|off")]
    pub grammar: Option<Switch>,
    /// Give the model what AGENTS.md files say, from the workspace up to the
    /// repository [default: on]
    #[arg(long, value_name = "on|off")]
    pub memory: Option<Switch>,

    /// Text for people, or one JSON object per line [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<Output>,

    /// Use the settings of [profiles.NAME] in your config
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// How much is written to the log file [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LEVELS))]
    pub log_level: Option<String>,
}

impl RunArgs {
    /// These, and what only `outer` says: flags before a subcommand count, too.
    pub fn or(self, outer: Self) -> Self {
        Self {
            model: self.model.or(outer.model),
            workspace: self.workspace.or(outer.workspace),
            continue_last: self.continue_last || outer.continue_last,
            resume: self.resume.or(outer.resume),
            fork: self.fork.or(outer.fork),
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
            cache: self.cache.or(outer.cache),
            thinking: self.thinking.or(outer.thinking),
            grammar: self.grammar.or(outer.grammar),
            memory: self.memory.or(outer.memory),
            output: self.output.or(outer.output),
            profile: self.profile.or(outer.profile),
            log_level: self.log_level.or(outer.log_level),
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

/// What `--fork` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkPoint {
    pub session: String,
    pub entry: Option<u64>,
}

impl FromStr for ForkPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (session, entry) = match text.split_once('@') {
            None => (text, None),
            Some((session, entry)) => {
                let entry = entry.parse();
                let entry = entry.map_err(|_| "what follows the @ is no number of an entry")?;
                (session, Some(entry))
            }
        };
        Ok(Self {
            session: session.to_owned(),
            entry,
        })
    }
}
