//! What can be wrong with a bundle, each in one line: where, what, what to do.
//! Names and values that come from a bundle are hostile: everything shown is
//! escaped and cut.

use std::fmt::Write;

/// A bundle that can't be used. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}; {remedy}")]
pub struct Error {
    /// The file, and the tensor within it when there is one.
    pub place: String,
    pub problem: String,
    pub remedy: String,
}

/// What to do about most damage.
pub(super) const DOWNLOAD_AGAIN: &str = "download the bundle again";
pub(super) const CONVERT_AGAIN: &str = "convert the model again or use a published bundle";

impl Error {
    /// Something about `file` as a whole.
    pub(super) fn file(file: &str, problem: impl Into<String>, remedy: &str) -> Self {
        Self {
            place: shown(file),
            problem: one_line(&problem.into()),
            remedy: remedy.to_owned(),
        }
    }

    /// Something about one tensor of `file`.
    pub(super) fn tensor(
        file: &str,
        tensor: &str,
        problem: impl Into<String>,
        remedy: &str,
    ) -> Self {
        Self {
            place: format!("{}, tensor {}", shown(file), shown(tensor)),
            problem: one_line(&problem.into()),
            remedy: remedy.to_owned(),
        }
    }
}

/// Most characters of a foreign name in a message.
const NAME_LIMIT: usize = 120;
const LINE_LIMIT: usize = 1000;

/// `name` fit for a message: control and other invisible characters escaped,
/// its middle left out when it is long.
pub(super) fn shown(name: &str) -> String {
    let count = name.chars().take(NAME_LIMIT + 1).count();
    if count <= NAME_LIMIT {
        return escaped(name.chars());
    }
    let mut tail: Vec<char> = name.chars().rev().take(NAME_LIMIT / 2).collect();
    tail.reverse();
    let mut text = escaped(name.chars().take(NAME_LIMIT / 2));
    text.push('…');
    text.push_str(&escaped(tail.into_iter()));
    text
}

/// A message of another library as one bounded line.
pub(super) fn one_line(text: &str) -> String {
    escaped(text.chars().take(LINE_LIMIT))
}

fn escaped(chars: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for c in chars {
        // Format characters (bidirectional marks, zero-width) could disguise a line.
        let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || invisible {
            // Writing to a String can't fail.
            let _ = write!(text, "\\u{{{:x}}}", c as u32);
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_on_one_bounded_line() {
        let name = format!("a\n\u{1b}[31m\u{202e}{}", "x".repeat(10_000));
        let error = Error::tensor("model.safetensors", &name, "is odd", DOWNLOAD_AGAIN);
        let line = error.to_string();
        assert!(line.starts_with("model.safetensors, tensor a\\u{a}\\u{1b}[31m\\u{202e}xx"));
        assert!(line.len() < 400, "{}", line.len());
        assert!(line.chars().all(|c| !c.is_control()));
    }
}
