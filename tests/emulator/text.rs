//! What a kernel's text declares and calls, as far as the static checks need
//! it: types, functions with their parameters, and calls with their arguments.

use std::collections::HashSet;

use super::tokens::{Kind, Token};

/// Types of the language and of Metal's library that kernels may use.
pub const TYPES: &[&str] = &[
    "void",
    "bool",
    "char",
    "uchar",
    "short",
    "ushort",
    "int",
    "uint",
    "long",
    "ulong",
    "float",
    "half",
    "bfloat",
    "size_t",
    "int8_t",
    "uint8_t",
    "int16_t",
    "uint16_t",
    "int32_t",
    "uint32_t",
    "int64_t",
    "uint64_t",
    "float16_t",
    "bfloat16_t",
    "auto",
    "unsigned",
    "signed",
    "simdgroup_matrix",
    "simdgroup_float8x8",
    "simdgroup_half8x8",
    "simdgroup_bfloat8x8",
    "vec",
];

pub const SPACES: &[&str] = &["device", "constant", "thread", "threadgroup"];

#[derive(Debug)]
pub struct Function<'a> {
    pub name: &'a str,
    /// Where the name begins.
    pub at: usize,
    pub line: usize,
    /// The tokens of each parameter.
    pub parameters: Vec<&'a [Token<'a>]>,
    pub body: &'a [Token<'a>],
}

#[derive(Debug)]
pub struct Call<'a> {
    pub name: &'a str,
    pub line: usize,
    /// After `.` or `->`.
    pub member: bool,
    pub arguments: Vec<&'a [Token<'a>]>,
}

pub struct Text<'a> {
    pub tokens: &'a [Token<'a>],
    /// Of the language, structs, typedefs and template parameters.
    pub types: HashSet<&'a str>,
    pub functions: Vec<Function<'a>>,
}

impl<'a> Text<'a> {
    pub fn new(tokens: &'a [Token<'a>]) -> Self {
        let types = declared_types(tokens);
        let functions = (0..tokens.len())
            .filter_map(|i| function(tokens, i))
            .collect();
        Self {
            tokens,
            types,
            functions,
        }
    }

    pub fn is_type(&self, token: &Token<'_>) -> bool {
        is_type(&self.types, token)
    }

    /// All calls among `tokens`: neither definitions nor conversions, nor
    /// variables with arguments for their constructor.
    pub fn calls(&self, tokens: &'a [Token<'a>]) -> Vec<Call<'a>> {
        let mut found = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            if token.kind != Kind::Word || KEYWORDS.contains(&token.text) || self.is_type(token) {
                continue;
            }
            let Some(open) = after_template_list(tokens, i + 1).filter(|&at| tokens[at].is("("))
            else {
                continue;
            };
            let defines = |f: &Function<'_>| f.at == token.at.start;
            if self.functions.iter().any(defines) || self.declares(tokens, i) {
                continue;
            }
            let close = closing(tokens, open);
            found.push(Call {
                name: token.text,
                line: token.line,
                member: i > 0 && (tokens[i - 1].is(".") || tokens[i - 1].is("->")),
                arguments: split(&tokens[open + 1..close]),
            });
        }
        found
    }

    /// Whether token `i` is the name in a declaration such as
    /// `Book<2> book(levels, lane)`, or a member initialised by a constructor.
    fn declares(&self, tokens: &[Token<'_>], i: usize) -> bool {
        let Some(before) = i.checked_sub(1).map(|i| &tokens[i]) else {
            return false;
        };
        if before.kind == Kind::Word {
            return self.is_type(before);
        }
        if before.is(">") {
            return opening(tokens, i - 1)
                .and_then(|open| open.checked_sub(1))
                .is_some_and(|at| self.is_type(&tokens[at]));
        }
        // `) : a(x), b(y) {`: back over whole initialisers to the colon.
        let mut at = i - 1;
        while tokens[at].is(",") && at >= 2 && tokens[at - 1].is(")") {
            let Some(open) = opening_round(tokens, at - 1).filter(|&open| open >= 2) else {
                return false;
            };
            at = open - 2;
        }
        tokens[at].is(":") && at > 0 && tokens[at - 1].is(")")
    }
}

pub const KEYWORDS: &[&str] = &[
    "if",
    "for",
    "while",
    "switch",
    "return",
    "sizeof",
    "decltype",
    "alignas",
    "static_assert",
    "else",
    "do",
    "case",
    "const",
    "constexpr",
    "inline",
    "template",
    "typename",
    "operator",
];

/// Types of the language, their vectors, and those that the text declares.
fn is_type(declared: &HashSet<&str>, token: &Token<'_>) -> bool {
    let base = token.text.trim_end_matches(['2', '3', '4']);
    let vector = token.text.len() == base.len() + 1;
    token.kind == Kind::Word
        && (TYPES.contains(&token.text)
            || declared.contains(token.text)
            || vector && TYPES.contains(&base))
}

fn declared_types<'a>(tokens: &[Token<'a>]) -> HashSet<&'a str> {
    let mut types = HashSet::new();
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens.get(i + 1);
        let named = match token.text {
            "struct" | "class" | "enum" | "typename" | "using" => next,
            "typedef" => tokens[i..]
                .iter()
                .position(|t| t.is(";"))
                .map(|end| &tokens[i + end - 1]),
            _ => None,
        };
        types.extend(named.filter(|t| t.kind == Kind::Word).map(|t| t.text));
    }
    types
}

/// The function defined with its name at `i`: `TYPE NAME(...) {`, at most with
/// a qualifier or initialisers before the brace.
fn function<'a>(tokens: &'a [Token<'a>], i: usize) -> Option<Function<'a>> {
    let name = &tokens[i];
    if name.kind != Kind::Word || KEYWORDS.contains(&name.text) || !tokens.get(i + 1)?.is("(") {
        return None;
    }
    let close = closing(tokens, i + 1);
    let mut at = close + 1;
    if tokens.get(at)?.is("const") {
        at += 1;
    }
    if tokens.get(at)?.is(":") {
        while !tokens.get(at)?.is("{") {
            at += 1;
        }
    }
    if !tokens.get(at)?.is("{") {
        return None;
    }
    Some(Function {
        name: name.text,
        at: name.at.start,
        line: name.line,
        parameters: split(&tokens[i + 2..close]),
        body: &tokens[at..=closing(tokens, at).min(tokens.len() - 1)],
    })
}

/// Where the bracket at `open` closes; the last token if nowhere.
pub fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len().saturating_sub(1)
}

fn opening_round(tokens: &[Token<'_>], close: usize) -> Option<usize> {
    let mut depth = 0;
    for i in (0..=close).rev() {
        match tokens[i].text {
            ")" => depth += 1,
            "(" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

/// The `<` that the `>` at `close` ends, if only what a template list may hold
/// is between them.
pub fn opening(tokens: &[Token<'_>], close: usize) -> Option<usize> {
    let mut depth = 0;
    for i in (0..=close).rev() {
        match tokens[i].text {
            ">" => depth += 1,
            "<" => depth -= 1,
            ";" | "{" | "}" | "=" | "&&" | "||" => return None,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

/// What follows a template list at `at`, or `at` itself if none begins there.
fn after_template_list(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    if !tokens.get(at)?.is("<") {
        return Some(at);
    }
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "<" => depth += 1,
            ">" => depth -= 1,
            ";" | "{" | "}" | "=" | "&&" => return None,
            _ => {}
        }
        if depth == 0 {
            return (i + 1 < tokens.len()).then_some(i + 1);
        }
    }
    None
}

/// At the commas outside of any brackets.
fn split<'a>(tokens: &'a [Token<'a>]) -> Vec<&'a [Token<'a>]> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "<" if after_template_list(tokens, i).is_some() => depth += 1,
            ">" if opening(tokens, i).is_some() && depth > 0 => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    if from < tokens.len() {
        parts.push(&tokens[from..]);
    }
    parts
}
