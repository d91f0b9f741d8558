use serde_json::json;

use super::*;
use crate::chat::{Parser, ParserOptions};

fn spec(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters,
    }
}

fn specs() -> Vec<ToolSpec> {
    vec![
        spec("stop", Value::Null),
        spec(
            "edit",
            json!({"type": "object", "required": ["path", "count"], "properties": {
                "path": {"type": "string"},
                "count": {"type": "integer"},
                "all": {"type": "boolean"},
                "mode": {"enum": ["on", "off"], "type": "string"},
                "parts": {"type": "array", "items": {"type": "string"}},
                "where": {"type": "object", "required": ["line"], "properties": {
                    "line": {"type": "integer"}, "file": {"type": "string"}}},
            }}),
        ),
    ]
}

/// The bytes of a call's body, and where they lead.
fn place(form: &CallForm, body: &str) -> Place {
    let mut place = Place::default();
    place.push(form, body.as_bytes());
    place
}

#[test]
fn any_beginning_is_completed_to_a_call_that_is_read() {
    let specs = specs();
    let form = CallForm::new(&specs).unwrap();
    let call = "\n<function=edit>\n<parameter=path>\na é</b\n</parameter>\n<parameter=mode>\noff\n\
                </parameter>\n<parameter=count>\n12\n</parameter>\n</function>\n";
    for end in 0..=call.len() {
        let mut place = Place::default();
        place.push(&form, &call.as_bytes()[..end]);
        // Of JSON there is only the integer: it is whole from its first digit on.
        let json = |begun: &[u8]| {
            let text = String::from_utf8_lossy(begun).into_owned();
            let value = &text[text.rfind("count>\n")? + 7..];
            let whole = [
                "0\n</parameter>\n",
                "12\n</parameter>\n",
                "1\n</parameter>\n",
            ];
            let rest = whole.iter().find_map(|way| way.strip_prefix(value))?;
            Some(rest.as_bytes().to_vec())
        };
        let rest = place.completion(&form, json).expect("a way to the end");
        let body = [&call.as_bytes()[..end], &rest].concat();
        let body = String::from_utf8(body).expect("whole characters");
        let mut calls = zaya_xml::read(&body, &specs, End::Closed);
        assert_eq!(calls.len(), 1, "{body}");
        let call = calls.remove(0).unwrap();
        let tool = specs.iter().find(|tool| tool.name == call.name).unwrap();
        assert_eq!(schema::missing(tool, &call.arguments), None, "{body}");
    }
}

#[test]
fn completions_are_the_shortest() {
    let form = CallForm::new(&specs()).unwrap();
    let rest = |body: &str| {
        let rest = place(&form, body).completion(&form, |_| None).unwrap();
        String::from_utf8(rest).unwrap()
    };
    assert_eq!(rest(""), "\n<function=stop>\n</function>\n");
    assert_eq!(rest("\n<function=stop>\n<"), "/function>\n");
    let edit = "\n<function=edit>\n<parameter=count>\n1\n</parameter>\n<parameter=path>\n";
    for (value, end) in [
        ("x", "\n</parameter>\n</function>\n"),
        ("x\n", "</parameter>\n</function>\n"),
        ("x\n</para", "meter>\n</function>\n"),
        ("x</para", "meter>\n</function>\n"),
        ("x</parameter>", "\n</function>\n"),
        ("VALUE HERE", ".\n</parameter>\n</function>\n"),
        (
            "x\n</parameter>\n<parameter=m",
            "ode>\non\n</parameter>\n</function>\n",
        ),
    ] {
        assert_eq!(rest(&format!("{edit}{value}")), end, "{value}");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |specs: &[ToolSpec]| CallForm::new(specs).unwrap_err();
    let one = |name: &str, schema: Value| json!({"properties": {name: schema}, "required": [name]});
    for (spec, why) in [
        (spec("a>b", Value::Null), "can't be told"),
        (spec("", Value::Null), "can't be told"),
        (spec("f", json!({"required": ["x"]})), "`x` isn't declared"),
        (
            spec("f", one("a\nb", json!({"type": "string"}))),
            "can't be written",
        ),
        (
            spec(
                "f",
                one("a", json!({"type": "string", "enum": ["</parameter>"]})),
            ),
            "can't be",
        ),
        (
            spec("f", one("a", json!({"enum": [1, 2]}))),
            "none of its values",
        ),
    ] {
        let error = refused(std::slice::from_ref(&spec));
        assert!(error.contains(why) && error.contains(&spec.name), "{error}");
    }
    let twice = [spec("f", Value::Null), spec("f", Value::Null)];
    assert!(refused(&twice).contains("two of that name"));
}

#[test]
fn places_in_a_text_are_plain_unless_something_is_pending() {
    let form = CallForm::new(&specs()).unwrap();
    let open = "\n<function=edit>\n<parameter=path>\n";
    for (value, plain) in [
        ("some words", true),
        ("some words\n", true),
        ("", false),
        ("a <", false),
        ("a <b", true),
        ("a </param", false),
        ("a <parameter=", false),
        ("a <parameter=pat", false),
        ("a <parameter=other", true),
        ("</function> ", false),
        ("</function> x", true),
        ("VALUE", false),
        ("\"quoted\" text", false),
    ] {
        let place = place(&form, &format!("{open}{value}"));
        assert_eq!(place.plain(&form).is_some(), plain, "{value:?}");
    }
    assert!(
        place(&form, "\n<function=edit>\n<parameter=count>\n1")
            .plain(&form)
            .is_none()
    );
    // What is text in a value is text to the parser, too.
    let text = "if a <b then <parameter=other> </function> x";
    let body =
        format!("<zyphra_tool_call>{open}{text}\n</parameter>\n</function>\n</zyphra_tool_call>");
    let mut parser = Parser::new(ParserOptions {
        tools: specs(),
        ..ParserOptions::default()
    });
    let events = parser.push(None, &body);
    assert!(
        matches!(&events[..], [crate::chat::ChatEvent::ToolCall(call)]
        if call.arguments["path"] == text),
        "{events:?}"
    );
}
