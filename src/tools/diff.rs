//! The unified diff that a user is shown before a file changes.

use std::time::Duration;

use similar::TextDiff;

use super::toolbox::PREVIEW;
use crate::sandbox::sanitize;
use crate::sandbox::text::bound;

/// A diff that takes longer is finished coarsely.
const TIMEOUT: Duration = Duration::from_millis(300);

/// `old` is None for a file that does not exist yet.
pub(super) fn unified(path: &str, old: Option<&str>, new: &str) -> String {
    let path = sanitize::for_line(path);
    if old == Some(new) {
        return format!("{path}: no change");
    }
    let diff = TextDiff::configure()
        .timeout(TIMEOUT)
        .diff_lines(old.unwrap_or_default(), new);
    let from = if old.is_some() { &path } else { "/dev/null" };
    if new.is_empty() && old.is_none() {
        return format!("--- /dev/null\n+++ {path}\n(an empty file)");
    }
    let text = diff.unified_diff().header(from, &path).to_string();
    bound(&text, PREVIEW).text
}
