//! Bodies of calls as models write them, well formed and not.

use super::*;
use serde_json::json;

fn tools() -> Vec<ToolSpec> {
    let parameters = json!({"properties": {
        "path": {"type": "string"}, "count": {"type": "integer"}, "all": {"type": "boolean"},
        "tags": {"type": "array"}}, "required": ["path"]});
    vec![ToolSpec {
        name: "f".into(),
        description: String::new(),
        parameters,
    }]
}

fn one(body: &str) -> (String, Value) {
    let mut calls = read(body, &tools(), End::Closed);
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = calls.remove(0).unwrap();
    (call.name, Value::Object(call.arguments))
}

fn problem(body: &str) -> String {
    let mut calls = read(body, &tools(), End::Closed);
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0).unwrap_err()
}

#[test]
fn the_canonical_shape() {
    let body = "\n<function=f>\n<parameter=path>\n  a\n\nb \n</parameter>\n<parameter=count>\n3\n</parameter>\n</function>\n";
    assert_eq!(
        one(body),
        ("f".into(), json!({"path": "  a\n\nb ", "count": 3}))
    );
    assert_eq!(one("<function=f>\n</function>"), ("f".into(), json!({})));
    let newlines = "<function=f><parameter=path>\n\n\nx\n\n\n</parameter></function>";
    assert_eq!(one(newlines).1, json!({"path": "\n\nx\n\n"}));
}

#[test]
fn unknown_names_pass_through() {
    let (name, arguments) = one("<function=other><parameter=q>3</parameter></function>");
    assert_eq!((name.as_str(), arguments), ("other", json!({"q": "3"})));
    assert_eq!(
        one("<function=f><parameter=zzz>3</parameter></function>").1,
        json!({"zzz": "3"})
    );
}

#[test]
fn missing_pieces_are_supplied() {
    let path = json!({"path": "x"});
    let bodies = [
        "<function=f\n<parameter=path>\nx\n</parameter>\n</function>",
        "<function=f<parameter=path>x</parameter></function>",
        "<function=f>\n<parameter=path\nx\n</parameter>\n</function>",
        "<function=f>\n<parameter=path>\nx\n</function>",
        "<function=f>\n<parameter=path>\nx\n</parameter>\n",
        "<function=f>\n<parameter=path>\nx\n",
        "<function=f>\n<parameter=path>\n<value>x</value>\n</parameter>\n</function>",
        "<function>f\n<parameter><name>path</name>\n<value>x</value></parameter></function>",
        "<function><name>f</name><parameter><name>path</name><value>\nx\n</value></parameter></function>",
        "<function=f>{\"path\": \"x\"}</function>",
    ];
    for body in bodies {
        assert_eq!(one(body), ("f".into(), path.clone()), "{body}");
    }
}

#[test]
fn a_declared_parameter_ends_the_one_before() {
    let body = "<function=f>\n<parameter=path>\na\n<parameter=count>\n2\n</parameter>\n</function>";
    assert_eq!(one(body).1, json!({"path": "a", "count": 2}));
    let literal =
        "<function=f>\n<parameter=path>\na\n<parameter=zzz>\n2\n</parameter>\n</function>";
    assert_eq!(one(literal).1, json!({"path": "a\n<parameter=zzz>\n2"}));
    let same = "<function=f><parameter=path>a<parameter=path>b</parameter></function>";
    assert_eq!(one(same).1, json!({"path": "a<parameter=path>b"}));
}

#[test]
fn the_last_of_two_values_wins() {
    let body = "<function=f><parameter=path>a</parameter><parameter=path>b</parameter></function>";
    assert_eq!(one(body).1, json!({"path": "b"}));
}

#[test]
fn a_function_without_an_end_ends_at_the_next() {
    let body = "<function=f>\n<parameter=path>\na\n</function>\n<function=g>\n<parameter=q>\n1\n</parameter>\n<function=h>\n</function>";
    let calls = read(body, &tools(), End::Closed);
    let names: Vec<_> = calls
        .iter()
        .map(|c| c.as_ref().unwrap().name.as_str())
        .collect();
    assert_eq!(names, ["f", "g", "h"]);
    let markup = "<function=f><parameter=path>\n<function=g>\n</function>\n</parameter></function>";
    assert_eq!(one(markup).1, json!({"path": "<function=g>\n</function>"}));
}

#[test]
fn json_is_understood() {
    let path = json!({"path": "x"});
    let bodies = [
        r#" {"name": "f", "arguments": {"path": "x"}} "#,
        r#"[{"function": {"name": "f", "arguments": "{\"path\": \"x\"}"}}]"#,
        r#"{"name": "f", "parameters": {"path": "x"}}"#,
    ];
    for body in bodies {
        assert_eq!(one(body), ("f".into(), path.clone()), "{body}");
    }
    assert!(problem("{\"name\": 1}").contains("`name` must be a string"));
    assert!(problem(&"[".repeat(100_000)).contains("not valid JSON"));
}

#[test]
fn markup_in_json_is_text() {
    let body = r#"{"name": "f", "arguments": {"path": "<function=x></function>"}}"#;
    assert_eq!(one(body).1, json!({"path": "<function=x></function>"}));
}

#[test]
fn a_cut_off_json_call_obeys_the_same_rules() {
    let cut = |body: &str| read(body, &tools(), End::CutOff).remove(0);
    assert!(cut(r#"{"name": "f", "arguments": {"path": "x"}}"#).is_ok());
    let missing = cut(r#"{"name": "f", "arguments": {}}"#).unwrap_err();
    assert!(missing.contains("`path` is missing"), "{missing}");
    let unknown = cut(r#"{"name": "g", "arguments": {}}"#).unwrap_err();
    assert!(unknown.contains("`g` isn't known"), "{unknown}");
}

#[test]
fn names_may_hold_odd_characters() {
    for (head, expected) in [
        ("a<b>", "a<b"),
        (" a b/é.c >", "a b/é.c"),
        ("\na\n>", "a"),
        ("a", "a"),
    ] {
        let body = format!("<function=f>\n<parameter={head}\n1\n</parameter>\n</function>");
        assert_eq!(one(&body).1, json!({expected: "1"}), "{head:?}");
    }
    assert_eq!(one("<function=\nf>\n</function>").0, "f");
    assert!(problem("<function=f>\n<parameter=\nx\n</parameter>\n</function>").contains("no name"));
}

#[test]
fn a_function_within_a_value_is_text() {
    let value = "<function=a>\n</function>\n<function=b>\n</function>";
    let body = format!("<function=f>\n<parameter=path>\n{value}\n</parameter>\n</function>");
    assert_eq!(one(&body).1, json!({"path": value}));
}

#[test]
fn what_is_no_call_says_why() {
    assert!(problem("").contains("no `<function=NAME>`"));
    assert!(problem("<function=></function>").contains("no name"));
    assert!(problem("<function=f><parameter>x</parameter></function>").contains("no name"));
    assert!(problem("<function=f><parameter=>x</parameter></function>").contains("no name"));
    assert!(problem("<function=example_function_name></function>").contains("example"));
    let echo = "<function=f><parameter=path>VALUE HERE</parameter></function>";
    assert!(problem(echo).contains("example"));
    assert!(problem(&"<function=f>".repeat(2000)).contains("more than 1000"));
    let good_and_bad = read(
        "<function=f></function><function=></function>",
        &tools(),
        End::Closed,
    );
    assert!(good_and_bad[0].is_ok() && good_and_bad[1].is_err());
}

#[test]
fn cut_off_calls_need_what_is_required() {
    let cut = |body: &str, tools: &[ToolSpec]| read(body, tools, End::CutOff).remove(0);
    let tools = tools();
    assert!(
        cut("<function=f><parameter=path>x", &tools)
            .unwrap()
            .cut_off
    );
    assert!(
        !cut("<function=f><parameter=path>x</parameter>", &tools)
            .unwrap()
            .cut_off
    );
    assert!(
        cut("<function=f><parameter=count>1", &tools)
            .unwrap_err()
            .contains("`path` is missing")
    );
    assert!(
        cut("<function=g></function>", &tools)
            .unwrap_err()
            .contains("available: `f`")
    );
    assert!(cut("<function=g></function>", &[]).is_ok());
    assert!(cut("<function=g><parameter=x>1", &[]).is_err());
}
