//! `edit_file`: one place in a file where a text stands becomes another text.
//! The text must stand there exactly once; if it does not, the error says where
//! to look. Line ends and the byte order mark stay what they were.

use super::toolbox::{Answer, Context, Failure, MAX_FILE_BYTES, file_error, success};
use super::{diff, nearest, read_file};

/// How many line numbers an error names.
const MAX_NAMED: usize = 10;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let (_, new) = edited(context)?;
    context
        .workspace
        .write(context.policy, path, new.as_bytes())
        .map_err(|error| file_error(path, &error))?;
    success(format!("edited {path}"))
}

pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    let (old, new) = edited(context)?;
    Ok(diff::unified(context.text("path"), Some(&old), &new))
}

/// The file's text before and after.
fn edited(context: &Context<'_>) -> Result<(String, String), Failure> {
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
    let places = places(&text, &old);
    match places[..] {
        [] => Err(not_found(path, &text, context.text("old")).into()),
        [at] => {
            let after = format!("{}{new}{}", &text[..at], &text[at + old.len()..]);
            Ok((text, after))
        }
        _ => Err(ambiguous(path, &text, &places).into()),
    }
}

/// Where `part` begins, overlapping places included: those are ambiguous too.
fn places(text: &str, part: &str) -> Vec<usize> {
    let step = part.chars().next().map_or(1, char::len_utf8);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(part) {
        places.push(from + at);
        from += at + step;
    }
    places
}

fn not_found(path: &str, text: &str, old: &str) -> String {
    let mut error = format!("text not found in {path}");
    if let Some(nearest) = nearest::find(text, old) {
        error.push('\n');
        error.push_str(&nearest.to_string());
    }
    error
}

fn ambiguous(path: &str, text: &str, places: &[usize]) -> String {
    let mut lines = Vec::new();
    let (mut line, mut from) = (1, 0);
    for at in places.iter().take(MAX_NAMED) {
        line += text[from..*at].matches('\n').count();
        from = *at;
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
