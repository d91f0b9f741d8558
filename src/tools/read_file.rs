//! `read_file`: a text file's text, without its byte order mark and its last
//! line ends; of a long one, the head and the tail.

use super::toolbox::{Answer, Context, MAX_FILE_BYTES, bounded, file_error, success};
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
    let text = bound(&text, context.limits.output());
    if text.text.is_empty() {
        return success("(empty)");
    }
    bounded(text)
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
