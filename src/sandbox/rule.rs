//! One rule of what is allowed or denied, as it is typed after `--allow` and
//! kept in a config file: `write`, `write:GLOB`, `run`, `run:WORDS` (commands
//! that begin with these words), `run=COMMAND` (exactly this one), or `read:GLOB`
//! (files that hold secrets: others are read without a rule).

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::policy::Action;
use super::{argv, starters};

/// More is not a rule.
const MAX_BYTES: usize = 4096;

/// Programs that do quite different things by their first argument.
const SUB_COMMANDS: &[&str] = &[
    "apt",
    "brew",
    "bundle",
    "cargo",
    "composer",
    "dotnet",
    "gem",
    "gh",
    "git",
    "go",
    "gradle",
    "helm",
    "just",
    "kubectl",
    "make",
    "meson",
    "mix",
    "mvn",
    "ninja",
    "npm",
    "pip",
    "pnpm",
    "poetry",
    "rake",
    "rustup",
    "stack",
    "swift",
    "systemctl",
    "task",
    "terraform",
    "uv",
    "yarn",
    "zig",
];

/// What one rule covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rule {
    /// Reading files whose path from the workspace matches.
    ReadFrom(GlobMatcher),
    /// Every write.
    Write,
    /// Writes to paths from the workspace that match.
    WriteTo(GlobMatcher),
    /// Every command.
    Run,
    /// Plain calls of one program that begin with these words.
    RunPrefix(Vec<String>),
    /// This command, to the byte.
    RunExact(String),
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("{0:?} is not a rule: write, write:GLOB, run, run:WORDS, run=COMMAND or read:GLOB")]
    Unknown(String),
    #[error("{0:?} is longer than {MAX_BYTES} bytes")]
    TooLong(String),
    #[error("the pattern of {rule:?} is wrong: {why}")]
    Glob { rule: String, why: String },
    #[error("{0:?} needs plain words, without anything that a shell would expand")]
    NotPlain(String),
    #[error("{rule:?} can't be a pattern, as {word:?} runs other commands; run=COMMAND allows one")]
    Starter { rule: String, word: String },
}

impl Rule {
    /// Whether the rule can allow anything.
    ///
    /// # Errors
    /// For a beginning of words by which other commands are run.
    pub fn can_allow(self) -> Result<Self, RuleError> {
        if let Self::RunPrefix(words) = &self
            && let Some(word) = starters::starts_others(words)
        {
            return Err(RuleError::Starter {
                word: word.to_owned(),
                rule: self.to_string(),
            });
        }
        Ok(self)
    }

    /// The rule for this very path, where it can be written as one.
    pub fn for_path(word: &str, path: &Path) -> Option<Self> {
        let escaped = globset::escape(path.to_str()?);
        format!("{word}:{escaped}").parse().ok()
    }

    /// Whether an action is one of those. A beginning of words never covers a
    /// command that runs another one (`starters`).
    pub(super) fn covers(&self, action: Action<'_>) -> bool {
        match (self, action) {
            (Self::Write, Action::Write(_)) | (Self::Run, Action::Run(_)) => true,
            (Self::WriteTo(glob), Action::Write(path)) => glob.is_match(plain(path)),
            (Self::ReadFrom(glob), Action::Read(path)) => glob.is_match(plain(path)),
            (Self::RunExact(known), Action::Run(command)) => known == command,
            (Self::RunPrefix(start), Action::Run(command)) => {
                argv::words(command).is_some_and(|words| {
                    words.starts_with(start) && starters::starts_others(&words).is_none()
                })
            }
            _ => false,
        }
    }

    /// As [`Self::covers`], for what is denied: there a command counts whatever
    /// it runs besides, and a doubtful one does, too.
    pub(super) fn touches(&self, action: Action<'_>) -> bool {
        match (self, action) {
            (Self::RunPrefix(start), Action::Run(command)) => match argv::words(command) {
                Some(words) => words.starts_with(start) || holds(command, start),
                None => holds(command, start),
            },
            (Self::RunExact(known), Action::Run(command)) => known.trim() == command.trim(),
            _ => self.covers(action),
        }
    }

    /// The rule for commands that begin as this one does: its program, and the
    /// sub-command of one that has such. `None` where there is no such rule.
    pub fn beginning_of(command: &str) -> Option<Self> {
        let words = argv::words(command)?;
        if starters::starts_others(&words).is_some() {
            return None;
        }
        let has_sub_commands = SUB_COMMANDS.contains(&words.first()?.as_str());
        let named = words.get(1).is_some_and(|word| !word.starts_with('-'));
        let taken = 1 + usize::from(has_sub_commands && named);
        // What can't be written down can't be kept.
        let start: Vec<String> = words.into_iter().take(taken).collect();
        format!("run:{}", argv::quoted(&start)?).parse().ok()
    }

    /// The rule for exactly this command, unless it is too long to keep.
    pub fn exactly(command: &str) -> Option<Self> {
        format!("run={command}").parse().ok()
    }
}

/// Whether the words stand next to each other anywhere in a command, whatever
/// is around them: `git push` in `cd x && git push`.
fn holds(command: &str, start: &[String]) -> bool {
    let separator = |c: char| c.is_whitespace() || ";&|()<>`$\"'\\{}".contains(c);
    let words: Vec<&str> = command
        .split(separator)
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(start.len())
        .any(|window| window.iter().zip(start).all(|(word, known)| word == known))
}

/// What a rule about paths matches.
fn paths(rule: &str, pattern: &str) -> Result<GlobMatcher, RuleError> {
    match GlobBuilder::new(pattern).literal_separator(true).build() {
        Ok(_) if pattern.is_empty() => Err(RuleError::Unknown(rule.to_owned())),
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(RuleError::Glob {
            rule: rule.to_owned(),
            why: error.kind().to_string(),
        }),
    }
}

/// A path without `.` components, as globs see it.
fn plain(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let rule = text.to_owned();
        if text.len() > MAX_BYTES {
            let start = text.chars().take(40).collect();
            return Err(RuleError::TooLong(start));
        }
        if let Some(pattern) = text.strip_prefix("write:") {
            return paths(text, pattern).map(Self::WriteTo);
        }
        if let Some(pattern) = text.strip_prefix("read:") {
            return paths(text, pattern).map(Self::ReadFrom);
        }
        if let Some(command) = text.strip_prefix("run=") {
            return match command.trim().is_empty() || command.contains('\0') {
                true => Err(RuleError::Unknown(rule)),
                false => Ok(Self::RunExact(command.to_owned())),
            };
        }
        if let Some(start) = text.strip_prefix("run:") {
            let words = argv::words(start).ok_or_else(|| RuleError::NotPlain(rule.clone()))?;
            return Ok(Self::RunPrefix(words));
        }
        match text {
            "write" => Ok(Self::Write),
            "run" => Ok(Self::Run),
            _ => Err(RuleError::Unknown(rule)),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write => f.write_str("write"),
            Self::WriteTo(glob) => write!(f, "write:{}", glob.glob()),
            Self::ReadFrom(glob) => write!(f, "read:{}", glob.glob()),
            Self::Run => f.write_str("run"),
            Self::RunPrefix(words) => {
                let text = argv::quoted(words).unwrap_or_else(|| words.join(" "));
                write!(f, "run:{text}")
            }
            Self::RunExact(command) => write!(f, "run={command}"),
        }
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Rule {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn covers(text: &str, command: &str) -> bool {
        rule(text).covers(Action::Run(command))
    }

    #[test]
    fn a_beginning_of_words_covers_plain_calls_only() {
        assert!(covers("run:cargo test", "cargo test --lib"));
        assert!(covers("run:cargo test", "cargo  'test'"));
        for command in [
            "cargo",
            "cargo testx",
            "cargo build",
            "cargo test; rm -rf .",
            "cargo test && true",
            "cargo test $(true)",
            "cargo test\ntrue",
            "RUSTC_WRAPPER=x cargo test",
            "./cargo test",
            "cargo --config x test",
            "cargo test --config x",
        ] {
            assert!(!covers("run:cargo test", command), "{command}");
        }
    }

    #[test]
    fn always_git_is_not_always_whatever_git_runs() {
        for command in [
            "git -c core.pager='sh -c x' log",
            "git fetch --upload-pack=x y",
            "git --exec-path=x status",
            "env git status",
            "find . -exec git status ';'",
            "timeout 9 sh -c 'git status'",
        ] {
            assert!(!covers("run:git", command), "{command}");
        }
        assert!(covers("run:git", "git status"));
        assert!(!covers("run:find", "find . -exec x {} +"));
    }

    #[test]
    fn an_exact_rule_covers_one_command() {
        assert!(covers("run=make -j2 && ./a", "make -j2 && ./a"));
        assert!(!covers("run=make", "make x"));
        assert!(!covers("run=make", "m\u{430}ke"));
    }

    #[test]
    fn what_is_denied_is_found_inside_other_commands() {
        let denied = |text: &str, command: &str| rule(text).touches(Action::Run(command));
        for command in [
            "git push",
            "git push origin",
            "cd x && git push",
            "sh -c 'git push'",
            "(git  push)",
            "echo $(git push)",
        ] {
            assert!(denied("run:git push", command), "{command}");
        }
        assert!(!denied("run:git push", "git pull"));
        assert!(denied("run=make", " make "));
        assert!(denied("run", "anything"));
    }

    #[test]
    fn writes_are_matched_by_path() {
        let covers = |text: &str, path: &str| rule(text).covers(Action::Write(Path::new(path)));
        assert!(covers("write", "a/b"));
        assert!(covers("write:src/**", "src/a/b.rs"));
        assert!(covers("write:*.md", "README.md"));
        assert!(covers("write:*.md", "./README.md"));
        assert!(!covers("write:*.md", "a/README.md"));
        assert!(!covers("write:src/**", "tests/a"));
        assert!(!covers("run", "a"));
    }

    #[test]
    fn a_command_proposes_how_its_kind_begins() {
        let of = |command| Rule::beginning_of(command).map(|rule| rule.to_string());
        for (command, expected) in [
            ("cargo test --lib", Some("run:cargo test")),
            ("ls -la", Some("run:ls")),
            ("cat src/a.rs", Some("run:cat")),
            ("ls src", Some("run:ls")),
            ("cargo --version", Some("run:cargo")),
            ("npm run build", Some("run:npm run")),
            ("python x.py", None),
            ("a | b", None),
            ("git -c a=b status", None),
        ] {
            assert_eq!(of(command).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let allowing = |text: &str| text.parse::<Rule>().and_then(Rule::can_allow);
        assert!("run:env".parse::<Rule>().is_ok(), "it can be denied");
        for (text, why) in [
            ("", "is not a rule"),
            ("read", "is not a rule"),
            ("run:", "needs plain words"),
            ("run:a | b", "needs plain words"),
            ("run:env", "can't be a pattern, as \"env\""),
            ("run:git -c x", "as \"-c\""),
            ("run= ", "is not a rule"),
            ("write:", "is not a rule"),
            ("write:[", "is wrong"),
        ] {
            let error = allowing(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let long = format!("run={}", "x".repeat(MAX_BYTES));
        assert!(long.parse::<Rule>().unwrap_err().to_string().len() < 120);
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in [
            "write",
            "write:a/**",
            "run",
            "run:a 'b c'",
            "run=a; b",
            "read:.env",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
    }
}
