//! What templates may use, how values are printed, and what stops a bad template.

use super::*;
use serde_json::json;

fn context(messages: serde_json::Value) -> Context {
    Context {
        messages,
        tools: serde_json::Value::Null,
        bos_token: "<bos>".into(),
        eos_token: "<|im_end|>".into(),
        add_generation_prompt: true,
        enable_thinking: false,
    }
}

fn render(source: &str) -> Result<String, String> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    Template::new(Some(source))
        .and_then(|template| template.render(context(messages)))
        .map_err(|e| e.to_string())
}

/// Line by line what Jinja2 in Python makes of it (tests/chat/make_goldens.py).
#[test]
fn the_features_of_chat_templates_work_as_in_python() {
    let cases = include_str!("../../tests/chat/render.jsonl");
    let long = cases
        .lines()
        .find(|l| l.contains("\"id\": \"long\""))
        .unwrap();
    let long: serde_json::Value = serde_json::from_str(long).unwrap();
    let messages = long["messages"].as_array().unwrap()[1..].to_vec();
    let template = Template::new(Some(include_str!("../../tests/chat/features.jinja"))).unwrap();
    let text = template.render(context(messages.into())).unwrap();
    let expected = include_str!("../../tests/chat/features.txt");
    for (line, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(text, expected);
}

#[test]
fn whitespace_is_as_transformers_sets_it() {
    let source = "a\n  {% if true %}\nb\n  {% endif %}\nc\n";
    assert_eq!(render(source).unwrap(), "a\nb\nc");
}

#[test]
fn what_goes_wrong_is_one_line() {
    let cases = [
        (
            "{{ raise_exception('Roles must\nalternate') }}",
            "Roles must alternate",
        ),
        ("a\n{% if %}", "line 2"),
        ("{{ messages[0].x.y }}", "undefined value"),
        ("{{ nothing() }}", "line 1"),
        ("{% include 'other' %}", "other"),
        ("{{ 'a' | nofilter }}", "nofilter"),
        ("{{ raise_exception('\x1b[31mred') }}", "\u{fffd}[31mred"),
    ];
    for (source, part) in cases {
        let error = render(source).unwrap_err();
        assert!(error.starts_with("chat template"), "{error}");
        assert!(error.contains(part), "{source}: {error}");
        assert!(!error.contains(char::is_control), "{error}");
    }
}

#[test]
fn hostile_templates_end_in_an_error() {
    let loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(render(loops).unwrap_err().contains("steps"));
    let output = "{% for a in range(2000) %}{{ 'x' * 100000 }}{% endfor %}";
    assert!(render(output).unwrap_err().contains("larger than"));
    let recursion = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    render(recursion).unwrap_err();
    render(&format!(
        "{{{{ {}1{} }}}}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    ))
    .unwrap_err();
    render(&"{% if true %}".repeat(100_000)).unwrap_err();
    render("{{ [0] * 100000000 | tojson }}").unwrap_err();
    render("{{ ([0] * 100000000) | tojson }}").unwrap_err();
    assert!(render(&"x".repeat(5 << 20)).unwrap_err().contains("bytes"));
}

#[test]
fn widths_are_bounded() {
    for wide in [
        "{{ '%1000000000000d' | format(1) }}",
        "{{ '%-*d' | format(1000000000000, 1) }}",
        "{{ '%.1000000000000f' | format(1) }}",
        "{{ '{:>1000000000000}'.format('a') }}",
        "{{ 'a' | indent(1000000000000) }}",
    ] {
        let error = render(wide).unwrap_err();
        assert!(error.contains("width of more than"), "{wide}: {error}");
    }
    let narrow = "{{ '%s on 20240101: %d%% %5.1f' | format('a', 123456, 1.5) }} \
        {{ '{:>3}|{}'.format('b', 123456) }} {{ 'a\n20240101' | indent(2) }}";
    assert_eq!(
        render(narrow).unwrap(),
        "a on 20240101: 123456%   1.5   b|123456 a\n  20240101"
    );
}

#[test]
fn a_template_is_checked_before_it_is_used() {
    let check = |source: &str| {
        let template = Template::new(Some(source)).unwrap();
        template.check(context(json!([{"role": "user", "content": "hi"}])))
    };
    check("{{ raise_exception('not these') }}").unwrap();
    check("{{ messages[9].content.x }}").unwrap();
    check("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")
        .unwrap_err();
}

#[test]
fn without_a_template_the_built_in_one_renders() {
    let template = Template::new(None).unwrap();
    let mut plain = context(json!([
        {"role": "system", "content": "You are a test assistant."},
        {"role": "user", "content": "Say ping."}]));
    let head = "<bos><|im_start|>system\nYou are a test assistant.<|im_end|>\n<|im_start|>user\nSay ping.<|im_end|>\n<|im_start|>assistant\n<think>\n";
    let off = template.render(plain.clone()).unwrap();
    assert_eq!(off, format!("{head}</think>\n\n"));
    plain.enable_thinking = true;
    assert_eq!(template.render(plain).unwrap(), head);

    let mut called = context(json!([
        {"role": "user", "content": "List the current directory."},
        {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "list_directory", "arguments": {"path": "."}}}]},
        {"role": "tool", "content": "{\"entries\":[\"README.md\"]}"}]));
    called.tools = json!([{"type": "function", "function": {
        "name": "list_directory", "description": "List files", "parameters": {
            "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}}]);
    let expected = r#"<bos><|im_start|>system
# Tools

You have access to the following functions:

<tools>
<function>
<name>list_directory</name>
<description>List files</description>
<parameters>
<parameter>
<name>path</name>
<type>string</type>
</parameter>
<required>["path"]</required>
</parameters>
</function>
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<zyphra_tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
</function>
</zyphra_tool_call><|im_end|>
<|im_start|>user
List the current directory.<|im_end|>
<|im_start|>assistant
<think>
</think>

<zyphra_tool_call>
<function=list_directory>
<parameter=path>
.
</parameter>
</function>
</zyphra_tool_call>
<|im_end|>
<|im_start|>user
<zyphra_tool_response>
{"entries":["README.md"]}
</zyphra_tool_response>
<|im_end|>
<|im_start|>assistant
<think>
</think>

"#;
    assert_eq!(template.render(called).unwrap(), expected);
}
