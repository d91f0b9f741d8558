//! A model folder on disk: configuration, tensors by role over a memory map,
//! tokenizer, chat template, and every check that can be made before a token
//! is computed.

mod error;
mod tokenizer;
pub mod zaya;

use std::path::Path;
use std::sync::Arc;

pub use error::Error;
pub use tokenizer::{ControlToken, Tokenizer};

/// An opened bundle. Opening validates everything; what is here can be used.
pub struct Bundle {
    /// What to call it: the folder's name, or "demo (embedded)".
    pub name: String,
    pub model: Family,
    pub tokenizer: Arc<Tokenizer>,
    /// Source of the chat template, if the bundle has one.
    pub template: Option<String>,
    /// Ids that end a generation: the union of config, generation config and
    /// the template's end-of-turn marker (zaya.md section 7).
    pub stop_ids: Vec<u32>,
    /// Tokens of context the model was made for.
    pub context: usize,
    pub thinking: ThinkingSupport,
    /// Whether the tokenizer has the markers that tool calls need.
    pub tools: bool,
    /// What a bundle of ours says about how it wants to be driven.
    pub persona: Option<Persona>,
    /// Identifies weights, configuration and tokenizer: caches and sessions of
    /// another fingerprint are not this bundle's.
    pub fingerprint: String,
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
    /// Possible, off by default (JANGTQ2: thinking rarely closes).
    Optional,
    Default,
}

/// The `cairn` key of `jang_config.json`: how a small model was trained to be
/// driven. cairn offers such a model exactly this and no more.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
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

impl Bundle {
    /// Opens and validates the bundle in `dir`. Weights are mapped, not read.
    pub fn open(_dir: &Path) -> Result<Self, Error> {
        todo!()
    }

    /// Opens a bundle that is part of the program: file name and content.
    pub fn embedded(_name: &str, _files: &[(&str, &'static [u8])]) -> Result<Self, Error> {
        todo!()
    }
}
