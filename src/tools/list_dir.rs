//! `list_dir`: one name per line, files before folders, folders with a slash at
//! the end. What `.gitignore` files exclude is counted, not named.

use super::toolbox::{Answer, Context, bounded, path_error};
use crate::sandbox::text::bound;
use crate::sandbox::{FileError, sanitize};

/// Of a folder with more, so many are looked at.
const MAX_ENTRIES: usize = 100_000;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let listing = context
        .workspace
        .list(path, MAX_ENTRIES)
        .map_err(|error| match error {
            FileError::NotFound => format!("no such directory: {path}").into(),
            other => path_error(path, &other),
        })?;
    let names: Vec<String> = listing
        .entries
        .iter()
        .map(|entry| {
            // A line break in a name must not look like two files.
            let name = sanitize::for_line(&entry.name);
            format!("{name}{}", if entry.folder { "/" } else { "" })
        })
        .collect();
    let mut shown = bound(&names.join("\n"), context.limits.output());
    let mut lines = Vec::new();
    if !shown.text.is_empty() {
        lines.push(std::mem::take(&mut shown.text));
    }
    if listing.ignored > 0 {
        lines.push(format!("({} ignored)", listing.ignored));
    }
    if listing.cut {
        lines.push(format!("(more than {MAX_ENTRIES} entries; these are some)"));
    }
    if lines.is_empty() {
        lines.push("(empty)".into());
    }
    shown.text = lines.join("\n");
    shown.truncated |= listing.cut;
    bounded(shown)
}
