//! The first line of a session's log: what decides, besides the entries, what
//! the model reads and writes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::machine::Limits;
use crate::agent::settings::Calls;
use crate::bundle::Bundle;
use crate::chat::{Thinking, ToolSpec};
use crate::generate::Sampling;

/// Version of the log's format. Older ones stay readable.
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "session")]
pub struct Header {
    pub v: u32,
    pub id: String,
    /// Version of the program that began it.
    pub cairn: String,
    pub bundle: BundleName,
    /// What decides the bits of results, see `model::EngineInfo::numerics`.
    pub numerics: String,
    pub workspace: PathBuf,
    /// The system message and the tools as the model is told of them: kept, so
    /// that a later version's words don't change a prompt that is in the cache.
    pub system: String,
    pub tools: Vec<ToolSpec>,
    /// What the first message begins with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preamble: String,
    pub settings: Chosen,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleName {
    pub name: String,
    pub fingerprint: String,
    /// Where it was; `None` for the one that comes with the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl BundleName {
    pub fn of(bundle: &Bundle, path: Option<&Path>) -> Self {
        Self {
            name: bundle.name.clone(),
            fingerprint: bundle.fingerprint.clone(),
            path: path.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned())),
        }
    }
}

/// What a person chose of what decides the tokens of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    pub sampling: Sampling,
    pub thinking: Thinking,
    pub limits: Limits,
    #[serde(default)]
    pub calls: Calls,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkedFrom {
    pub session: String,
    /// The last entry that the two have in common.
    pub entry: u64,
}
