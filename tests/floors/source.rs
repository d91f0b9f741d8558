//! Rust source as a list of tokens: comments gone, literals reduced to a
//! placeholder. Enough to find paths and keywords, and nothing more.

use std::path::{Path, PathBuf};

/// A word, or one character of punctuation (`::` is one token), with its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Splits `source` into tokens. String and character literals become `""`.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let rest = &chars[at..];
        let text = if rest.starts_with(&['/', '/']) {
            at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            None
        } else if rest.starts_with(&['/', '*']) {
            at += block_comment(rest);
            None
        } else if let Some(length) = literal(rest) {
            at += length;
            Some("\"\"".to_owned())
        } else if is_word(rest[0]) {
            at += rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
            Some(chars[start..at].iter().collect())
        } else if rest.starts_with(&[':', ':']) {
            at += 2;
            Some("::".to_owned())
        } else {
            at += 1;
            (!rest[0].is_whitespace()).then(|| rest[0].to_string())
        };
        if let Some(text) = text {
            out.push(Token { text, line });
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the (nesting) block comment that `rest` starts with.
fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Length of the string, byte string, raw string or character literal that
/// `rest` starts with. A lifetime is not a literal.
fn literal(rest: &[char]) -> Option<usize> {
    let prefix = rest
        .iter()
        .take_while(|c| matches!(c, 'b' | 'c' | 'r'))
        .take(2)
        .count();
    let raw = rest[..prefix].contains(&'r');
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes;
    match rest.get(open) {
        Some('"') if raw => {
            let mut close = vec!['"'];
            close.extend(std::iter::repeat_n('#', hashes));
            let body = &rest[open + 1..];
            let end = body.windows(close.len()).position(|w| w == close);
            Some(open + 1 + end.map_or(body.len(), |end| end + close.len()))
        }
        Some('"') if hashes == 0 => Some(quoted(rest, open, '"')),
        Some('\'') if hashes == 0 && !raw => {
            let character = rest.get(open + 1) == Some(&'\\') || rest.get(open + 2) == Some(&'\'');
            character.then(|| quoted(rest, open, '\''))
        }
        _ => None,
    }
}

fn quoted(rest: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Every `.rs` file below `folder`, sorted.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn comments_and_literals_hold_no_tokens() {
    let source = r###"
        // crate::a
        /* crate::b /* nested */ crate::c */
        let text = "crate::d \" crate::e"; let raw = r#"crate::"f"#;
        let c = '"'; let life: &'static str = b"x"; crate::g
    "###;
    let words: Vec<_> = tokens(source).into_iter().map(|t| t.text).collect();
    let expected = "let text = \"\" ; let raw = \"\" ; let c = \"\" ; let life : & ' static \
                    str = \"\" ; crate :: g";
    assert_eq!(words.join(" "), expected);
}

#[test]
fn tokens_know_their_lines() {
    let lines: Vec<_> = tokens("a\n/* \n */ b \"\n\" c")
        .iter()
        .map(|t| t.line)
        .collect();
    assert_eq!(lines, [1, 3, 3, 4]);
}
