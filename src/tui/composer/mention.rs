//! `@path` and `/command` while they are being typed: where they begin, and how what
//! was chosen is written.

use crate::sandbox::sanitize;

/// The path of an `@` that is being typed, where the text before the cursor ends with
/// one: from after the `@`, an opening quotation mark included.
pub fn mention(before: &str) -> Option<&str> {
    let begins = |at: &usize| {
        let earlier = before[..*at].chars().next_back();
        earlier.is_none_or(char::is_whitespace)
    };
    let at = { before.rmatch_indices('@') }
        .map(|(at, _)| at)
        .find(begins)?;
    let typed = &before[at + 1..];
    let open = match typed.strip_prefix('"') {
        Some(quoted) => !quoted.contains('"'),
        None => !typed.contains(char::is_whitespace),
    };
    open.then_some(typed)
}

/// A path as it is written after `@`. `None` where it can't be.
pub fn written(path: &str) -> Option<String> {
    let can_not = path.contains('"') || path.chars().any(sanitize::is_hidden);
    match path.contains(char::is_whitespace) {
        _ if can_not => None,
        true => Some(format!("\"{path}\"")),
        false => Some(path.to_owned()),
    }
}

/// The name of a command that is being typed: all before the cursor is a slash and the
/// beginning of one word.
pub fn command(before: &str) -> Option<&str> {
    let name = before.strip_prefix('/')?;
    (!name.contains(char::is_whitespace)).then_some(name)
}
