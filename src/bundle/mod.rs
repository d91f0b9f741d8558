//! A model folder on disk: configuration, tensors by role over a memory map,
//! tokenizer, chat template, and every check that can be made before a token
//! is computed.

mod error;
mod fingerprint;
mod guard;
mod index;
mod json;
mod open;
mod reader;
mod report;
mod scan;
mod shard;
mod sidecar;
mod storage;
mod template;
mod tokenizer;
pub mod zaya;

use std::path::Path;
use std::sync::Arc;

use crate::quant::Bytes;

pub use error::Error;
pub use report::{Bits, Capabilities, Parameters, Report, TemplateReport};
pub use template::TemplateSource;
pub use tokenizer::{ControlToken, Tokenizer};

use storage::Storage;

/// An opened bundle. Opening validates everything; what is here can be used.
pub struct Bundle {
    /// What to call it: the folder's name, or "demo (embedded)".
    pub name: String,
    pub model: Family,
    pub layout: zaya::Layout,
    pub tokenizer: Arc<Tokenizer>,
    /// Source of the chat template, if the bundle has one.
    pub template: Option<String>,
    /// Where the template came from.
    pub template_source: Option<TemplateSource>,
    /// Ids that end a generation: the union of config, generation config and
    /// the template's end-of-turn marker. Sorted.
    pub stop_ids: Vec<u32>,
    /// Tokens of context the model was made for, or its persona was trained on.
    pub context: usize,
    pub thinking: ThinkingSupport,
    /// Whether the tokenizer has the markers that tool calls need.
    pub tools: bool,
    /// What a bundle of ours says about how it wants to be driven.
    pub persona: Option<Persona>,
    /// Identifies weights, configuration and tokenizer: caches and sessions of
    /// another fingerprint are not this bundle's.
    pub fingerprint: String,
    /// Bytes of all weight files.
    pub bytes: u64,
    /// Lines for the user: odd but usable.
    pub warnings: Vec<String>,
}

/// The model family with its tensors by role.
pub enum Family {
    Zaya(Box<zaya::Tensors>),
}

/// Whether thinking works, and whether it is a good default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingSupport {
    None,
    /// Possible, off by default (2-bit experts: thinking rarely closes).
    Optional,
    Default,
}

/// The `cairn` key of `jang_config.json`: how a small model was trained to be
/// driven. cairn offers such a model exactly this and no more.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Persona {
    /// One line for the user about what this model is.
    pub notice: String,
    /// The whole system prompt, verbatim.
    pub system_prompt: String,
    /// Names of the tools it knows.
    pub tools: Vec<String>,
    /// Most tokens of context it was trained on.
    pub context: usize,
    /// Most tokens of one reply.
    pub max_tokens: usize,
}

/// What the headers of a bundle's files say. Whether the numbers in them are sound
/// only opening finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Number format of the experts, as in [`Report`].
    pub format: &'static str,
    /// Bytes of all weight files.
    pub bytes: u64,
    /// Most tokens of context.
    pub context: usize,
    /// Bytes of keys and values per token of context.
    pub kv_bytes: u64,
}

impl Glance {
    /// Looks at the bundle in `dir`, as [`Bundle::open`] does, but not into it.
    pub fn folder(dir: &Path) -> Result<Self, Error> {
        open::glance(&Storage::folder(dir)?)
    }

    /// The same for one that is part of the program.
    pub fn embedded(files: &[(&str, &'static [u8])]) -> Result<Self, Error> {
        open::glance(&embedded(files))
    }
}

fn embedded(files: &[(&str, &'static [u8])]) -> Storage {
    let files = files.iter().map(|(file, content)| {
        let bytes = Bytes::new(Arc::new(*content), 0..content.len());
        ((*file).to_owned(), bytes)
    });
    Storage::Memory(files.collect())
}

impl Bundle {
    /// Opens and validates the bundle in `dir`. Weights are mapped, not read,
    /// so its files must not be changed while the bundle is in use: if one is cut
    /// short meanwhile, the system ends the process (SIGBUS).
    pub fn open(dir: &Path) -> Result<Self, Error> {
        // `.` and `..` have no name of their own.
        let full = dir.canonicalize();
        let name = full.as_deref().unwrap_or(dir).file_name();
        let name = name.map_or_else(|| "bundle".into(), |n| n.to_string_lossy());
        open::open(error::shown(&name), &Storage::folder(dir)?)
    }

    /// Opens a bundle that is part of the program: file name and content.
    pub fn embedded(name: &str, files: &[(&str, &'static [u8])]) -> Result<Self, Error> {
        open::open(name.to_owned(), &embedded(files))
    }

    /// Opens a bundle that was put together in memory.
    pub fn from_memory(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self, Error> {
        let files = files
            .into_iter()
            .map(|(file, content)| (file, Bytes::from_vec(content)))
            .collect();
        open::open(name.to_owned(), &Storage::Memory(files))
    }

    /// What `cairn inspect` shows.
    pub fn report(&self) -> Report {
        Report::of(self)
    }
}
