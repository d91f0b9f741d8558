//! Where in a call its bytes have led, and the shortest way from there to its
//! end. Only bodies that the grammar allows have a place.

use super::{CallForm, FUNCTION_CLOSE, Kind, PARAMETER_CLOSE, Parameter, Tool, closer};

/// A place in a call's body.
#[derive(Clone, Debug)]
pub struct Place {
    at: At,
    /// The line so far, outside of values.
    line: Vec<u8>,
    tool: usize,
    /// Bits of the parameters that have their value.
    given: u64,
    parameter: usize,
    /// The value so far, with what there is of its end.
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// Before the end of the function's name.
    Function,
    /// Between parameters.
    Parameters,
    Value,
    End,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            at: At::Function,
            line: Vec::new(),
            tool: 0,
            given: 0,
            parameter: 0,
            value: Vec::new(),
        }
    }
}

/// Where in a free text the next tokens are decided by nothing but the place:
/// equal ones have equal masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plain {
    tool: usize,
    given: u64,
    parameter: usize,
}

/// What ends a text, and what must not stand in it, without the `<`.
const AFTER_LESS: [&str; 4] = ["/parameter>", "/function>", "parameter=", "function="];

impl Place {
    pub fn push(&mut self, form: &CallForm, bytes: &[u8]) {
        for &byte in bytes {
            match self.at {
                At::Value => self.push_value(byte),
                At::Function | At::Parameters => {
                    self.line.push(byte);
                    // A call begins with a line break.
                    if byte == b'\n' && self.line.len() > 1 {
                        self.end_line(form);
                    }
                }
                At::End => {}
            }
        }
    }

    fn end_line(&mut self, form: &CallForm) {
        let line = std::mem::take(&mut self.line);
        match self.at {
            At::Function => {
                let named = |tool: &Tool| tool.opener().as_bytes() == line;
                if let Some(tool) = form.tools.iter().position(named) {
                    (self.tool, self.at) = (tool, At::Parameters);
                }
            }
            _ if line.starts_with(FUNCTION_CLOSE.as_bytes()) => self.at = At::End,
            _ => {
                let named = |own: &Parameter| own.opener().as_bytes() == line;
                let own = &form.tools[self.tool].parameters;
                if let Some(parameter) = own.iter().position(named) {
                    (self.parameter, self.at) = (parameter, At::Value);
                    self.value.clear();
                }
            }
        }
    }

    fn push_value(&mut self, byte: u8) {
        self.value.push(byte);
        let closed = self.value.strip_suffix(b"\n");
        if closed.is_some_and(|value| value.ends_with(PARAMETER_CLOSE.as_bytes())) {
            self.given |= 1 << self.parameter;
            self.at = At::Parameters;
        }
    }

    fn kind<'a>(&self, form: &'a CallForm) -> Option<&'a Kind> {
        let own = form.tools.get(self.tool)?.parameters.get(self.parameter)?;
        (self.at == At::Value).then_some(&own.kind)
    }

    /// Within a value, or at its end.
    pub fn in_value(&self) -> bool {
        self.at == At::Value
    }

    /// Within a free text, or at its end.
    pub fn in_text(&self, form: &CallForm) -> bool {
        matches!(self.kind(form), Some(Kind::Text))
    }

    /// The value so far, with what there is of its end.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The place in a free text as far as it matters; `None` where something is
    /// pending: a character, a tag, or the template's example.
    pub fn plain(&self, form: &CallForm) -> Option<Plain> {
        if !self.in_text(form) {
            return None;
        }
        let value = std::str::from_utf8(&self.value).ok()?;
        // The example may be quoted and escaped, and wrapped.
        let start = value.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
        let may_be = |what: &str| start.starts_with(what) || what.starts_with(start);
        if value.starts_with('"') || may_be("<value>") || may_be("VALUE HERE") || may_be("\\") {
            return None;
        }
        if let Some((_, after)) = value.rsplit_once('<') {
            let mut names = form.tools.iter().flat_map(|tool| &tool.parameters);
            let pending = AFTER_LESS.iter().any(|tag| tag.starts_with(after))
                || after
                    .strip_prefix("/function>")
                    .is_some_and(|rest| rest.trim().is_empty())
                || after.strip_prefix("parameter=").is_some_and(|rest| {
                    let skip = |c: char| c.is_whitespace() || c == '"';
                    let rest = rest.trim_start_matches(skip);
                    names.any(|own| own.name.starts_with(rest))
                });
            if pending {
                return None;
            }
        }
        Some(Plain {
            tool: self.tool,
            given: self.given,
            parameter: self.parameter,
        })
    }

    /// The shortest text that completes the call from here. `json` completes
    /// what a call begins with that is cut within a value of JSON, up to the end of
    /// the parameter; it may fail.
    pub fn completion(
        &self,
        form: &CallForm,
        json: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut rest = Vec::new();
        let tool = match self.at {
            At::End => return Some(rest),
            At::Function => {
                let ways = form.shortest_calls();
                let ways = ways.filter_map(|call| {
                    let rest = call.as_bytes().strip_prefix(self.line.as_slice())?;
                    Some(rest.to_vec())
                });
                return ways.min_by_key(Vec::len);
            }
            At::Parameters | At::Value => form.tools.get(self.tool)?,
        };
        let mut given = self.given;
        let mut line = self.line.as_slice();
        if self.at == At::Value {
            let own = &tool.parameters[self.parameter];
            rest = match &own.kind {
                Kind::Text => rest_of_text(&self.value),
                Kind::OneOf(texts) => rest_of_one(&self.value, texts)?,
                Kind::Json { .. } => {
                    let opened = format!("{}{}", tool.opener(), own.opener());
                    json(&[opened.as_bytes(), &self.value].concat())?
                }
            };
            given |= 1 << self.parameter;
            line = &[];
        }
        loop {
            let missing = tool.required() & !given;
            let end = format!("{FUNCTION_CLOSE}\n");
            if missing == 0
                && let Some(end) = end.as_bytes().strip_prefix(line)
            {
                rest.extend_from_slice(end);
                return Some(rest);
            }
            // Required ones come first; others only if one has been begun.
            let mut left =
                { tool.parameters.iter().enumerate() }.filter(|(bit, _)| given >> bit & 1 == 0);
            let (bit, way) = left.find_map(|(bit, own)| {
                let text = own.shortest();
                let way = text.as_bytes().strip_prefix(line)?;
                Some((bit, way.to_vec()))
            })?;
            rest.extend(way);
            given |= 1 << bit;
            line = &[];
        }
    }
}

/// What is missing of a free text's end.
fn rest_of_text(value: &[u8]) -> Vec<u8> {
    let closer = closer();
    let closer = closer.as_bytes();
    let character = rest_of_character(value);
    if may_be_example(value) {
        // With a full stop behind it, it is none.
        return [&character, b".".as_slice(), closer].concat();
    }
    let begun = |closer: &[u8]| {
        let mut lengths = (1..closer.len()).rev();
        lengths.find(|&n| value.ends_with(&closer[..n]))
    };
    // The line break may be missing; `<` alone is rather text.
    let bare = || begun(&closer[1..]).filter(|&n| n > 1).map(|n| n + 1);
    let done = begun(closer).or_else(bare).unwrap_or(0);
    [&character, &closer[done..]].concat()
}

/// Whether a text may be the template's example; rather yes than no.
fn may_be_example(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    text.contains("VALUE HERE") || text.starts_with('"') && text.contains('\\')
}

/// Bytes that make the character at the end of `text` a whole one.
fn rest_of_character(text: &[u8]) -> Vec<u8> {
    let Err(error) = std::str::from_utf8(text) else {
        return Vec::new();
    };
    let cut = &text[error.valid_up_to()..];
    let Some(&first) = cut.first().filter(|_| error.error_len().is_none()) else {
        return Vec::new();
    };
    let length = match first {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    let mut rest = vec![0x80; length - cut.len()];
    // The second byte of these has a higher lowest value.
    match (first, cut.len()) {
        (0xe0, 1) => rest[0] = 0xa0,
        (0xf0, 1) => rest[0] = 0x90,
        _ => {}
    }
    rest
}

/// The rest of the shortest of `texts` that begins with `value`, and its end.
fn rest_of_one(value: &[u8], texts: &[String]) -> Option<Vec<u8>> {
    let ways = texts.iter().flat_map(|text| {
        // The line break may be missing.
        let bare = format!("{text}{PARAMETER_CLOSE}\n");
        [format!("{text}{}", closer()), bare]
    });
    // The usual form first, where both are possible.
    let mut ways: Vec<Vec<u8>> = ways
        .filter_map(|way| Some(way.as_bytes().strip_prefix(value)?.to_vec()))
        .collect();
    ways.sort_by_key(|way| (way.len(), way.first() != Some(&b'\n')));
    ways.into_iter().next()
}
