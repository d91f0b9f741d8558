//! `list_dir`: one name per line, files before folders, folders with a slash at
//! the end.

use super::toolbox::{Answer, Context, bounded, path_error};
use crate::sandbox::text::bound;
use crate::sandbox::{FileError, sanitize};

/// A folder with more is not something to list for a model.
const MAX_ENTRIES: usize = 100_000;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let entries = context
        .workspace
        .list(path, MAX_ENTRIES)
        .map_err(|error| match error {
            FileError::NotFound => format!("no such directory: {path}").into(),
            other => path_error(path, &other),
        })?;
    let mut names: Vec<String> = entries
        .iter()
        .filter(|entry| entry.name != ".git")
        .map(|entry| {
            // A line break in a name must not look like two files.
            let name = sanitize::for_line(&entry.name);
            format!("{name}{}", if entry.folder { "/" } else { "" })
        })
        .collect();
    if names.is_empty() {
        names.push("(empty)".into());
    }
    bounded(bound(&names.join("\n"), context.limits.output()))
}
