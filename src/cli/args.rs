//! Everything that can be typed after `cairn`: flags and subcommands as clap
//! sees them. What they mean is decided elsewhere.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::backend::cpu::Instructions;
use crate::model::BackendKind;
use crate::sandbox::{Mode, Network, Permission, Rule, RuleError};

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

fn allowing_one(text: &str) -> Result<Rule, RuleError> {
    text.parse::<Rule>().and_then(Rule::can_allow)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PermissionName {
    /// Changes of files and commands
    Ask,
    /// Commands
    AcceptEdits,
    /// Nothing: only what reads is done
    Plan,
}

impl From<PermissionName> for Permission {
    fn from(name: PermissionName) -> Self {
        match name {
            PermissionName::Ask => Self::Ask,
            PermissionName::AcceptEdits => Self::AcceptEdits,
            PermissionName::Plan => Self::Plan,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Nothing but private temporary files is written
    ReadOnly,
    /// The workspace is written, but for what other programs run by
    #[default]
    WorkspaceWrite,
    /// No confinement at all
    Danger,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::ReadOnly => Self::ReadOnly,
            ModeName::WorkspaceWrite => Self::WorkspaceWrite,
            ModeName::Danger => Self::Danger,
        }
    }
}

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

#[derive(Debug, Args)]
pub struct PermissionsArgs {
    #[command(subcommand)]
    pub what: Option<PermissionsCommand>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PermissionsCommand {
    /// Print the rules (so does no command at all)
    List,
    /// Add a rule that allows
    Allow {
        #[arg(value_name = "RULE", value_parser = allowing_one)]
        rule: Rule,
    },
    /// Add a rule that denies; these win
    Deny {
        #[arg(value_name = "RULE")]
        rule: Rule,
    },
    /// Take a rule away, named as the list has it
    Remove {
        #[arg(value_name = "RULE")]
        rule: Rule,
    },
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The project's folder [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// Trust what is there without a question
    #[arg(long, conflicts_with = "forget")]
    pub yes: bool,

    /// Trust it no longer
    #[arg(long)]
    pub forget: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Cpu,
    Mlx,
}

impl BackendName {
    /// The backend that was asked for, or the default.
    pub fn chosen(asked: Option<Self>) -> BackendKind {
        Self::asked(asked).unwrap_or_default()
    }

    /// The backend that was asked for.
    pub fn asked(asked: Option<Self>) -> Option<BackendKind> {
        asked.map(|name| match name {
            Self::Cpu => BackendKind::Cpu,
            Self::Mlx => BackendKind::Mlx,
        })
    }
}

/// Levels of vector instructions, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InstructionsName {
    Portable,
    Neon,
    Avx2,
    Avx512,
    Amx,
}

impl From<InstructionsName> for Instructions {
    fn from(name: InstructionsName) -> Self {
        match name {
            InstructionsName::Portable => Self::Portable,
            InstructionsName::Neon => Self::Neon,
            InstructionsName::Avx2 => Self::Avx2,
            InstructionsName::Avx512 => Self::Avx512,
            InstructionsName::Amx => Self::Amx,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Jsonl,
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
pub struct BenchArgs {
    /// Bundle to run; without it CAIRN_MODEL, without that the built-in demo
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

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".into()),
    }
}

/// More threads than any machine has cores only wait for each other.
const MOST_THREADS: usize = 256;

fn threads(text: &str) -> Result<usize, String> {
    positive(text).and_then(|number| match number {
        1..=MOST_THREADS => Ok(number),
        _ => Err(format!("must be at most {MOST_THREADS}")),
    })
}

/// More sequences than anybody runs at once.
const MOST_SEQUENCES: usize = 256;

fn sequences(text: &str) -> Result<usize, String> {
    positive(text).and_then(|number| match number {
        1..=MOST_SEQUENCES => Ok(number),
        _ => Err(format!("must be at most {MOST_SEQUENCES}")),
    })
}

fn number(text: &str, fits: impl Fn(f32) -> bool, wanted: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|&value: &f32| value.is_finite() && fits(value))
        .ok_or_else(|| format!("must be {wanted}"))
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text, |t| t >= 0.0, "a number of at least 0")
}

fn top_p(text: &str) -> Result<f32, String> {
    number(text, |p| p > 0.0 && p <= 1.0, "above 0 and at most 1")
}

fn min_p(text: &str) -> Result<f32, String> {
    number(text, |p| (0.0..1.0).contains(&p), "at least 0 and below 1")
}
