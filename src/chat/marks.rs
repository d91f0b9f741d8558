//! Break marks keep untrusted text from becoming control tokens. A mark, the
//! noncharacter U+FDD0, is put inside everything that spells a control token
//! before a template sees it; the rendered text is split at the marks, and each
//! piece is encoded alone, so that no tokenizer can join what a mark separates.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The mark. Untrusted text that contains it, or another of the noncharacters that
/// are kept for marks, gets U+FFFD in its place.
pub(super) const MARK: char = '\u{fdd0}';
const MARKS: std::ops::RangeInclusive<char> = MARK..='\u{fdef}';

/// What JSON schemas are made of, and templates look up by name. Some templates
/// write other keys of a schema as tags, so those are as untrusted as values.
const KEYWORDS: [&str; 44] = [
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "definitions",
    "dependentRequired",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
];

/// The texts of control tokens, arranged for finding them.
pub(super) struct Marker {
    texts: HashSet<Box<str>>,
    /// Byte lengths that occur in `texts`.
    lengths: Vec<usize>,
    first_bytes: HashSet<u8>,
    /// Proper prefixes and suffixes of `texts`.
    prefixes: HashSet<Box<str>>,
    suffixes: HashSet<Box<str>>,
    /// All texts, separated by NUL.
    joined: String,
}

impl Marker {
    pub(super) fn new<'a>(control: impl IntoIterator<Item = &'a str>) -> Self {
        // A token of one character can't be broken by splitting.
        let texts: HashSet<Box<str>> = control
            .into_iter()
            .filter(|text| text.chars().nth(1).is_some())
            .map(Into::into)
            .collect();
        let cuts = || {
            texts.iter().flat_map(|text| {
                let inner = text.char_indices().skip(1);
                inner.map(move |(at, _)| text.split_at(at))
            })
        };
        let lengths: HashSet<usize> = texts.iter().map(|text| text.len()).collect();
        let mut lengths: Vec<usize> = lengths.into_iter().collect();
        lengths.sort_unstable();
        let mut all: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        all.sort_unstable();
        Self {
            prefixes: cuts().map(|(head, _)| head.into()).collect(),
            suffixes: cuts().map(|(_, tail)| tail.into()).collect(),
            first_bytes: texts.iter().map(|text| text.as_bytes()[0]).collect(),
            joined: all.join("\0"),
            lengths,
            texts,
        }
    }

    /// Every occurrence of a control token's text, overlapping ones too, as
    /// byte ranges in order of their start.
    pub(super) fn occurrences<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let starts = text.bytes().enumerate();
        starts
            .filter(|(_, byte)| self.first_bytes.contains(byte))
            .flat_map(move |(at, _)| {
                self.lengths.iter().filter_map(move |length| {
                    let found = text.get(at..at + length)?;
                    self.texts.contains(found).then_some((at, at + length))
                })
            })
    }

    /// `text` with marks wherever it could become, or with text around it help
    /// to form, a control token.
    pub(super) fn mark(&self, text: &str) -> String {
        let mut at = self.inner(text);
        let core = text.trim();
        let start = text.len() - text.trim_start().len();
        let end = start + core.len();
        // The template may trim; so the edges of the trimmed text count, too.
        for (from, to) in [(0, text.len()), (start, end)] {
            let part = &text[from..to];
            if part.is_empty() {
                continue;
            }
            if self.starts_late(part) {
                at.push(from);
            }
            if self.ends_early(part) {
                at.push(to);
            }
        }
        insert(text, at)
    }

    /// As [`Marker::mark`] for a JSON schema: what the schema language itself
    /// defines stays readable for the template.
    pub(super) fn mark_schema(&self, schema: &Value) -> Value {
        let Value::Object(object) = schema else {
            return self.mark_value(schema);
        };
        let marked = object.iter().map(|(keyword, value)| {
            let value = match (keyword.as_str(), value) {
                (
                    "properties" | "$defs" | "definitions" | "patternProperties",
                    Value::Object(p),
                ) => {
                    let named = p.iter().map(|(k, v)| (self.mark(k), self.mark_schema(v)));
                    Value::Object(named.collect())
                }
                ("items" | "additionalProperties" | "not", value) => self.mark_schema(value),
                ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                    all.iter().map(|s| self.mark_schema(s)).collect()
                }
                (_, value) => self.mark_value(value),
            };
            let keyword = match KEYWORDS.contains(&keyword.as_str()) {
                true => keyword.clone(),
                false => self.mark(keyword),
            };
            (keyword, value)
        });
        Value::Object(marked.collect())
    }

    /// As [`Marker::mark`] for every string and key within `value`.
    pub(super) fn mark_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mark(text)),
            Value::Array(items) => items.iter().map(|item| self.mark_value(item)).collect(),
            Value::Object(object) => Value::Object(self.mark_object(object)),
            scalar => scalar.clone(),
        }
    }

    pub(super) fn mark_object(&self, object: &Map<String, Value>) -> Map<String, Value> {
        let marked = object.iter();
        marked
            .map(|(key, value)| (self.mark(key), self.mark_value(value)))
            .collect()
    }

    /// Takes the marks out of rendered text. Returns the text and the places to
    /// split it at: those marks that are inside a control token's text. The
    /// others change nothing, so text without control tokens stays whole.
    pub(super) fn unmark(&self, rendered: &str) -> (String, Vec<usize>) {
        let mut text = String::with_capacity(rendered.len());
        let mut marks = Vec::new();
        for piece in rendered.split(MARK) {
            text.push_str(piece);
            marks.push(text.len());
        }
        marks.pop();
        marks.dedup();
        let mut breaks = Vec::new();
        if !marks.is_empty() {
            for (start, end) in self.occurrences(&text) {
                let first = marks.partition_point(|&mark| mark <= start);
                breaks.extend(marks[first..].iter().take_while(|&&mark| mark < end));
            }
            breaks.sort_unstable();
            breaks.dedup();
        }
        (text, breaks)
    }

    /// A place within every occurrence: after its first character.
    fn inner(&self, text: &str) -> Vec<usize> {
        self.occurrences(text)
            .map(|(start, _)| start + text[start..].chars().next().map_or(0, char::len_utf8))
            .collect()
    }

    /// Does `text` start with, or lie within, what can follow the start of a
    /// control token?
    fn starts_late(&self, text: &str) -> bool {
        let longest = self.lengths.last().copied().unwrap_or(0);
        let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let mut ends = ends.by_ref().take_while(|&end| end <= longest);
        ends.any(|end| self.suffixes.contains(&text[..end]))
            || text.len() <= longest && !text.contains('\0') && self.joined.contains(text)
    }

    /// Does `text` end with the start of a control token?
    fn ends_early(&self, text: &str) -> bool {
        let longest = self.lengths.last().copied().unwrap_or(0);
        let starts = text.char_indices().rev().map(|(at, _)| at);
        starts
            .take_while(|at| text.len() - at <= longest)
            .any(|at| self.prefixes.contains(&text[at..]))
    }
}

/// `text` with marks at the byte offsets `at`, and those of its own replaced.
fn insert(text: &str, mut at: Vec<usize>) -> String {
    at.sort_unstable();
    at.dedup();
    let mut marked = String::with_capacity(text.len() + 3 * at.len());
    let mut from = 0;
    for at in at {
        marked.push_str(&harmless(&text[from..at]));
        marked.push(MARK);
        from = at;
    }
    marked.push_str(&harmless(&text[from..]));
    marked
}

fn harmless(text: &str) -> String {
    text.replace(|c| MARKS.contains(&c), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: [&str; 5] = ["<think>", "</think>", "<|im_end|>", "<function=", "abab"];

    /// No occurrence may survive in a piece, whatever surrounds the text.
    fn check(before: &str, untrusted: &str, after: &str) {
        let marker = Marker::new(CONTROL);
        let rendered = format!("{before}{}{after}", marker.mark(untrusted));
        let (text, breaks) = marker.unmark(&rendered);
        assert_eq!(
            text,
            format!("{before}{untrusted}{after}").replace(MARK, "\u{fffd}")
        );
        for (start, end) in marker.occurrences(&text) {
            let trusted = end <= before.len() || start >= text.len() - after.len();
            let broken = breaks.iter().any(|&b| start < b && b < end);
            assert_eq!(broken, !trusted, "{text:?} {start}..{end} {breaks:?}");
        }
    }

    #[test]
    fn untrusted_text_never_spells_a_control_token() {
        check("", "<think>", "");
        check("<think>", "abababab", "</think>");
        check("<thi", "nk>", "");
        check("", "x<|im_", "end|>");
        check("<", "think", ">");
        check("<", " think ", ">");
        check("<|im_end|>", "> quoted\n< ", "<|im_end|>");
        check("a", "b\u{fdd0}a<\u{fdd0}think>", "b");
        check("", "é<think>é</think>日<|im_end|>", "");
        check("ab", "ab", "ab");
        check("", "", "");
    }

    #[test]
    fn ordinary_text_stays_whole() {
        let marker = Marker::new(CONTROL);
        for text in ["> quote", "a < b", "think", "if a<b { }", ">"] {
            let (plain, breaks) = marker.unmark(&format!("user\n{}\n", marker.mark(text)));
            assert_eq!((plain, breaks), (format!("user\n{text}\n"), vec![]));
        }
    }

    #[test]
    fn schemas_keep_their_keywords() {
        let marker = Marker::new(["<description>", "<type>", "</type>"]);
        let schema = serde_json::json!({
            "type": "object", "description": "x<type>",
            "properties": {"description": {"type": "string"}},
        });
        // Other keys may become tags.
        let tag = marker.mark_schema(&serde_json::json!({"/type>": 1, "type": 2}));
        let keys: Vec<&String> = tag.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["\u{fdd0}/type>", "type"]);
        let marked = marker.mark_schema(&schema);
        assert_eq!(marked["type"], "object");
        assert_eq!(marked["description"], "x<\u{fdd0}type>");
        let property = marked["properties"].as_object().unwrap().iter().next();
        let (name, schema) = property.unwrap();
        assert_eq!(name, "\u{fdd0}description");
        assert_eq!(schema["type"], "string");
    }
}
