//! The tokens of a kernel's text: enough of C++ to find declarations and calls.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Word,
    Number,
    Mark,
    /// A whole preprocessor line.
    Directive,
}

#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Bytes in the text.
    pub at: Range<usize>,
    /// From 1.
    pub line: usize,
}

impl Token<'_> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

/// Marks are single characters but for `::`, `->`, `<<` and `&&`. `>>` stays two,
/// because it closes two template lists as well.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line, mut line_is_blank) = (0, 1, true);
    while at < bytes.len() {
        let start = at;
        let rest = &text[at..];
        let first = bytes[at];
        let kind = if first == b'\n' {
            (at, line, line_is_blank) = (at + 1, line + 1, true);
            continue;
        } else if first.is_ascii_whitespace() {
            at += 1;
            continue;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if rest.starts_with("/*") {
            let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            line += rest[..length].matches('\n').count();
            at += length;
            continue;
        } else if first == b'#' && line_is_blank {
            at += directive_length(rest);
            Kind::Directive
        } else if first.is_ascii_alphabetic() || first == b'_' {
            at += run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            Kind::Word
        } else if first.is_ascii_digit() {
            at += number_length(rest);
            Kind::Number
        } else if ["::", "->", "<<", "&&"]
            .iter()
            .any(|mark| rest.starts_with(mark))
        {
            at += 2;
            Kind::Mark
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            Kind::Mark
        };
        line_is_blank = false;
        found.push(Token {
            kind,
            text: &text[start..at],
            at: start..at,
            line,
        });
        line += text[start..at].matches('\n').count();
    }
    found
}

fn run(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// With its exponent, which may have a sign unless the number is hexadecimal.
fn number_length(text: &str) -> usize {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let length = run(text, inside);
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let exponent = text[..length].ends_with(['e', 'E']) && !hexadecimal;
    if exponent && text[length..].starts_with(['+', '-']) {
        length + 1 + run(&text[length + 1..], inside)
    } else {
        length
    }
}

/// To the end of the line, or of the last one that a backslash continues.
fn directive_length(text: &str) -> usize {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.trim_end_matches('\n').len();
        if !line.ends_with("\\\n") {
            break;
        }
        length += 1;
    }
    length
}

/// A threadgroup variable: `threadgroup TYPE NAME[A][B];`
#[derive(Debug, PartialEq)]
pub struct Declaration<'a> {
    /// Of all of it, with the semicolon.
    pub at: Range<usize>,
    pub line: usize,
    pub element: &'a str,
    pub name: &'a str,
    /// The text between each pair of brackets.
    pub extents: Vec<&'a str>,
}

/// All threadgroup variables, but no pointers to such memory.
///
/// # Errors
/// A declaration that is of several names, or is initialised.
pub fn threadgroup_variables<'a>(
    text: &'a str,
    tokens: &[Token<'a>],
) -> Result<Vec<Declaration<'a>>, String> {
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if !token.is("threadgroup") {
            continue;
        }
        let rest = &tokens[i + 1..];
        let end = rest.iter().position(|t| {
            ["*", "&", ";", "=", "{", ")", ","]
                .iter()
                .any(|mark| t.is(mark))
        });
        let Some(end) = end else { continue };
        // A pointer or reference; `*` between brackets belongs to an extent.
        let bracket = rest[..end].iter().position(|t| t.is("["));
        if bracket.is_none() && !rest[end].is(";") {
            if rest[end].is("*") || rest[end].is("&") || rest[end].is(")") {
                continue;
            }
            return Err(format!(
                "line {}: one threadgroup variable per declaration, without a value",
                token.line
            ));
        }
        let end = rest.iter().position(|t| t.is(";")).unwrap_or(end);
        let bracket = bracket.unwrap_or(end);
        let complaint = || format!("line {}: not a threadgroup variable", token.line);
        let name = rest[..bracket].last().ok_or_else(complaint)?;
        let element = rest.first().ok_or_else(complaint)?.at.start;
        let mut extents = Vec::new();
        let (mut depth, mut open) = (0, 0);
        for t in &rest[bracket..end] {
            match t.text {
                "[" => {
                    depth += 1;
                    if depth == 1 {
                        open = t.at.end;
                    }
                }
                "]" => {
                    depth -= 1;
                    if depth == 0 {
                        extents.push(&text[open..t.at.start]);
                    }
                }
                _ if depth == 0 => {
                    return Err(format!(
                        "line {}: one threadgroup variable per declaration, without a value",
                        token.line
                    ));
                }
                _ => {}
            }
        }
        found.push(Declaration {
            at: token.at.start..rest[end].at.end,
            line: token.line,
            element: text[element..name.at.start].trim(),
            name: name.text,
            extents,
        });
    }
    Ok(found)
}
