//! `edit_file`: one place in a file where a text stands becomes another text.
//! The text must stand there exactly once, white space at the end of lines apart
//! if need be; if it does not, the error says where to look. Line ends and the
//! byte order mark stay what they were.

use std::ops::Range;

use super::toolbox::{Answer, Context, Failure, MAX_FILE_BYTES, changed, file_error};
use super::{diff, nearest, read_file, trailing};

/// How many line numbers an error names.
const MAX_NAMED: usize = 10;

/// Said of an edit where the text did not stand as it was given.
const LOOSELY: &str = "(trailing white space differed)";

/// A file's text before and after.
struct Edited {
    before: String,
    after: String,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Exactly,
    /// With other white space at the end of lines.
    Loosely,
}

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let edited = edited(context)?;
    let change = diff::unified(path, Some(&edited.before), &edited.after);
    context
        .workspace
        .write(context.policy, path, edited.after.as_bytes())
        .map_err(|error| file_error(path, &error))?;
    let output = match edited.found {
        Found::Exactly => format!("edited {path}"),
        Found::Loosely => format!("edited {path} {LOOSELY}"),
    };
    changed(output, change)
}

pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    let Edited {
        before,
        after,
        found,
    } = edited(context)?;
    let diff = diff::unified(context.text("path"), Some(&before), &after);
    Ok(match found {
        Found::Exactly => diff,
        Found::Loosely => format!("{}\n{LOOSELY}", diff.trim_end()),
    })
}

fn edited(context: &Context<'_>) -> Result<Edited, Failure> {
    let path = context.text("path");
    if context.text("old").is_empty() {
        return Err("edit_file needs old (a string that is not empty)"
            .to_owned()
            .into());
    }
    let bytes = context
        .workspace
        .read(path, MAX_FILE_BYTES)
        .map_err(|error| file_error(path, &error))?;
    if read_file::is_binary(&bytes) {
        return Err(format!("{path}: not a text file").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{path}: not UTF-8 text"))?;
    let in_its_line_ends = |part: &str| {
        let part = part.replace("\r\n", "\n");
        if read_file::has_crlf_only(&text) {
            part.replace('\n', "\r\n")
        } else {
            part
        }
    };
    let (mut old, mut new) = (
        context.text("old").to_string(),
        context.text("new").to_string(),
    );
    if !text.contains(&old) || read_file::has_crlf_only(&text) {
        (old, new) = (in_its_line_ends(&old), in_its_line_ends(&new));
    }
    if old == new {
        return Err("edit_file needs new (a string that differs from old)"
            .to_owned()
            .into());
    }
    let exact: Vec<_> = places(&text, &old).map(|at| at..at + old.len()).collect();
    let (places, found) = match exact.is_empty() {
        true => (trailing::places(&text, &old), Found::Loosely),
        false => (exact, Found::Exactly),
    };
    let [place] = &places[..] else {
        return Err(match places.len() {
            0 => not_found(path, &text, context.text("old")),
            _ => ambiguous(path, &text, &places),
        }
        .into());
    };
    let after = format!("{}{new}{}", &text[..place.start], &text[place.end..]);
    if after.len() as u64 > MAX_FILE_BYTES {
        let bytes = after.len();
        return Err(format!(
            "{path} would be too large ({bytes} bytes, the limit is {MAX_FILE_BYTES})"
        )
        .into());
    }
    Ok(Edited {
        before: text,
        after,
        found,
    })
}

/// Where `part` begins, overlapping places included: those are ambiguous too.
pub(super) fn places(text: &str, part: &str) -> impl Iterator<Item = usize> {
    let step = part.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + text[from..].find(part)?;
        from = at + step;
        Some(at)
    })
}

fn not_found(path: &str, text: &str, old: &str) -> String {
    let mut error = format!("text not found in {path}");
    if let Some(nearest) = nearest::find(text, old) {
        error.push('\n');
        error.push_str(&nearest.to_string());
    }
    error
}

fn ambiguous(path: &str, text: &str, places: &[Range<usize>]) -> String {
    let mut lines = Vec::new();
    let (mut line, mut from) = (1, 0);
    for Range { start, .. } in places.iter().take(MAX_NAMED) {
        line += text[from..*start].matches('\n').count();
        from = *start;
        lines.push(line.to_string());
    }
    if places.len() > MAX_NAMED {
        lines.push("...".into());
    }
    format!(
        "text found {} times in {path} (lines {}); give more context",
        places.len(),
        lines.join(", ")
    )
}
