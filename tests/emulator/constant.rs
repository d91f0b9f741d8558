//! The value of a constant integer expression in a kernel's text, such as the
//! extent of a threadgroup array.

use std::collections::HashMap;

use super::tokens::{Kind, Token};

/// Binary operators, loosest first.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// The integer constants of a text: template arguments, and each
/// `constexpr TYPE NAME = EXPRESSION;` whose value can be found.
pub fn constants(
    tokens: &[Token<'_>],
    arguments: impl Iterator<Item = (&'static str, usize)>,
) -> HashMap<String, i64> {
    let mut known: HashMap<String, i64> = arguments
        .map(|(name, value)| (name.to_owned(), value as i64))
        .collect();
    for (i, token) in tokens.iter().enumerate() {
        let named = |t: &&[Token<'_>]| t[1].kind == Kind::Word && t[2].is("=");
        if let Some(declared) = tokens.get(i + 1..i + 4).filter(named)
            && token.is("constexpr")
        {
            let rest = &tokens[i + 4..];
            let end = rest.iter().position(|t| t.is(";")).unwrap_or(0);
            if let Some(value) = value(&rest[..end], &known) {
                known.insert(declared[1].text.to_owned(), value);
            }
        }
    }
    known
}

/// `None` if it is not one, or names what is not known.
pub fn value(tokens: &[Token<'_>], known: &HashMap<String, i64>) -> Option<i64> {
    let mut parser = Parser {
        tokens,
        at: 0,
        known,
    };
    let value = parser.choice()?;
    (parser.at == tokens.len()).then_some(value)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    known: &'a HashMap<String, i64>,
}

impl Parser<'_> {
    fn choice(&mut self) -> Option<i64> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Some(condition);
        }
        let yes = self.choice()?;
        if !self.take(":") {
            return None;
        }
        let no = self.choice()?;
        Some(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Option<i64> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(&operator) = operators.iter().find(|&&o| self.operator() == o) {
            self.take(operator);
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right)?;
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<i64> {
        if self.take("-") {
            return self.unary()?.checked_neg();
        }
        if self.take("~") {
            return Some(!self.unary()?);
        }
        if self.take("!") {
            return Some(i64::from(self.unary()? == 0));
        }
        let token = self.tokens.get(self.at)?;
        if self.take("(") {
            let inner = self.choice()?;
            return self.take(")").then_some(inner);
        }
        self.at += 1;
        match token.kind {
            Kind::Number => token
                .text
                .trim_end_matches(['u', 'U', 'l', 'L'])
                .parse()
                .ok(),
            Kind::Word if self.take("(") => {
                let first = self.choice()?;
                let second = if self.take(",") { self.choice() } else { None };
                if !self.take(")") {
                    return None;
                }
                match (token.text, second) {
                    ("int" | "uint" | "ulong" | "size_t", None) => Some(first),
                    ("min", Some(second)) => Some(first.min(second)),
                    ("max", Some(second)) => Some(first.max(second)),
                    _ => None,
                }
            }
            Kind::Word => self.known.get(token.text).copied(),
            _ => None,
        }
    }

    /// The operator that begins here: marks without a gap between them.
    fn operator(&self) -> String {
        let mut text = String::new();
        let mut end = None;
        for token in self.tokens[self.at..].iter().take(2) {
            let glued = end.is_none_or(|end| end == token.at.start);
            if !glued || token.kind != Kind::Mark {
                break;
            }
            if LEVELS.iter().flat_map(|l| l.iter()).any(|&o| o == text)
                && !LEVELS
                    .iter()
                    .flat_map(|l| l.iter())
                    .any(|&o| o == format!("{text}{}", token.text))
            {
                break;
            }
            text.push_str(token.text);
            end = Some(token.at.end);
        }
        text
    }

    fn take(&mut self, text: &str) -> bool {
        let mut length = 0;
        let mut at = self.at;
        while length < text.len() {
            let Some(token) = self.tokens.get(at) else {
                return false;
            };
            if !text[length..].starts_with(token.text) {
                return false;
            }
            length += token.text.len();
            at += 1;
        }
        self.at = at;
        true
    }
}

fn apply(operator: &str, a: i64, b: i64) -> Option<i64> {
    let shift = u32::try_from(b).ok();
    match operator {
        "||" => Some(i64::from(a != 0 || b != 0)),
        "&&" => Some(i64::from(a != 0 && b != 0)),
        "|" => Some(a | b),
        "^" => Some(a ^ b),
        "&" => Some(a & b),
        "==" => Some(i64::from(a == b)),
        "!=" => Some(i64::from(a != b)),
        "<=" => Some(i64::from(a <= b)),
        ">=" => Some(i64::from(a >= b)),
        "<" => Some(i64::from(a < b)),
        ">" => Some(i64::from(a > b)),
        "<<" => a.checked_shl(shift?),
        ">>" => a.checked_shr(shift?),
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => a.checked_div(b),
        "%" => a.checked_rem(b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::tokens::tokens;

    #[test]
    fn expressions_have_the_value_that_c_gives_them() {
        let known = HashMap::from([("N".to_owned(), 40), ("M".to_owned(), 3)]);
        for (text, expected) in [
            ("N + 2 * M - 1", Some(45)),
            ("(N + 15) / 16 * 16", Some(48)),
            ("N < 512 ? 1 : N - N % 512", Some(1)),
            ("N >= 40 && M != 3 ? 1 : 2", Some(2)),
            ("1 << M | N >> 2", Some(10)),
            ("-M + ~0 + !M", Some(-4)),
            ("max(uint(N), 41u) == 41", Some(1)),
            ("N - M - 1", Some(36)),
            ("N > M", Some(1)),
            ("N / (M - 3)", None),
            ("UNKNOWN", None),
            ("N M", None),
            ("f(N)", None),
            ("N +", None),
        ] {
            assert_eq!(value(&tokens(text), &known), expected, "{text}");
        }
    }

    #[test]
    fn constants_build_on_each_other() {
        let text = "constexpr int A = N / 2; constexpr uint B = A + 1; constexpr int C = f(B);";
        let known = constants(&tokens(text), [("N", 8)].into_iter());
        assert_eq!((known["A"], known["B"]), (4, 5));
        assert!(!known.contains_key("C"));
    }
}
