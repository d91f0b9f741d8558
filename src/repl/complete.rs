//! What Tab completes: names of commands at the beginning of a line, and files of
//! the workspace after `@`, a folder at a time.

use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::sandbox::{Workspace, sanitize};

/// Names of one folder that are looked at, and completions that are offered.
const MOST_NAMES: usize = 10_000;
const MOST_OFFERED: usize = 100;

pub struct Names {
    workspace: Arc<Workspace>,
    /// Without the slash.
    commands: Vec<String>,
}

impl Names {
    pub fn new(workspace: Arc<Workspace>, mut commands: Vec<String>) -> Self {
        commands.sort();
        Self {
            workspace,
            commands,
        }
    }

    /// Where the word before the cursor begins, and what it may become.
    fn offer(&self, line: &str) -> (usize, Vec<String>) {
        if let Some(start) = line.strip_prefix('/')
            && !start.contains(char::is_whitespace)
        {
            let fitting = self.commands.iter().filter(|name| name.starts_with(start));
            return (1, fitting.map(|name| format!("{name} ")).collect());
        }
        match mention(line) {
            Some(at) => (at, self.files(&line[at..])),
            None => (line.len(), Vec::new()),
        }
    }

    fn files(&self, typed: &str) -> Vec<String> {
        let path = typed.strip_prefix('"').unwrap_or(typed);
        let (folder, start) = path.rsplit_once('/').unwrap_or(("", path));
        let named = match folder {
            "" => ".",
            folder => folder,
        };
        let Ok(listing) = self.workspace.list(named, MOST_NAMES) else {
            return Vec::new();
        };
        let fitting = listing.entries.into_iter().filter(|entry| {
            entry.name.starts_with(start)
                && !entry.name.contains('"')
                && !entry.name.chars().any(sanitize::is_hidden)
        });
        let written = fitting.take(MOST_OFFERED).map(|entry| {
            let path = match folder {
                "" => entry.name,
                folder => format!("{folder}/{}", entry.name),
            };
            let quoted = typed.starts_with('"') || path.contains(char::is_whitespace);
            match (quoted, entry.folder) {
                (false, false) => format!("{path} "),
                (false, true) => format!("{path}/"),
                (true, false) => format!("\"{path}\" "),
                (true, true) => format!("\"{path}/"),
            }
        });
        written.collect()
    }
}

/// Where the path of an `@` that is being typed begins.
fn mention(line: &str) -> Option<usize> {
    let begins = |at: &usize| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace)
    };
    let at = line.rmatch_indices('@').map(|(at, _)| at).find(begins)? + 1;
    let typed = &line[at..];
    let open = match typed.strip_prefix('"') {
        Some(quoted) => !quoted.contains('"'),
        None => !typed.contains(char::is_whitespace),
    };
    open.then_some(at)
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, offered) = self.offer(line.get(..position).unwrap_or(line));
        let pairs = offered.into_iter().map(|text| Pair {
            display: text.trim_end().to_owned(),
            replacement: text,
        });
        Ok((start, pairs.collect()))
    }
}

impl Helper for Names {}
impl Highlighter for Names {}
impl Validator for Names {}

impl Hinter for Names {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_files_are_completed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["src/main.rs", "src/more/a.rs", "src/a b.rs", "target/x"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(dir.path().join(".gitignore"), "target\n").unwrap();
        let workspace = Arc::new(Workspace::open(dir.path()).unwrap());
        let names = Names::new(
            workspace,
            vec!["undo".into(), "context".into(), "compact".into()],
        );
        let offer = |line: &str| names.offer(line);
        assert_eq!(
            offer("/co"),
            (1, vec!["compact ".into(), "context ".into()])
        );
        assert_eq!(offer("/think o"), (8, vec![]));
        assert_eq!(offer("see @s"), (5, vec!["src/".into()]));
        assert_eq!(
            offer("see @src/m"),
            (5, vec!["src/main.rs ".into(), "src/more/".into()])
        );
        assert_eq!(offer("@src/a"), (1, vec!["\"src/a b.rs\" ".into()]));
        assert_eq!(offer("@\"src/a "), (1, vec!["\"src/a b.rs\" ".into()]));
        for nothing in [
            "me@s",
            "@t",
            "@src/main.rs and s",
            "@../",
            "@\"src/a b.rs\" ",
            "",
        ] {
            assert!(offer(nothing).1.is_empty(), "{nothing}");
        }
    }
}
