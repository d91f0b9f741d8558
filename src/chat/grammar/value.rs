//! Values by schema: which texts a parameter may have, as rules of the grammar.
//! A text is free but for what the parser would take for markup; everything else
//! is JSON as templates write it.

use std::fmt::Write as _;

use serde_json::Value;

use super::PARAMETER_CLOSE;
use crate::chat::schema::{Types, typed};

/// Schemas of schemas are followed this far; deeper, any JSON will do.
const MAX_DEPTH: usize = 6;
/// Lists and objects without a schema nest this deep.
const FREE_DEPTH: usize = 4;

/// What a parameter's value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// One of these texts.
    OneOf(Vec<String>),
    /// JSON by this schema, never a bare string.
    Json { schema: Value, shortest: String },
}

impl Kind {
    pub fn of(schema: &Value) -> Result<Self, String> {
        if let Some(values) = choices(schema) {
            // What would be read as something else can't be said.
            let texts = values.into_iter().filter_map(|value| {
                let text = as_text(value);
                (typed(&text, Some(schema)) == *value).then_some(text)
            });
            let texts: Vec<String> = texts.collect();
            return match texts.is_empty() {
                true => Err("none of its values can be written".into()),
                false => Ok(Self::OneOf(texts)),
            };
        }
        let types = Types::of(schema, 0);
        if types.string || types.untyped() {
            return Ok(Self::Text);
        }
        let shortest = shortest(schema, 0).ok_or("no value is allowed")?;
        let schema = schema.clone();
        Ok(Self::Json { schema, shortest })
    }

    pub fn shortest(&self) -> &str {
        match self {
            Kind::Text => "",
            Kind::OneOf(texts) => {
                { texts.iter().min_by_key(|text| text.len()) }.map_or("", String::as_str)
            }
            Kind::Json { shortest, .. } => shortest,
        }
    }

    /// Texts by which to try that the parser reads them as they are meant.
    pub fn samples(&self) -> Vec<&str> {
        match self {
            Kind::OneOf(texts) => texts.iter().map(String::as_str).collect(),
            kind => vec![kind.shortest()],
        }
    }
}

/// The values of an `enum` or `const`.
fn choices(schema: &Value) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(one), _) => Some(vec![one]),
        (None, Some(Value::Array(all))) => Some(all.iter().collect()),
        (None, _) => None,
    }
}

/// As a template writes an argument.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The alternatives of a schema that has no type of its own.
fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    if schema.get("type").is_some() {
        return None;
    }
    let any = |key| schema.get(key).and_then(Value::as_array);
    any("anyOf").or_else(|| any("oneOf"))
}

struct Object<'a> {
    properties: Vec<(&'a String, &'a Value)>,
    required: Vec<bool>,
}

/// The declared properties of an object, if there are some.
fn object(schema: &Value) -> Option<Object<'_>> {
    let properties = schema.get("properties")?.as_object()?;
    let properties: Vec<_> = properties.iter().take(super::MAX_PARAMETERS).collect();
    let named = schema.get("required").and_then(Value::as_array);
    let required = |key: &str| named.is_some_and(|all| all.iter().any(|name| name == key));
    let required = properties.iter().map(|(key, _)| required(key)).collect();
    (!properties.is_empty()).then_some(Object {
        properties,
        required,
    })
}

fn shortest(schema: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return Some("0".into());
    }
    if let Some(values) = choices(schema) {
        let texts = values.iter().map(|value| value.to_string());
        return texts.min_by_key(String::len);
    }
    if let Some(schemas) = alternatives(schema) {
        let all = schemas.iter().filter_map(|one| shortest(one, depth + 1));
        return all.min_by_key(String::len);
    }
    let types = Types::of(schema, MAX_DEPTH);
    let text = match () {
        () if types.integer || types.number || types.untyped() => "0".to_owned(),
        () if types.array => "[]".to_owned(),
        () if types.string => "\"\"".to_owned(),
        () if types.boolean => "true".to_owned(),
        () if types.object => {
            let object = object(schema);
            let pairs = object.iter().flat_map(|object| {
                let pairs = object.properties.iter().zip(&object.required);
                pairs.filter(|(_, required)| **required)
            });
            let pairs = pairs.map(|((key, schema), _)| {
                let key = Value::from(key.as_str());
                Some(format!("{key}:{}", shortest(schema, depth + 1)?))
            });
            let pairs: Vec<String> = pairs.collect::<Option<_>>()?;
            format!("{{{}}}", pairs.join(","))
        }
        () => "null".to_owned(),
    };
    Some(text)
}

/// A text in the grammar's quotes.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The lines of a grammar.
#[derive(Default)]
pub(super) struct Rules {
    text: String,
    count: usize,
    shared: bool,
}

impl Rules {
    pub fn add(&mut self, name: &str, body: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{name}: {body}");
    }

    /// The terminal of free texts; `names` are those of all parameters.
    pub fn add_text(&mut self, names: &[&str]) {
        self.add("TEXT_END", &text(names));
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// The symbols for a value of `kind` and the end of its parameter, which may
    /// lack the line break before it: the parser does without.
    pub fn value(&mut self, kind: &Kind) -> String {
        match kind {
            Kind::Text => "TEXT_END".into(),
            Kind::OneOf(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                let name = self.rule(&texts.join(" | "));
                format!("{name} {}", self.end())
            }
            Kind::Json { schema, .. } => {
                let name = self.json(schema, 0);
                format!("{name} {}", self.end())
            }
        }
    }

    fn end(&mut self) -> &'static str {
        self.share();
        "VALUE_END"
    }

    /// The terminals that all values use, once.
    fn share(&mut self) {
        if std::mem::replace(&mut self.shared, true) {
            return;
        }
        let close = PARAMETER_CLOSE.replace('/', "\\/");
        self.add("VALUE_END", &format!("/\\n?{close}\\n/"));
        self.add("INTEGER", "/0|-?[1-9][0-9]{0,17}/");
        let number = r"/-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?/";
        self.add("NUMBER", number);
        let hex = "[0-9a-fA-F]";
        let unpaired = format!("\\\\u([0-9abcefABCEF]{hex}|[dD][0-7]){hex}{{2}}");
        let pair = format!("\\\\u[dD][89abAB]{hex}{{2}}\\\\u[dD][c-fC-F]{hex}{{2}}");
        let character = format!("[^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\\\/bfnrt]|{unpaired}|{pair}");
        let close = markup();
        let other = "<parameter=|<\\/function>\\s*<function=";
        let string = format!("/\"({character})*\"/ & ~/(?s:.*)({close}|{other})(?s:.*)/");
        self.add("STRING", &string);
        self.add("COMMA", "/, ?/");
        self.add("COLON", "/: ?/");
        for depth in 0..=FREE_DEPTH {
            let plain = "STRING | NUMBER | \"true\" | \"false\" | \"null\"";
            let nested = match depth {
                0 => String::new(),
                _ => format!(" | list{depth} | object{depth}"),
            };
            self.add(&format!("any{depth}"), &format!("{plain}{nested}"));
            if depth > 0 {
                let item = format!("any{}", depth - 1);
                self.add(
                    &format!("list{depth}"),
                    &format!("\"[\" \"]\" | \"[\" {item} (COMMA {item})* \"]\""),
                );
                let pair = format!("STRING COLON {item}");
                self.add(
                    &format!("object{depth}"),
                    &format!("\"{{\" \"}}\" | \"{{\" {pair} (COMMA {pair})* \"}}\""),
                );
            }
        }
    }

    /// A new rule; its name.
    fn rule(&mut self, body: &str) -> String {
        let name = format!("r{}", self.count);
        self.count += 1;
        self.add(&name, body);
        name
    }

    /// The symbol for JSON by `schema`.
    fn json(&mut self, schema: &Value, depth: usize) -> String {
        self.share();
        if depth > MAX_DEPTH {
            return "any0".into();
        }
        if let Some(values) = choices(schema) {
            let texts: Vec<String> = { values.iter() }
                .map(|value| quoted(&value.to_string()))
                .collect();
            return self.rule(&texts.join(" | "));
        }
        if let Some(schemas) = alternatives(schema) {
            let all: Vec<String> = { schemas.iter() }
                .map(|one| self.json(one, depth + 1))
                .collect();
            return self.rule(&all.join(" | "));
        }
        // What stands under `anyOf` was handled above.
        let types = Types::of(schema, MAX_DEPTH);
        if types.untyped() {
            return format!("any{FREE_DEPTH}");
        }
        let mut all: Vec<String> = Vec::new();
        let mut add = |given: bool, symbol: &str| {
            if given {
                all.push(symbol.to_owned());
            }
        };
        add(types.integer && !types.number, "INTEGER");
        add(types.number, "NUMBER");
        add(types.boolean, "\"true\" | \"false\"");
        add(types.null, "\"null\"");
        add(types.string && depth > 0, "STRING");
        if types.array {
            let item = match schema.get("items") {
                Some(items) => self.json(items, depth + 1),
                None => format!("any{FREE_DEPTH}"),
            };
            all.push(format!("\"[\" \"]\" | \"[\" {item} (COMMA {item})* \"]\""));
        }
        if types.object {
            all.push(match object(schema) {
                Some(object) => self.object(&object, depth),
                None => format!("object{FREE_DEPTH}"),
            });
        }
        self.rule(&all.join(" | "))
    }

    /// Each property at most once, in any order, the required ones in any case.
    fn object(&mut self, object: &Object<'_>, depth: usize) -> String {
        let at = self.count;
        self.count += 1;
        let needed: Vec<String> = { object.required.iter().enumerate() }
            .filter(|(_, required)| **required)
            .map(|(bit, _)| format!("is_ones([{bit}:{}])", bit + 1))
            .collect();
        let needed = match needed.as_slice() {
            [] => String::new(),
            [one] => format!(" %if {one}"),
            [first, rest @ ..] => {
                let both = |all: String, one: &String| format!("and({all}, {one})");
                format!(" %if {}", rest.iter().fold(first.clone(), both))
            }
        };
        let (mut first, mut more) = (vec![format!("\"}}\"{needed}")], Vec::new());
        more.push(format!("\"}}\"{needed}"));
        for (bit, (key, schema)) in object.properties.iter().enumerate() {
            let key = quoted(&quoted(key));
            let value = self.json(schema, depth + 1);
            let pair = self.rule(&format!("{key} COLON {value}"));
            let then = format!("{pair} m{at}::set_bit({bit}) %if bit_clear({bit})");
            more.push(format!("COMMA {then}"));
            first.push(then);
        }
        self.add(&format!("f{at}::_"), &first.join("\n  | "));
        self.add(&format!("m{at}::_"), &more.join("\n  | "));
        format!("\"{{\" f{at}::0x0")
    }
}

/// What the parser takes for the end of a parameter, wherever it stands.
fn markup() -> String {
    PARAMETER_CLOSE.replace('/', "\\/")
}

/// The terminal of a free text with its end: no other end, no opener of a
/// parameter of these names, no other function, and not the template's example.
fn text(names: &[&str]) -> String {
    let close = markup();
    let names: Vec<String> = names.iter().map(|name| escaped(name)).collect();
    let anywhere = [
        format!("{close}(?s:.){{2,}}"),
        format!("<parameter=[\\s\"]*({})(?s:.*)", names.join("|")),
        "<\\/function>\\s*<function=(?s:.*)".to_owned(),
    ];
    let spelled: String = { "VALUE HERE".bytes() }
        .map(|byte| match byte {
            b' ' => " ".to_owned(),
            byte => format!("({}|\\\\u00{byte:02x})", byte as char),
        })
        .collect();
    let edge = "([\\s\"]|\\\\[\"nrtf]|\\\\u00[0-9a-fA-F]{2})*";
    let example = format!("{edge}(<value>)?{edge}{spelled}{edge}(<\\/value>)?{edge}");
    let mut terminal = format!("/(?s:.*){close}\\n/");
    for pattern in anywhere {
        let _ = write!(terminal, " & ~/(?s:.*){pattern}/");
    }
    let _ = write!(terminal, " & ~/{example}{close}\\n/");
    terminal
}

/// `name` as a pattern between slashes.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        match c {
            c if c.is_alphanumeric() || c == '_' || !c.is_ascii() => pattern.push(c),
            c => {
                let _ = write!(pattern, "\\x{:02x}", u32::from(c));
            }
        }
    }
    pattern
}
