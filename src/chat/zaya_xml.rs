//! The body of a tool call in the zaya_xml format, read as leniently as
//! quantized models need: several functions in one wrapper, a missing `>`, a
//! missing closing tag, parameters as `<name>`/`<value>` pairs, JSON instead of
//! XML. Values are raw text without any escaping.

use serde_json::{Map, Value};

use super::ToolSpec;
use super::schema::{self, typed};

pub(super) const FUNCTION: &str = "<function=";
pub(super) const FUNCTION_CLOSE: &str = "</function>";
pub(super) const PARAMETER: &str = "<parameter=";
pub(super) const PARAMETER_CLOSE: &str = "</parameter>";
/// As a variant of the format opens them.
const FUNCTION_BARE: &str = "<function>";
pub(super) const PARAMETER_BARE: &str = "<parameter>";

/// Whether the text that ends a body was there, or the output just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    CutOff,
}

/// Functions and parameters of one body; each may cost a scan of the body.
const MAX_PARTS: usize = 1000;

/// A call's name and typed arguments.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub name: String,
    pub arguments: Map<String, Value>,
    /// The value of the last parameter had no end of its own.
    pub cut_off: bool,
}

/// Every call in `body`, or why there is none; in order.
pub(super) fn read(body: &str, tools: &[ToolSpec], end: End) -> Vec<Result<Read, String>> {
    let json = body.trim();
    // Markup within a JSON call is part of its strings.
    if json.starts_with(['{', '['])
        && let Ok(payload) = serde_json::from_str(json)
    {
        return json_calls(payload, tools, end);
    }
    let mut calls = Vec::new();
    let mut rest = body;
    let mut budget = MAX_PARTS;
    while let Some((at, opener)) = first(rest, &[FUNCTION, FUNCTION_BARE]) {
        let (call, after) = function(&rest[at + opener.len()..], opener, tools, &mut budget);
        if budget == 0 {
            let reason = format!("more than {MAX_PARTS} functions and parameters in one call");
            return vec![Err(reason)];
        }
        calls.push(call.and_then(|(read, state)| accept(read, state, tools, end)));
        rest = after;
    }
    if calls.is_empty() {
        let reason = match serde_json::from_str::<Value>(json) {
            Err(error) if json.starts_with(['{', '[']) => {
                format!("the call is not valid JSON: {error}")
            }
            _ => "there is no `<function=NAME>` in the call".to_owned(),
        };
        return vec![Err(reason)];
    }
    calls
}

/// How much of a function's markup was there.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Whole,
    /// Without `</function>`.
    Open,
    /// Within a parameter.
    OpenParameter,
}

/// Closes for the model what it left open, if the call then makes sense.
fn accept(mut read: Read, state: State, tools: &[ToolSpec], end: End) -> Result<Read, String> {
    let closed = match end {
        End::Closed => state != State::OpenParameter,
        End::CutOff => state == State::Whole && tools.is_empty(),
    };
    read.cut_off = state == State::OpenParameter;
    if closed || end == End::Closed && tools.is_empty() {
        return Ok(read);
    }
    let cut = "the call isn't closed (`</parameter>`, `</function>`, `</zyphra_tool_call>`)";
    let Some(tool) = tools.iter().find(|tool| tool.name == read.name) else {
        return Err(format!("{cut}, and {}", unknown(&read.name, tools)));
    };
    match schema::missing(tool, &read.arguments) {
        Some(name) => Err(format!("{cut}, and required parameter `{name}` is missing")),
        None => Ok(read),
    }
}

fn unknown(name: &str, tools: &[ToolSpec]) -> String {
    let names: Vec<String> = tools.iter().map(|t| format!("`{}`", t.name)).collect();
    let shown: String = name.chars().take(60).collect();
    match names.as_slice() {
        [] => format!("function `{shown}` isn't known"),
        names => format!(
            "function `{shown}` isn't known; available: {}",
            names.join(", ")
        ),
    }
}

/// The first of `tags` in `text`: where, and which. Looks no further than that.
fn first<'a>(text: &str, tags: &[&'a str]) -> Option<(usize, &'a str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let tag = tags.iter().find(|tag| text[at..].starts_with(**tag))?;
        Some((at, *tag))
    })
}

type Function<'a> = (Result<(Read, State), String>, &'a str);

/// Reads from behind `opener` on; returns what follows the function.
fn function<'a>(
    text: &'a str,
    opener: &str,
    tools: &[ToolSpec],
    budget: &mut usize,
) -> Function<'a> {
    let (name, mut rest) = match opener {
        FUNCTION => name(text),
        _ => bare_name(text),
    };
    let tool = tools.iter().find(|tool| tool.name == name);
    let mut arguments = Map::new();
    let mut problem = None;
    let start = rest;
    let state = loop {
        let tags = [
            PARAMETER,
            PARAMETER_BARE,
            FUNCTION_CLOSE,
            FUNCTION,
            FUNCTION_BARE,
        ];
        *budget = budget.saturating_sub(1);
        let Some((at, tag)) = first(rest, &tags).filter(|_| *budget > 0) else {
            rest = "";
            break State::Open;
        };
        let after = &rest[at + tag.len()..];
        match tag {
            FUNCTION_CLOSE => {
                if arguments.is_empty() && problem.is_none() {
                    let inner = &start[..start.len() - rest.len() + at];
                    arguments = inline(inner.trim()).unwrap_or_default();
                }
                rest = after;
                break State::Whole;
            }
            PARAMETER => {
                let (key, value) = self::name(after);
                let (value, closed, after) = value_of(value, &key, tool);
                let schema = tool.and_then(|tool| schema::parameter(tool, &key));
                arguments.insert(key, typed(value, schema));
                rest = after;
                if !closed {
                    break State::OpenParameter;
                }
            }
            PARAMETER_BARE => {
                let (inner, closed, after) = match after.split_once(PARAMETER_CLOSE) {
                    Some((inner, after)) => (inner, true, after),
                    None => (after, false, ""),
                };
                rest = after;
                match pair(inner) {
                    Some((key, value)) => {
                        let schema = tool.and_then(|tool| schema::parameter(tool, key));
                        arguments.insert(key.to_owned(), typed(value, schema));
                    }
                    None => problem = Some("a parameter has no name; write `<parameter=NAME>`"),
                }
                if !closed {
                    break State::OpenParameter;
                }
            }
            // The next function begins: this one lacks its end.
            _ => {
                rest = &rest[at..];
                break State::Open;
            }
        }
    };
    let problem = match problem {
        Some(problem) => Some(problem.to_owned()),
        None => objection(&name, &arguments),
    };
    let read = Read {
        name,
        arguments,
        cut_off: false,
    };
    (problem.map_or(Ok((read, state)), Err), rest)
}

/// Why these aren't a call's name and arguments.
fn objection(name: &str, arguments: &Map<String, Value>) -> Option<String> {
    if name.is_empty() {
        return Some("the function has no name; write `<function=NAME>`".into());
    }
    let echo = name == "example_function_name"
        || arguments
            .keys()
            .any(|key| key.starts_with("example_parameter_"))
        || { arguments.values() }.any(|v| v.as_str().is_some_and(is_example));
    if echo {
        return Some("that is the example from the instructions, not a call".into());
    }
    let nameless = arguments.keys().any(String::is_empty);
    nameless.then(|| "a parameter has no name; write `<parameter=NAME>`".into())
}

/// The value that stands in instructions for any other.
pub(super) fn is_example(value: &str) -> bool {
    value.trim() == "VALUE HERE"
}

/// A name up to `>`, or to the end of the line or the next tag where `>` is
/// missing. A `<` that begins no tag is part of the name.
fn name(text: &str) -> (String, &str) {
    const TAGS: [&str; 7] = [
        PARAMETER,
        PARAMETER_BARE,
        PARAMETER_CLOSE,
        FUNCTION,
        FUNCTION_BARE,
        FUNCTION_CLOSE,
        "<value>",
    ];
    let inner = text.trim_start();
    let end = { inner.match_indices(['>', '\n', '<']) }
        .find(|(at, c)| *c != "<" || TAGS.iter().any(|tag| inner[*at..].starts_with(tag)))
        .map_or(inner.len(), |(at, _)| at);
    let (name, rest) = inner.split_at(end);
    let name = name.trim().trim_matches('"').to_owned();
    if let Some(rest) = rest.trim_start().strip_prefix('>') {
        return (name, rest);
    }
    // Without a `>` a name can't have begun on the next line.
    if text[..text.len() - inner.len()].contains('\n') {
        return (String::new(), text);
    }
    (name, rest)
}

/// The name in `<function>NAME` or `<function><name>NAME</name>`.
fn bare_name(text: &str) -> (String, &str) {
    if let Some(inner) = text.trim_start().strip_prefix("<name>")
        && let Some((name, rest)) = inner.split_once("</name>")
    {
        return (name.trim().to_owned(), rest);
    }
    let text = text.trim_start();
    let end = text.find(['\n', '<']).unwrap_or(text.len());
    (text[..end].trim().to_owned(), &text[end..])
}

/// The value that `text` starts with, whether it had an end, and what follows.
fn value_of<'a>(text: &'a str, key: &str, tool: Option<&ToolSpec>) -> (&'a str, bool, &'a str) {
    let close = text.find(PARAMETER_CLOSE);
    let limit = close.unwrap_or(text.len());
    // A declared parameter can't begin within another's value: an end is missing.
    let other = text[..limit].match_indices(PARAMETER).find(|(at, tag)| {
        let (next, _) = name(&text[at + tag.len()..]);
        next != key && tool.is_some_and(|tool| schema::parameter(tool, &next).is_some())
    });
    // Nor can the next function's parameters: the end that was found is theirs.
    let opener = text[..limit].rfind(PARAMETER);
    let function = text[..limit]
        .match_indices(FUNCTION_CLOSE)
        .find(|(at, tag)| {
            let after = text[at + tag.len()..].trim_start();
            close.is_none() || opener > Some(*at) && after.starts_with(FUNCTION)
        });
    let early = { [other, function] }.into_iter().flatten();
    let (value, closed, rest) = match (early.map(|(at, _)| at).min(), close) {
        (Some(at), _) => (&text[..at], true, &text[at..]),
        (None, Some(at)) => (&text[..at], true, &text[at + PARAMETER_CLOSE.len()..]),
        (None, None) => (text, false, ""),
    };
    let value = without_newlines(value);
    (unwrapped(value).unwrap_or(value), closed, rest)
}

/// Exactly one on each side: indentation and empty lines belong to the value.
fn without_newlines(value: &str) -> &str {
    let value = value.strip_prefix('\n').unwrap_or(value);
    value.strip_suffix('\n').unwrap_or(value)
}

/// The inside of a `<value>` that wraps all of `value`.
fn unwrapped(value: &str) -> Option<&str> {
    let inner = value.trim().strip_prefix("<value>")?;
    Some(without_newlines(inner.strip_suffix("</value>")?))
}

/// `<name>K</name><value>V</value>`
fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once("<name>")?.1.split_once("</name>")?;
    let value = rest.split_once("<value>")?.1;
    let value = value.rsplit_once("</value>").map_or(value, |(v, _)| v);
    Some((key.trim(), without_newlines(value)))
}

/// Arguments as one JSON object within a function.
fn inline(text: &str) -> Option<Map<String, Value>> {
    let object = text.starts_with('{').then(|| serde_json::from_str(text))?;
    match object {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// `{"name": ..., "arguments": {...}}`, or a list of them. serde_json has
/// bounded the depth.
fn json_calls(payload: Value, tools: &[ToolSpec], end: End) -> Vec<Result<Read, String>> {
    let calls = match payload {
        Value::Array(calls) if !calls.is_empty() => calls,
        call => vec![call],
    };
    { calls.into_iter() }
        .map(|call| accept(json_call(call)?, State::Whole, tools, end))
        .collect()
}

fn json_call(call: Value) -> Result<Read, String> {
    let call: super::ToolCall =
        serde_json::from_value(call).map_err(|e| format!("the call can't be read: {e}"))?;
    if let Some(objection) = objection(&call.name, &call.arguments) {
        return Err(objection);
    }
    Ok(Read {
        name: call.name,
        arguments: call.arguments,
        cut_off: false,
    })
}

#[cfg(test)]
#[path = "zaya_xml_tests.rs"]
mod tests;
