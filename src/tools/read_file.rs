//! `read_file`: a text file's text, without its byte order mark and its last
//! line ends; of a long one, the head and the tail. Or some lines of it. What is
//! not all says which lines it is.

use super::toolbox::{Answer, Context, Failure, MAX_FILE_BYTES, bounded, file_error, success};
use crate::sandbox::text::bound;

/// How far a NUL byte is looked for: it tells binary files from text.
const SNIFF_BYTES: usize = 8 * 1024;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let bytes = context
        .workspace
        .read(path, MAX_FILE_BYTES)
        .map_err(|error| file_error(path, &error))?;
    if is_binary(&bytes) {
        return Err(format!("{path}: not a text file").into());
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let text = if has_crlf_only(text) {
        text.replace("\r\n", "\n")
    } else {
        text.to_string()
    };
    let range = range(context, path, &text)?;
    let chosen = match &range {
        Some(range) => range.of(&text),
        None => &text,
    };
    let mut shown = bound(chosen, context.limits.output());
    let which = match range {
        Some(Range { first, last, all }) => Some(format!("[lines {first}-{last} of {all}]")),
        None if shown.truncated => around(&text, &shown.text),
        None => None,
    };
    match which {
        Some(which) if shown.text.is_empty() => shown.text = which,
        Some(which) => shown.text = format!("{}\n{which}", shown.text),
        None if shown.text.is_empty() => return success("(empty)"),
        None => {}
    }
    bounded(shown)
}

/// Which lines are before and after the gap of a text that was cut, if whole ones.
fn around(text: &str, cut: &str) -> Option<String> {
    let all = text.lines().count();
    let text = text.trim_end_matches(['\n', '\r']);
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| {
        let same = pairs.take_while(|(a, b)| a == b);
        same.filter(|(byte, _)| *byte == b'\n').count()
    };
    let head = same(&mut text.bytes().zip(cut.bytes()));
    let tail = same(&mut text.bytes().rev().zip(cut.bytes().rev()));
    let last = text.lines().count();
    let whole = cut.lines().count() == head + 1 + tail && head > 0 && tail > 0;
    whole.then(|| format!("[lines 1-{head} and {}-{last} of {all}]", last - tail + 1))
}

/// Lines, counted from 1, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: usize,
    last: usize,
    /// That the file has.
    all: usize,
}

impl Range {
    fn of(self, text: &str) -> &str {
        let start_of = |line: usize| match line {
            1 => 0,
            _ => {
                let mut ends = text.match_indices('\n');
                ends.nth(line - 2).map_or(text.len(), |(at, _)| at + 1)
            }
        };
        &text[start_of(self.first)..start_of(self.last + 1)]
    }
}

/// The lines that were asked for, if not all.
fn range(context: &Context<'_>, path: &str, text: &str) -> Result<Option<Range>, Failure> {
    let (start, end) = (context.number("start"), context.number("end"));
    if start.is_none() && end.is_none() {
        return Ok(None);
    }
    let all = text.lines().count();
    let lines = match all {
        1 => "1 line".to_owned(),
        _ => format!("{all} lines"),
    };
    // A model that does not know the length asks for more than there is.
    let (first, last) = (start.unwrap_or(1), end.unwrap_or(all).min(all));
    if first == 0 || end == Some(0) || first > all {
        return Err(format!("{path} has {lines}; start and end count from 1").into());
    }
    if last < first {
        return Err(format!("{path} has {lines}; start must not be after end").into());
    }
    Ok(Some(Range { first, last, all }))
}

pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(SNIFF_BYTES)].contains(&0)
}

/// Every line ends in `\r\n`: then `\r` is the file's habit and not content,
/// and the model reads and writes `\n`.
pub(super) fn has_crlf_only(text: &str) -> bool {
    let pairs = text.matches("\r\n").count();
    pairs > 0 && pairs == text.matches('\n').count()
}
