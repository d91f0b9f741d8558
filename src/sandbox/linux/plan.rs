//! What a confined command is to be given, as the parent tells it to the launcher,
//! and what the launcher tells back. Both are one JSON value, after four bytes of
//! its length, on the socket that is the launcher's standard input.

use std::fmt;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use crate::sandbox::network::Network;

/// More than any plan or report has.
const MOST_BYTES: usize = 16 << 20;

/// All that the launcher needs to know. Paths are absolute unless said otherwise.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub argv: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub workspace: Place,
    /// Whether the workspace can be written.
    pub writable: bool,
    pub network: Network,
    /// Beneath the workspace and relative to it: what exists and stays where it is.
    pub held: Vec<String>,
    /// As above: what exists and stays as it is. Some of it may be in what is held.
    pub protected: Vec<String>,
    /// Files and folders that look empty.
    pub hidden: Vec<String>,
    /// Empty folders of its own in place of these, with so many bytes.
    pub private: Vec<(String, u64)>,
    /// What is seen of such a folder after all, read-only.
    pub kept: Vec<String>,
    /// Whom the command runs as, if this is started by root.
    pub guest: Option<Guest>,
    pub limits: ProcessLimits,
    /// What it may reach instead of a view of its own, if there are no namespaces.
    pub grants: Option<Grants>,
    /// A layer that is to fail, for tests: this can only refuse.
    pub broken: Option<Layer>,
}

/// What a command reaches that has no view of its own: nothing else. Each with all
/// below it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Grants {
    /// Absolute.
    pub read: Vec<String>,
    /// Beneath the workspace and relative to it, `.` for itself.
    pub read_there: Vec<String>,
    pub write_there: Vec<String>,
    /// A folder of its own, absolute, which is made for it and taken away again.
    pub temporary: String,
}

/// A folder, by its name and by what it is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub path: String,
    pub device: u64,
    pub inode: u64,
}

/// An identity without privileges, user and group of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    pub id: u32,
}

/// What the system itself enforces. Bytes, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimits {
    pub processes: u64,
    pub file_bytes: u64,
    pub open_files: u64,
}

/// A part of the confinement, each of which must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    Namespaces,
    View,
    Identity,
    Network,
    Limits,
    Capabilities,
    Landlock,
    Seccomp,
    /// The command itself.
    Start,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::View => "the view of files",
            Self::Identity => "the unprivileged identity",
            Self::Network => "the network",
            Self::Limits => "limits",
            Self::Capabilities => "capabilities",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::Start => "the command",
        })
    }
}

/// What became of the command.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Not the last one: here is the port to answer at.
    Listening,
    Exit(i32),
    Signal(i32),
    /// It was not started.
    Refused(Refusal),
}

/// Why a layer could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub layer: Layer,
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer, self.why)
    }
}

/// Names the layer and the step that failed.
pub trait Within<T> {
    fn within(self, layer: Layer, step: impl fmt::Display) -> Result<T, Refusal>;
}

impl<T, E: fmt::Display> Within<T> for Result<T, E> {
    fn within(self, layer: Layer, step: impl fmt::Display) -> Result<T, Refusal> {
        self.map_err(|error| Refusal {
            layer,
            why: format!("{step}: {error}"),
        })
    }
}

/// # Errors
/// When the other side is gone.
pub fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&[&length.to_le_bytes()[..], &text].concat())
}

/// # Errors
/// When the other side is gone or says something else.
pub fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_BYTES {
        return Err(io::Error::other("a message without end"));
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
