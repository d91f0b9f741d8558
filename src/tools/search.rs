//! `search`: a fixed string in the files of a folder, as `path:line: text`.
//! Fixed, because models ask for code (`fn parse(`), and a pattern that is
//! sometimes an expression finds the wrong thing or nothing.

use std::io::{self, Read};
use std::ops::ControlFlow;

use grep_regex::RegexMatcherBuilder;
use grep_searcher::{BinaryDetection, SearcherBuilder, Sink, SinkMatch};

use super::Outcome;
use super::toolbox::{Answer, Context, file_error, success};
use crate::sandbox::{Action, Decision, FileError, sanitize};

const MAX_MATCHES: usize = 200;
/// Of one matching line.
const MAX_LINE_CHARS: usize = 300;
/// Memory for one line; a file with a longer one is passed over.
const MAX_LINE_BYTES: usize = 8 << 20;

const MORE: &str = "[... more matches omitted ...]";

pub(super) fn run(context: &Context<'_>) -> Answer {
    let (pattern, path) = (context.text("pattern"), context.text("path"));
    if pattern.is_empty() || pattern.contains('\n') {
        return Err("search needs pattern (a string of one line, not empty)"
            .to_string()
            .into());
    }
    let matcher = RegexMatcherBuilder::new()
        .fixed_strings(true)
        .build(pattern)
        .map_err(|_| "search needs pattern (a shorter string)".to_string())?;
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(MAX_LINE_BYTES))
        .build();
    let mut found = Found {
        lines: String::new(),
        matches: 0,
        max_matches: MAX_MATCHES.min(context.limits.output_lines),
        max_bytes: context.limits.output_bytes,
        full: false,
        file: String::new(),
    };
    let named = context.workspace.relative(path).unwrap_or_default();
    let mut interrupted = false;
    context
        .workspace
        .walk(path, &mut |file_path, file| {
            // What needs the user's word is searched where it was named.
            let action = Action::Read(file_path);
            if context.policy.decide(action) != Decision::Allow && file_path != named {
                return ControlFlow::Continue(());
            }
            found.file = sanitize::for_line(&file_path.to_string_lossy()).into_owned();
            let reader = Cancellable {
                file,
                cancelled: context.cancelled,
            };
            // A file that cannot be read to its end has no more matches to show.
            let _ = searcher.search_reader(&matcher, reader, &mut found);
            interrupted = (context.cancelled)();
            if interrupted || found.full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .map_err(|error| match error {
            FileError::NotFound => format!("no such directory: {path}").into(),
            other => file_error(path, &other),
        })?;
    if interrupted {
        found.lines.push_str("[interrupted]");
    } else if found.full {
        found.lines.push_str(MORE);
    } else if found.matches == 0 {
        return success("no matches");
    }
    Ok(Outcome {
        ok: !interrupted,
        output: found.lines.trim_end().to_string(),
        truncated: found.full,
        ..Outcome::default()
    })
}

struct Found {
    lines: String,
    matches: usize,
    max_matches: usize,
    max_bytes: usize,
    /// There are more than fit.
    full: bool,
    file: String,
}

impl Sink for Found {
    type Error = io::Error;

    fn matched(
        &mut self,
        _: &grep_searcher::Searcher,
        found: &SinkMatch<'_>,
    ) -> Result<bool, io::Error> {
        let text = String::from_utf8_lossy(found.bytes());
        let text = text.trim();
        let mut shown: String = text.chars().take(MAX_LINE_CHARS).collect();
        if shown.len() < text.len() {
            shown.push_str(" ...");
        }
        let number = found.line_number().unwrap_or_default();
        let line = format!("{}:{number}: {shown}\n", self.file);
        if self.matches == self.max_matches || self.lines.len() + line.len() > self.max_bytes {
            self.full = true;
            return Ok(false);
        }
        self.lines.push_str(&line);
        self.matches += 1;
        Ok(true)
    }
}

/// Lets a long file be left in the middle.
struct Cancellable<'a> {
    file: std::fs::File,
    cancelled: &'a dyn Fn() -> bool,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancelled)() {
            return Err(io::Error::other("cancelled"));
        }
        self.file.read(buffer)
    }
}
