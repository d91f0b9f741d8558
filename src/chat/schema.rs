//! Parameter values by schema. zaya_xml carries every value as raw text; what
//! it is meant to be stands in the tool's JSON schema. A text that doesn't fit
//! its type stays a string: the tool's own check then explains what is wrong.

use serde_json::{Number, Value};

use super::{ToolSpec, literal};

/// Schemas of schemas are followed this far.
const MAX_DEPTH: usize = 8;

/// What a schema's `type`, or its `anyOf`, allows.
#[derive(Default)]
pub(super) struct Types {
    pub string: bool,
    pub integer: bool,
    pub number: bool,
    pub boolean: bool,
    pub object: bool,
    pub array: bool,
    pub null: bool,
}

impl Types {
    fn add(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
        match name.as_str() {
            "string" | "str" | "text" | "varchar" | "char" | "enum" => self.string = true,
            "boolean" | "bool" | "binary" => self.boolean = true,
            "null" | "none" => self.null = true,
            "object" => self.object = true,
            "array" => self.array = true,
            _ if starts(&["int", "uint", "long", "short", "unsigned"]) => self.integer = true,
            _ if starts(&["num", "float", "double"]) => self.number = true,
            _ if starts(&["dict"]) => self.object = true,
            _ if starts(&["list"]) => self.array = true,
            _ => self.string = true,
        }
    }

    pub fn of(schema: &Value, depth: usize) -> Self {
        let mut types = Self::default();
        types.collect(schema, depth);
        types
    }

    fn collect(&mut self, schema: &Value, depth: usize) {
        match &schema["type"] {
            Value::String(name) => self.add(name),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .for_each(|n| self.add(n)),
            _ => {
                for key in ["anyOf", "oneOf"] {
                    for one in schema[key].as_array().into_iter().flatten() {
                        if depth < MAX_DEPTH {
                            self.collect(one, depth + 1);
                        }
                    }
                }
            }
        }
        self.null |= schema["nullable"] == true;
    }

    /// Whether nothing is said, so that a text is as good as anything.
    pub fn untyped(&self) -> bool {
        !self.null && !self.any()
    }

    fn any(&self) -> bool {
        self.string || self.integer || self.number || self.boolean || self.object || self.array
    }

    fn several(&self) -> bool {
        let all = [
            self.string,
            self.integer,
            self.number,
            self.boolean,
            self.object,
            self.array,
        ];
        all.iter().filter(|&&t| t).count() > 1
    }
}

/// The schema of parameter `key`, if `tool` declares it.
pub(super) fn parameter<'a>(tool: &'a ToolSpec, key: &str) -> Option<&'a Value> {
    tool.parameters.get("properties")?.get(key)
}

/// Declared as required and not among `given`.
pub(super) fn missing<'a>(
    tool: &'a ToolSpec,
    given: &serde_json::Map<String, Value>,
) -> Option<&'a str> {
    let required = tool.parameters.get("required")?.as_array()?;
    let mut names = required.iter().filter_map(Value::as_str);
    names.find(|name| !given.contains_key(*name))
}

/// `raw` as its schema wants it.
pub(super) fn typed(raw: &str, schema: Option<&Value>) -> Value {
    let string = || Value::String(raw.to_owned());
    let Some(schema) = schema else {
        return string();
    };
    let types = Types::of(schema, 0);
    let text = raw.trim();
    if types.null && text == "null" {
        return Value::Null;
    }
    let several = types.several();
    let value = None
        .or_else(|| types.integer.then(|| integer(text))?)
        .or_else(|| types.number.then(|| number(text))?)
        .or_else(|| types.boolean.then(|| boolean(text, several))?)
        .or_else(|| (types.object || types.array).then(|| container(text, &types, several))?);
    match value {
        Some(value) => value,
        None if types.string => unquoted(raw).map_or_else(string, Value::String),
        None => string(),
    }
}

fn integer(text: &str) -> Option<Value> {
    let signed = text.parse::<i64>().map(Value::from);
    signed
        .or_else(|_| text.parse::<u64>().map(Value::from))
        .ok()
}

/// An integer where the number is one.
fn number(text: &str) -> Option<Value> {
    /// Beyond 2^53 a double may not be the integer that was written.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(value) = integer(text) {
        return Some(value);
    }
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Some(Value::from(number as i64));
    }
    Number::from_f64(number).map(Value::Number)
}

/// Among several types only the words themselves are booleans: `no` may be text.
fn boolean(text: &str, strict: bool) -> Option<Value> {
    Some(Value::Bool(match text.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        "1" | "yes" | "on" if !strict => true,
        "0" | "no" | "off" if !strict => false,
        _ => return None,
    }))
}

/// Among several types only what fits counts. Alone, any JSON is taken as it is:
/// the tool can then say what it got instead.
fn container(text: &str, types: &Types, strict: bool) -> Option<Value> {
    let value = serde_json::from_str(text)
        .ok()
        .or_else(|| literal::parse(text))?;
    let fits = types.object && value.is_object() || types.array && value.is_array();
    (fits || !strict).then_some(value)
}

/// The content of a text that is exactly one JSON string literal.
fn unquoted(raw: &str) -> Option<String> {
    (raw.starts_with('"') && raw.ends_with('"'))
        .then(|| serde_json::from_str(raw).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_follow_their_type() {
        let cases = [
            ("string", "3", json!("3")),
            ("string", "null", json!("null")),
            ("str", "\"a\\nb\"", json!("a\nb")),
            ("string", "\"a\" and \"b\"", json!("\"a\" and \"b\"")),
            ("string", " x ", json!(" x ")),
            ("integer", " 42 ", json!(42)),
            ("uint64", "18446744073709551615", json!(u64::MAX)),
            ("integer", "4.5", json!("4.5")),
            ("number", "4.50", json!(4.5)),
            ("float", "4.0", json!(4)),
            ("number", "nan", json!("nan")),
            ("boolean", "TRUE", json!(true)),
            ("bool", "off", json!(false)),
            ("boolean", "maybe", json!("maybe")),
            ("object", "{\"a\": [1]}", json!({"a": [1]})),
            (
                "dict",
                "{'a': True, 'b': None}",
                json!({"a": true, "b": null}),
            ),
            ("array", "[1, 2", json!("[1, 2")),
            ("array", "5", json!(5)),
            ("object", "[1]", json!([1])),
            ("string", "\"a\" ", json!("\"a\" ")),
        ];
        for (kind, raw, value) in cases {
            assert_eq!(
                typed(raw, Some(&json!({"type": kind}))),
                value,
                "{kind} {raw}"
            );
        }
        assert_eq!(typed("3", None), json!("3"));
        assert_eq!(typed("3", Some(&json!({}))), json!("3"));
    }

    #[test]
    fn unions_try_the_narrow_types_first() {
        let union = json!({"type": ["integer", "boolean", "string", "null"]});
        assert_eq!(typed("7", Some(&union)), json!(7));
        assert_eq!(typed("true", Some(&union)), json!(true));
        assert_eq!(typed("no", Some(&union)), json!("no"));
        assert_eq!(typed("null", Some(&union)), json!(null));
        let any = json!({"anyOf": [{"type": "array"}, {"type": "string"}], "nullable": true});
        assert_eq!(typed("[\"a\"]", Some(&any)), json!(["a"]));
        assert_eq!(typed("a", Some(&any)), json!("a"));
        assert_eq!(typed("null", Some(&any)), json!(null));
    }
}
