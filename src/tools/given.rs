//! Files that the model is given without having asked: project memory, and what the
//! user attaches. The same folder, the same policy as for the tools; a file that
//! would be asked about is not given.

use serde_json::{Map, Value};

use super::Call;
use super::read_file::{has_crlf_only, is_binary};
use super::toolbox::{MAX_FILE_BYTES, Toolbox};
use crate::sandbox::{Decision, FileError};

/// Why a file is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGiven {
    /// There is none.
    Missing,
    Folder,
    /// A reason to stand after the path.
    Because(String),
}

impl Toolbox {
    /// The text of a file that the model may read without a question.
    ///
    /// # Errors
    /// Why it is not given.
    pub fn give(&self, path: &str) -> Result<String, NotGiven> {
        let read = self.workspace().read(path, MAX_FILE_BYTES);
        let bytes = read.map_err(|error| match error {
            FileError::NotFound | FileError::NotDirectory | FileError::BrokenLink => {
                NotGiven::Missing
            }
            FileError::IsDirectory => NotGiven::Folder,
            other => NotGiven::Because(other.to_string()),
        })?;
        let call = Call {
            name: "read_file".into(),
            arguments: Map::from_iter([("path".to_owned(), Value::from(path))]),
        };
        match self.decide(&call) {
            Decision::Allow => {
                plain_text(&bytes).ok_or_else(|| NotGiven::Because("not a text file".into()))
            }
            Decision::Ask => Err(NotGiven::Because(
                "the rules want to be asked before it is read".into(),
            )),
            Decision::Deny => Err(NotGiven::Because("denied by the settings".into())),
        }
    }
}

/// A file's bytes as a model reads them; `None` if they are no text.
pub fn plain_text(bytes: &[u8]) -> Option<String> {
    if is_binary(bytes) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    Some(match has_crlf_only(text) {
        true => text.replace("\r\n", "\n"),
        false => text.to_owned(),
    })
}
