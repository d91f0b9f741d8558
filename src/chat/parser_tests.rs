//! Reasoning, text and calls from whole and cut output, well formed and not.

use super::*;
use crate::chat::{ToolSpec, coalesce};
use serde_json::{Value, json};

const IDS: MarkerIds = MarkerIds {
    think: Some(4),
    think_close: Some(5),
    call: Some(101),
    call_close: Some(102),
};

fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, properties: Value, required: Value| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"type": "object", "properties": properties, "required": required}),
    };
    vec![
        tool("read", json!({"path": {"type": "string"}}), json!(["path"])),
        tool(
            "write",
            json!({"path": {"type": "string"}, "content": {"type": "string"}, "mode": {"type": "integer"}}),
            json!(["path", "content"]),
        ),
    ]
}

fn parser(start: Start, markers: MarkerIds) -> Parser {
    Parser::new(ParserOptions {
        tools: tools(),
        start,
        markers,
        first_call: 1,
    })
}

/// Text mode, all at once.
fn parse_from(start: Start, text: &str) -> Vec<ChatEvent> {
    let mut parser = parser(start, MarkerIds::default());
    let mut events = parser.push(None, text);
    events.extend(parser.finish());
    coalesce(events)
}

fn parse(text: &str) -> Vec<ChatEvent> {
    parse_from(Start::Content, text)
}

/// Id mode: `[4]` stands for the token with that id.
fn parse_ids(pieces: &[&str]) -> Vec<ChatEvent> {
    let mut parser = parser(Start::Content, IDS);
    let mut events = Vec::new();
    for piece in pieces {
        let id = { piece.strip_prefix('[') }.and_then(|p| p.strip_suffix(']')?.parse().ok());
        let marker = id.and_then(|id| IDS.text_of(id));
        events.extend(parser.push(id.or(Some(999)), marker.unwrap_or(piece)));
    }
    events.extend(parser.finish());
    coalesce(events)
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.into())
}

fn reasoning(text: &str) -> ChatEvent {
    ChatEvent::Reasoning(text.into())
}

fn call(number: usize, name: &str, arguments: Value) -> ChatEvent {
    ChatEvent::ToolCall(ToolCall {
        id: format!("call_{number}"),
        name: name.into(),
        arguments: arguments.as_object().unwrap().clone(),
    })
}

const READ_A: &str = "<function=read>\n<parameter=path>\na\n</parameter>\n</function>";

#[test]
fn reasoning_text_and_calls_are_told_apart() {
    let output = format!(
        "\nI look.\n</think>\n\nLet me see.\n<zyphra_tool_call>\n{READ_A}\n</zyphra_tool_call>\nDone <b>."
    );
    let expected = vec![
        reasoning("\nI look.\n"),
        text("Let me see.\n"),
        call(1, "read", json!({"path": "a"})),
        text("\nDone <b>."),
    ];
    assert_eq!(parse_from(Start::Reasoning, &output), expected);
    assert_eq!(
        parse(&format!("<think>\n{}", &output)),
        expected,
        "one newline after the tag is dropped"
    );
}

#[test]
fn several_calls_keep_their_order() {
    let two = format!("<zyphra_tool_call>\n{READ_A}\n{READ_A}\n</zyphra_tool_call>");
    let a = json!({"path": "a"});
    let all = [1, 2, 3, 4].map(|n| call(n, "read", a.clone()));
    assert_eq!(parse(&format!("{two}{two}")), all);
}

#[test]
fn think_switches_in_the_middle_of_an_answer() {
    assert_eq!(
        parse("a<think>\n\nb</think>\n\n\nc</think>\nd"),
        [text("a"), reasoning("\nb"), text("cd")]
    );
}

#[test]
fn a_call_within_reasoning_ends_it() {
    let output = format!("hm\n<zyphra_tool_call>{READ_A}</zyphra_tool_call>x");
    let mut parser = parser(Start::Reasoning, MarkerIds::default());
    let mut events = parser.push(None, &output);
    events.extend(parser.finish());
    let path = json!({"path": "a"});
    let expected = [reasoning("hm\n"), call(1, "read", path), text("x")];
    assert_eq!(coalesce(events), expected);
    assert!(!parser.unclosed_reasoning());
}

#[test]
fn unclosed_reasoning_is_reported() {
    let mut parser = parser(Start::Reasoning, MarkerIds::default());
    let mut events = parser.push(None, "so far</thin");
    events.extend(parser.finish());
    assert_eq!(coalesce(events), [reasoning("so far</thin")]);
    assert!(parser.unclosed_reasoning());
}

#[test]
fn orphan_closers_are_stripped_and_other_tags_stay() {
    assert_eq!(
        parse("a</parameter>b</function>c</zyphra_tool_call>d<parameter=x></tool></functio"),
        [text("abcd<parameter=x></tool></functio")]
    );
}

#[test]
fn stripping_never_forms_a_tag() {
    assert_eq!(parse("</func</function>tion>!"), [text("</function!")]);
    assert_eq!(parse_ids(&["<thi", "[102]", "nk>", "x"]), [text("<thinkx")]);
}

#[test]
fn a_bare_declared_function_is_a_call() {
    let path = json!({"path": "a"});
    assert_eq!(
        parse(&format!("see:\n{READ_A}\n</zyphra_tool_call>.")),
        [text("see:\n"), call(1, "read", path), text("\n.")]
    );
    let inline = format!("use {READ_A}");
    assert_eq!(
        parse(&inline),
        [text("use <function=read>\n<parameter=path>\na\n\n")]
    );
    let unknown = "<function=reader>\nx";
    assert_eq!(parse(unknown), [text(unknown)]);
    assert_eq!(parse("<function=rea"), [text("<function=rea")]);
    let value = "<function=write>\n<parameter=path>\na\n</parameter>\n<parameter=content>\n</function>\n</parameter>\n</function>";
    assert_eq!(
        parse(value),
        [call(
            1,
            "write",
            json!({"path": "a", "content": "</function>"})
        )]
    );
}

#[test]
fn without_tools_a_bare_function_is_text() {
    let mut parser = Parser::new(ParserOptions::default());
    let mut events = parser.push(None, READ_A);
    events.extend(parser.finish());
    assert_eq!(
        coalesce(events),
        [text("<function=read>\n<parameter=path>\na\n\n")]
    );
}

#[test]
fn an_unclosed_call_is_closed_if_it_makes_sense() {
    let write = "<zyphra_tool_call>\n<function=write>\n<parameter=path>\na\n</parameter>\n<parameter=content>\nfn ma";
    let mut whole = parser(Start::Content, MarkerIds::default());
    let mut events = whole.push(None, write);
    events.extend(whole.finish());
    assert_eq!(
        coalesce(events),
        [call(1, "write", json!({"path": "a", "content": "fn ma"}))]
    );
    assert!(whole.cut_off_call());

    let missing = &write[..write.find("<parameter=content").unwrap()];
    let events = parse(&format!("x{missing}"));
    assert_eq!(events[0], text("x"));
    let ChatEvent::Malformed { reason, .. } = &events[1] else {
        panic!("{events:?}");
    };
    assert!(reason.contains("`content` is missing"), "{reason}");

    let unknown = parse("<zyphra_tool_call><function=foo>");
    let [ChatEvent::Malformed { reason, .. }] = &unknown[..] else {
        panic!("{unknown:?}");
    };
    assert!(
        reason.contains("`foo` isn't known; available: `read`, `write`"),
        "{reason}"
    );
}

#[test]
fn ids_decide_where_there_are_any() {
    let path = json!({"path": "a"});
    let function = READ_A;
    assert_eq!(
        parse_ids(&[
            "[4]", "\nhm", "[5]", "\n\n", "[101]", "\n", function, "\n", "[102]"
        ]),
        [reasoning("hm"), call(1, "read", path)]
    );
    // Spelled out, the same characters start nothing, and are not shown.
    assert_eq!(
        parse_ids(&[
            "a<thi",
            "nk>b</think>c\n<zyphra_",
            "tool_call>\n",
            function,
            "</zyphra_tool_call>"
        ]),
        [text("abc\n\n<function=read>\n<parameter=path>\na\n\n")]
    );
    // In a value they are the value's.
    let value = "<function=write>\n<parameter=path>\na\n</parameter>\n<parameter=content>\n</zyphra_tool_call>\n</parameter>\n</function>";
    assert_eq!(
        parse_ids(&["[101]", value, "[102]"]),
        [call(
            1,
            "write",
            json!({"path": "a", "content": "</zyphra_tool_call>"})
        )]
    );
    // And so are markers other than the closing one.
    let (head, tail) = value.split_once("</zyphra_tool_call>").unwrap();
    assert_eq!(
        parse_ids(&["[101]", head, "[4]", tail, "[102]"]),
        [call(1, "write", json!({"path": "a", "content": "<think>"}))]
    );
}

#[test]
fn a_runaway_call_is_given_up() {
    let long = "x".repeat(3 << 20);
    let output =
        format!("<zyphra_tool_call><function=read><parameter=path>{long}</zyphra_tool_call>after");
    let events = parse(&output);
    let [ChatEvent::Malformed { raw, reason }, after] = &events[..] else {
        panic!("{} events", events.len());
    };
    assert!(raw.len() < 5000 && reason.contains("longer than 2097152 bytes"));
    assert_eq!(after, &text("after"));
    // The bound itself is no cliff that depends on how the text was cut.
    for extra in 0..40 {
        let head = "<zyphra_tool_call><function=read><parameter=path>";
        let body = "x".repeat(MAX_CALL - 60 + extra);
        let output = format!("{head}{body}</parameter></function></zyphra_tool_call>");
        let mut one = parser(Start::Content, MarkerIds::default());
        let mut events = Vec::new();
        for piece in [&output[..MAX_CALL], &output[MAX_CALL..]] {
            for at in 0..piece.len().div_ceil(7919) {
                let end = (at * 7919 + 7919).min(piece.len());
                events.extend(one.push(None, &piece[at * 7919..end]));
            }
        }
        events.extend(one.finish());
        assert_eq!(coalesce(events), parse(&output), "{extra}");
    }
}

#[test]
fn nothing_is_held_back_without_need() {
    let mut parser = parser(Start::Content, MarkerIds::default());
    assert_eq!(
        parser.push(None, "a < b "),
        [text("a "), text("<"), text(" b ")]
    );
    assert_eq!(parser.push(None, "<thi"), []);
    assert_eq!(coalesce(parser.push(None, "s")), [text("<this")]);
}

#[test]
fn large_inputs_take_linear_time() {
    let by_letter = |text: &str| {
        let mut parser = parser(Start::Content, MarkerIds::default());
        let mut letter = [0; 4];
        let mut events = Vec::new();
        for c in text.chars() {
            events.extend(parser.push(None, c.encode_utf8(&mut letter)));
        }
        events.extend(parser.finish());
        coalesce(events)
    };
    for unit in [
        "<",
        "<parameter=path",
        "<parameter=path>\n</function>\n",
        "<function=read>\n<parameter=path>x</parameter>",
        "<parameter=path\n<value",
        "\n\n<function=read>{",
        "</think><think>",
        "日本<",
        "<zyphra_tool_call>",
        "<function=read>\n",
        "\n<function=",
        "<parameter=path><parameter=content>",
        "</func</function>",
    ] {
        let body = unit.repeat((1 << 20) / unit.len());
        let call = format!("<zyphra_tool_call><function=write>{body}</zyphra_tool_call>");
        for text in [body, call] {
            let one = std::time::Instant::now();
            let whole = parse(&text);
            assert!(by_letter(&text) == whole, "{unit}");
            // Linear time is less than a second on a busy machine, quadratic an hour.
            let took = one.elapsed();
            assert!(took.as_secs() < 60, "{unit:?}: {took:?}");
        }
    }
}
