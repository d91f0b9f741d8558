//! Which arguments git is given. Of each sub-command a list of options is offered:
//! those that read and write elsewhere, run other programs or ask questions are not
//! on it. Abbreviated ones aren't either, as what they are short for is git's choice.

/// A sub-command that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sub {
    Status,
    Diff,
    Log,
    Show,
    Add,
    Commit,
    Restore,
}

const SUBS: [(&str, Sub, &[&Options]); 7] = [
    ("status", Sub::Status, &[&STATUS]),
    ("diff", Sub::Diff, &[&PATCH]),
    ("log", Sub::Log, &[&PATCH, &COMMITS]),
    ("show", Sub::Show, &[&PATCH, &COMMITS]),
    ("add", Sub::Add, &[&ADD]),
    ("commit", Sub::Commit, &[&COMMIT]),
    ("restore", Sub::Restore, &[&RESTORE]),
];

impl Sub {
    pub fn reads(self) -> bool {
        matches!(self, Self::Status | Self::Diff | Self::Log | Self::Show)
    }
}

/// Options by how git reads them.
struct Options {
    /// Letters without a value.
    flags: &'static str,
    /// Letters whose value is the rest of the word, or the next one.
    valued: &'static str,
    /// Letters that may have a value, in the same word.
    attached: &'static str,
    /// Words, with or without `=VALUE`.
    long: &'static [&'static str],
    /// Words whose value comes after `=`, or is the next one.
    long_valued: &'static [&'static str],
}

const STATUS: Options = Options {
    flags: "sbz",
    valued: "",
    attached: "u",
    long: &[
        "short",
        "branch",
        "porcelain",
        "long",
        "untracked-files",
        "ignored",
        "show-stash",
        "renames",
        "no-renames",
        "find-renames",
        "ahead-behind",
        "no-ahead-behind",
    ],
    long_valued: &[],
};

/// What shows differences.
const PATCH: Options = Options {
    flags: "pusRabwzW",
    valued: "SG",
    attached: "UMC",
    long: &[
        "patch",
        "no-patch",
        "unified",
        "raw",
        "stat",
        "numstat",
        "shortstat",
        "dirstat",
        "compact-summary",
        "summary",
        "patch-with-stat",
        "name-only",
        "name-status",
        "cached",
        "staged",
        "merge-base",
        "minimal",
        "patience",
        "histogram",
        "diff-algorithm",
        "word-diff",
        "no-color",
        "no-prefix",
        "no-renames",
        "find-renames",
        "find-copies",
        "full-index",
        "abbrev",
        "text",
        "binary",
        "check",
        "exit-code",
        "quiet",
        "ignore-space-change",
        "ignore-all-space",
        "ignore-space-at-eol",
        "ignore-cr-at-eol",
        "ignore-blank-lines",
        "function-context",
        "inter-hunk-context",
        "diff-filter",
        "pickaxe-all",
        "pickaxe-regex",
    ],
    long_valued: &[],
};

/// What shows commits.
const COMMITS: Options = Options {
    flags: "cmgiEF0123456789",
    valued: "nL",
    attached: "",
    long: &[
        "oneline",
        "graph",
        "all",
        "branches",
        "tags",
        "remotes",
        "decorate",
        "no-decorate",
        "merges",
        "no-merges",
        "first-parent",
        "reverse",
        "date-order",
        "topo-order",
        "author-date-order",
        "abbrev-commit",
        "no-abbrev-commit",
        "follow",
        "full-history",
        "simplify-merges",
        "simplify-by-decoration",
        "parents",
        "children",
        "left-right",
        "cherry-pick",
        "cherry-mark",
        "boundary",
        "walk-reflogs",
        "cc",
        "invert-grep",
        "all-match",
        "regexp-ignore-case",
        "fixed-strings",
        "extended-regexp",
        "relative-date",
        "format",
        "pretty",
        "min-parents",
        "max-parents",
        "not",
    ],
    long_valued: &[
        "max-count",
        "skip",
        "since",
        "after",
        "until",
        "before",
        "author",
        "committer",
        "grep",
        "date",
    ],
};

const ADD: Options = Options {
    flags: "nvfAuN",
    valued: "",
    attached: "",
    long: &[
        "dry-run",
        "verbose",
        "force",
        "all",
        "no-all",
        "update",
        "intent-to-add",
        "ignore-errors",
        "refresh",
        "chmod",
    ],
    long_valued: &[],
};

const COMMIT: Options = Options {
    flags: "aqsnoi",
    valued: "m",
    attached: "u",
    long: &[
        "all",
        "quiet",
        "signoff",
        "no-signoff",
        "amend",
        "no-edit",
        "allow-empty",
        "allow-empty-message",
        "reset-author",
        "no-verify",
        "only",
        "include",
        "dry-run",
        "short",
        "porcelain",
        "branch",
        "no-gpg-sign",
        "cleanup",
    ],
    long_valued: &["message", "author", "date", "fixup"],
};

const RESTORE: Options = Options {
    flags: "SWq",
    valued: "s",
    attached: "",
    long: &[
        "staged",
        "worktree",
        "quiet",
        "ignore-unmerged",
        "overlay",
        "no-overlay",
        "ours",
        "theirs",
    ],
    long_valued: &["source"],
};

/// Options that have git ask a person.
const ASKING: [(&[Sub], &[&str]); 2] = [
    (
        &[Sub::Add, Sub::Restore],
        &["-p", "--patch", "-i", "--interactive", "-e", "--edit"],
    ),
    (
        &[Sub::Commit],
        &["-p", "--patch", "--interactive", "-e", "--edit"],
    ),
];

/// What a call asks git to do.
#[derive(Debug, PartialEq)]
pub struct Arguments<'a> {
    pub sub: Sub,
    /// As the model wrote them, the sub-command apart.
    pub rest: &'a [&'a str],
    /// The words among them that may be paths.
    pub places: Vec<&'a str>,
}

/// # Errors
/// In words for the model.
pub fn read<'a>(arguments: &'a [&'a str]) -> Result<Arguments<'a>, String> {
    let names = SUBS.map(|(name, ..)| name).join(", ");
    let [first, rest @ ..] = arguments else {
        return Err(format!("git needs args (a sub-command: {names})"));
    };
    if first.starts_with('-') {
        return Err(format!(
            "git takes no {first} here; args begin with a sub-command ({names})"
        ));
    }
    let Some((_, sub, options)) = SUBS.iter().find(|(name, ..)| name == first) else {
        return Err(format!("git {first} is not offered; there are {names}"));
    };
    let mut places = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match *word {
            "--" => {
                places.extend(words.by_ref());
            }
            word if word.starts_with('-') && word.len() > 1 => {
                match value(*sub, options, word) {
                    // A value that is missing is git's to miss.
                    Some(Value::Next) => _ = words.next(),
                    Some(Value::Here) => {}
                    None => return Err(refusal(first, *sub, word)),
                }
            }
            place => places.push(place),
        }
    }
    let arguments = Arguments {
        sub: *sub,
        rest,
        places,
    };
    match arguments.sub == Sub::Commit && !arguments.has_message() {
        true => {
            Err("git commit needs -m MESSAGE (or --amend --no-edit): there is no editor".into())
        }
        false => Ok(arguments),
    }
}

impl Arguments<'_> {
    fn has_message(&self) -> bool {
        let options = self.rest.iter().take_while(|word| **word != "--");
        let mut options = options.filter(|word| word.starts_with('-'));
        options.any(|word| match word.strip_prefix("--") {
            Some(long) => {
                let name = long.split('=').next().unwrap_or(long);
                ["message", "no-edit", "fixup", "dry-run"].contains(&name)
            }
            None => word.contains('m'),
        })
    }

    /// Whether `restore` writes the workspace's files, and not only the index.
    pub fn touches_files(&self) -> bool {
        self.has('W', "worktree") || !self.has('S', "staged")
    }

    /// Whether one of these options is given; `short` is a letter.
    pub fn has(&self, short: char, long: &str) -> bool {
        let options = self.rest.iter().take_while(|word| **word != "--");
        let mut options = options.filter(|word| word.starts_with('-'));
        options.any(|word| match word.strip_prefix("--") {
            Some(name) => name == long,
            // What comes after a letter with a value is that value.
            None => word
                .chars()
                .take_while(|letter| *letter != 'm')
                .any(|letter| letter == short),
        })
    }
}

/// Where an option's value is, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Here,
    Next,
}

/// `None` for what is not offered.
fn value(sub: Sub, options: &[&Options], word: &str) -> Option<Value> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, has_value) = match long.split_once('=') {
            Some((name, _)) => (name, true),
            None => (long, false),
        };
        let among = |list: fn(&Options) -> &'static [&'static str]| {
            options.iter().any(|o| list(o).contains(&name))
        };
        return match () {
            () if among(|o| o.long_valued) && !has_value => Some(Value::Next),
            () if among(|o| o.long_valued) || among(|o| o.long) => Some(Value::Here),
            () => None,
        };
    }
    let letters = &word[1..];
    let is = |list: fn(&Options) -> &'static str, letter| {
        options.iter().any(|o| list(o).contains(letter))
    };
    // git reads the options of `log` and `show` word by word.
    let alone = matches!(sub, Sub::Diff | Sub::Log | Sub::Show);
    for (at, letter) in letters.char_indices() {
        let last = at + letter.len_utf8() == letters.len();
        match letter {
            _ if is(|o| o.attached, letter) => return Some(Value::Here),
            _ if is(|o| o.valued, letter) => {
                return Some(if last { Value::Next } else { Value::Here });
            }
            _ if !is(|o| o.flags, letter) => return None,
            _ if alone && !last && !letters.bytes().all(|b| b.is_ascii_digit()) => return None,
            _ => {}
        }
    }
    Some(Value::Here)
}

fn refusal(name: &str, sub: Sub, word: &str) -> String {
    let asks = ASKING
        .iter()
        .any(|(subs, words)| subs.contains(&sub) && words.contains(&word));
    if asks {
        return format!("git {name} {word} asks questions, and nobody is there to answer");
    }
    let option = word.split('=').next().unwrap_or(word);
    format!("git {name} is not given {option} here (options have their full names)")
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
