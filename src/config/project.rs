//! A workspace's own settings. Whoever wrote the workspace wrote them, so they
//! count only once the user has seen them, and then they only tighten.

use std::path::Path;

use super::{Author, ConfigError, Document, Trust};
use crate::sandbox::{Decision, FileError, Policy, Rules, Workspace};

/// Where they are.
pub const PROJECT_FILE: &str = ".cairn/config.toml";

const MAX_BYTES: u64 = 64 * 1024;

/// The file as it was read, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub text: String,
}

impl Project {
    /// `None` where there is none.
    ///
    /// # Errors
    /// For one that can't be read.
    pub fn find(workspace: &Workspace) -> Result<Option<Self>, ConfigError> {
        let fault = |why: &dyn std::fmt::Display| ConfigError::new(PROJECT_FILE, why);
        match workspace.read(PROJECT_FILE, MAX_BYTES) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(Self { text })),
                Err(_) => Err(fault(&"not UTF-8 text")),
            },
            Err(FileError::NotFound | FileError::NotDirectory) => Ok(None),
            Err(error) => Err(fault(&error)),
        }
    }

    /// # Errors
    /// For what can't be understood, and what only the user may say.
    pub fn parse(&self) -> Result<Document, ConfigError> {
        self.read().usable()
    }

    /// The same, with all that is wrong with it.
    pub fn read(&self) -> Document {
        let place = Path::new(PROJECT_FILE);
        let mut document = Document::parse(&self.text, place, Author::Project);
        if !document.layer.allow.is_empty() {
            let why = "permissions.allow is the user's alone (`cairn permissions allow`)";
            document.problems.push(ConfigError::new(place, why));
        }
        document
    }

    /// Whether the user trusts exactly this text in this folder.
    pub fn is_trusted(&self, root: &Path, trust: &Trust) -> Result<bool, ConfigError> {
        Ok(trust.text(root)?.as_deref() == Some(&self.text))
    }

    /// The policy, tightened by what the file says.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn tighten(&self, policy: &Policy) -> Result<Policy, ConfigError> {
        let layer = self.parse()?.layer;
        Ok(policy.tighten(&Rules {
            write: layer.write.unwrap_or(Decision::Allow),
            run: layer.run.unwrap_or(Decision::Allow),
            allow: Vec::new(),
            deny: layer.deny,
            mode: layer.mode.unwrap_or(policy.mode()),
            network: layer.network.unwrap_or(policy.network().clone()),
            strength: policy.strength(),
        }))
    }
}
