//! The built-in tools. What the model and the policy are told about each is in
//! `tools/NAME.toml`; the code is in `src/tools/NAME.rs`. Every output is
//! bounded text in the shape that models are trained on.

mod command;
mod command_output;
mod diff;
mod edit_file;
mod git;
mod given;
mod history;
mod jobs;
mod list_dir;
mod manifest;
mod nearest;
mod read_file;
mod run_command;
mod search;
mod stop_command;
mod toolbox;
mod trailing;
mod write_file;

pub use given::{NotGiven, plain_text};
pub use jobs::Background;
pub use manifest::{Detail, Manifest, ManifestError};
pub use toolbox::{Limits, Toolbox};

use serde_json::{Map, Value};

/// The result of a call that the user did not permit.
pub const DENIED: &str = "error: denied by the user";

/// That there is no undo, and why.
fn undo_off(why: &str) -> String {
    format!("undo is off: {why}")
}

/// What came of a call. `output` is what the model reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub ok: bool,
    pub output: String,
    /// Something was cut from the middle; the output says so.
    pub truncated: bool,
    /// The workspace or the sandbox refused.
    pub refused: bool,
    /// What a tool has changed in a file, as a question about it shows it: mostly a
    /// unified diff. The model doesn't read it.
    pub change: String,
}

/// A call as the model made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// What a call would do, as far as permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    Read,
    Write,
    Run,
}
