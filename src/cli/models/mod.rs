//! `cairn models`: the bundles on this machine, and what each is called.

use std::path::{Path, PathBuf};

use crate::config::settings::{Model, Resolved};

/// The folder of the bundle that is called so; `None` is the demo.
///
/// # Errors
/// With one line, for a name that no bundle has, or several have.
pub fn folder(model: &Model, _settings: &Resolved) -> Result<Option<PathBuf>, String> {
    match model {
        Model::Typed(text) | Model::Written(text) => Ok(Some(Path::new(text).to_owned())),
    }
}
