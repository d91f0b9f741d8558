//! Python literals: models trained on Python write `{'a': True}` where JSON is
//! asked for.

use serde_json::{Map, Value};

/// Deeper literals are refused: they would exhaust the stack.
const MAX_DEPTH: usize = 64;

/// A dict, list or tuple of literals; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut parser = Literal { rest: text.trim() };
    let value = parser.value(0)?;
    (parser.rest.is_empty() && (value.is_object() || value.is_array())).then_some(value)
}

struct Literal<'a> {
    rest: &'a str,
}

impl Literal<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.chars().next()? {
            '{' => self.dict(depth),
            '[' => self.list("[", "]", depth),
            '(' => self.list("(", ")", depth),
            '\'' | '"' => self.string().map(Value::String),
            _ => self.word(),
        }
    }

    fn dict(&mut self, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        self.eat("{");
        while !self.eat("}") {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                key @ (Value::Number(_) | Value::Bool(_) | Value::Null) => key.to_string(),
                _ => return None,
            };
            if !self.eat(":") {
                return None;
            }
            object.insert(key, self.value(depth + 1)?);
            if !self.eat(",") && !self.rest.starts_with('}') {
                return None;
            }
        }
        Some(Value::Object(object))
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.eat(open);
        while !self.eat(close) {
            items.push(self.value(depth + 1)?);
            if !self.eat(",") && !self.rest.starts_with(close) {
                return None;
            }
        }
        Some(Value::Array(items))
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest.char_indices();
        let (_, quote) = chars.next()?;
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    '\n' => {}
                    c @ ('x' | 'u' | 'U') => {
                        let digits = match c {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let mut code = 0u32;
                        for _ in 0..digits {
                            code = code * 16 + chars.next()?.1.to_digit(16)?;
                        }
                        text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c if c == quote => {
                    self.rest = self.rest[at + c.len_utf8()..].trim_start();
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Value> {
        let end = { self.rest }.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        match word {
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            "None" | "null" => Some(Value::Null),
            _ => serde_json::from_str::<Value>(word)
                .ok()
                .filter(Value::is_number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read() {
        let text = r#"{'a': [1, -2.5, 'it\'s', "q\x41\n"], 3: (True, False, None,), 'é': {}}"#;
        assert_eq!(
            parse(text),
            Some(json!({"a": [1, -2.5, "it's", "qA\n"], "3": [true, false, null], "é": {}}))
        );
    }

    #[test]
    fn nonsense_is_none() {
        let deep = "[".repeat(100_000);
        for text in [
            "", "{", "{'a'}", "[1 2]", "'a", "x", "[x]", "{[]: 1}", "[1]]", &deep,
        ] {
            assert_eq!(parse(text), None, "{text:.20}");
        }
        assert_eq!(parse("'only a string'"), None);
    }
}
