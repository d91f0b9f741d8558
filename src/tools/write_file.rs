//! `write_file`: a file with exactly this text, and a line end after it.

use std::borrow::Cow;

use super::toolbox::{Answer, Context, Failure, MAX_FILE_BYTES, changed, path_error};
use super::{diff, read_file};
use crate::sandbox::FileError;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let path = context.text("path");
    let content = content(context)?;
    // What is there and can't be read is replaced all the same.
    let change = preview(context).unwrap_or_default();
    context
        .workspace
        .write(context.policy, path, content.as_bytes())
        .map_err(|error| path_error(path, &error))?;
    changed(format!("wrote {} bytes to {path}", content.len()), change)
}

pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    let path = context.text("path");
    let content = content(context)?;
    let old = match context.workspace.read(path, MAX_FILE_BYTES) {
        Ok(bytes) if read_file::is_binary(&bytes) => {
            return Ok(format!(
                "{}\n(the binary file of {} bytes that is there is replaced)",
                diff::unified(path, None, &content),
                bytes.len()
            ));
        }
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(FileError::NotFound) => None,
        Err(error) => return Err(path_error(path, &error)),
    };
    Ok(diff::unified(path, old.as_deref(), &content))
}

/// Models leave the last line end out; a text file has one.
fn content<'a>(context: &Context<'a>) -> Result<Cow<'a, str>, Failure> {
    let content = context.text("content");
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!(
            "the content is too long ({} bytes, the limit is {MAX_FILE_BYTES})",
            content.len()
        )
        .into());
    }
    Ok(if content.is_empty() || content.ends_with('\n') {
        Cow::Borrowed(content)
    } else {
        Cow::Owned(format!("{content}\n"))
    })
}
