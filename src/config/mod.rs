//! What a person, or a project, wrote down: `config.toml` in the user's config
//! folder, and `.cairn/config.toml` in a workspace. The user's says what may be
//! done; a project's can only tighten that, and counts when the user trusts it.
//! The other settings come in layers, of which the last that says something counts.

mod commands;
mod document;
mod file;
mod layer;
mod project;
pub mod settings;
mod trust;
mod user;

pub use commands::{UserCommand, UserCommands};
pub use document::{Author, Document, Entry};
pub use layer::Layer;
pub use project::{PROJECT_FILE, Project};
pub use trust::Trust;
pub use user::{List, User};

use std::fmt;
use std::path::PathBuf;

/// Why a file of settings can't be used. One line: where, what, what to do.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    place: PathBuf,
    line: Option<usize>,
    why: String,
}

impl ConfigError {
    pub fn new(place: impl Into<PathBuf>, why: impl fmt::Display) -> Self {
        Self {
            place: place.into(),
            line: None,
            why: why.to_string(),
        }
    }

    /// The line of a byte of the text.
    fn at(mut self, text: &str, byte: Option<usize>) -> Self {
        let before = byte.and_then(|byte| text.get(..byte));
        self.line = before.map(|before| before.matches('\n').count() + 1);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.why)
    }
}
