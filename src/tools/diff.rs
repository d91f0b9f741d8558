//! The unified diff that a user is shown before a file changes.

use std::time::Duration;

use similar::TextDiff;

use super::toolbox::PREVIEW;
use crate::sandbox::sanitize;
use crate::sandbox::text::bound;
use crate::undo::{Content, Since};

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

/// The same of a file that is not as it was, or what can be said of one that is no text.
pub(super) fn of_change(change: &Since) -> String {
    let path = change.path.to_string_lossy();
    match (&change.before, &change.now) {
        (Content::Text(old), Content::Text(new)) => unified(&path, Some(old), new),
        (Content::Absent, Content::Text(new)) => unified(&path, None, new),
        (Content::Text(old), Content::Absent) => {
            let gone = unified(&path, Some(old), "");
            let header = format!("+++ {}", sanitize::for_line(&path));
            gone.replacen(&header, "+++ /dev/null", 1)
        }
        (before, now) => {
            let path = sanitize::for_line(&path);
            let [before, now] = [before, now].map(|content| match content {
                Content::Absent => "nothing".to_owned(),
                Content::Text(_) => "a text".to_owned(),
                Content::Other(what) => sanitize::for_line(what).into_owned(),
            });
            format!("--- {path}\n+++ {path}\n({before} before, {now} now)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: Content, now: Content) -> String {
        of_change(&Since {
            path: "a.txt".into(),
            before,
            now,
        })
    }

    #[test]
    fn every_change_is_told() {
        let text = |text: &str| Content::Text(text.to_owned());
        let both = changed(text("a\nb\n"), text("a\nc\n"));
        assert_eq!(both, "--- a.txt\n+++ a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n+c");
        let made = changed(Content::Absent, text("a\n"));
        assert_eq!(made, "--- /dev/null\n+++ a.txt\n@@ -0,0 +1 @@\n+a");
        let gone = changed(text("a\n"), Content::Absent);
        assert_eq!(gone, "--- a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a");
        let other = changed(Content::Other("a binary file".into()), Content::Absent);
        assert_eq!(
            other,
            "--- a.txt\n+++ a.txt\n(a binary file before, nothing now)"
        );
    }
}
