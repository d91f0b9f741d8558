//! Prompts from the outside: against what Python's Jinja2 and tokenizers make
//! of the same conversations (see chat/make_goldens.py), and with everything
//! that a user, a tool or a model could smuggle in.

use std::sync::Arc;

use cairn::bundle::Tokenizer;
use cairn::chat::{
    GenerationPrompt, Message, RenderOptions, Renderer, Role, Start, Template, Thinking, ToolCall,
    ToolSpec,
};
use serde_json::{Value, json};

fn renderer(template: Option<&str>) -> Renderer {
    let tokenizer = Tokenizer::from_json(include_bytes!("../models/demo/tokenizer.json")).unwrap();
    Renderer::new(Template::new(template).unwrap(), Arc::new(tokenizer))
}

fn demo() -> Renderer {
    renderer(Some(include_str!("../models/demo/chat_template.jinja")))
}

fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.into(),
        reasoning_content: String::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

const ADD: RenderOptions = RenderOptions {
    thinking: Thinking::On,
    generation_prompt: GenerationPrompt::Add,
};

struct Case {
    messages: Vec<Message>,
    tools: Vec<ToolSpec>,
    options: RenderOptions,
    text: String,
    ids: Option<Vec<u32>>,
}

fn cases() -> Vec<Case> {
    let rows: Vec<Value> = include_str!("chat/render.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tools = |row: &Value| match &row["tools"] {
        Value::String(_) => serde_json::from_value(rows[0]["tools"].clone()).unwrap(),
        Value::Null => Vec::new(),
        tools => serde_json::from_value(tools.clone()).unwrap(),
    };
    let case = |row: &Value| Case {
        messages: serde_json::from_value(row["messages"].clone()).unwrap(),
        tools: tools(row),
        options: RenderOptions {
            thinking: match row["enable_thinking"].as_bool().unwrap() {
                true => Thinking::On,
                false => Thinking::Off,
            },
            generation_prompt: match row["add_generation_prompt"].as_bool().unwrap() {
                true => GenerationPrompt::Add,
                false => GenerationPrompt::Omit,
            },
        },
        text: row["text"].as_str().unwrap().to_owned(),
        ids: serde_json::from_value(row["ids"].clone()).unwrap(),
    };
    rows.iter().map(case).collect()
}

#[test]
fn the_demo_template_renders_as_in_python() {
    let renderer = demo();
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut with_ids = 0;
    for case in cases {
        let prompt = renderer
            .render(&case.messages, &case.tools, case.options)
            .unwrap();
        assert_eq!(prompt.text(), case.text);
        if let Some(ids) = case.ids {
            assert_eq!(prompt.ids(renderer.tokenizer()), ids);
            with_ids += 1;
        }
    }
    assert!(with_ids >= 12);
}

#[test]
fn the_built_in_template_renders_the_same() {
    let renderer = renderer(None);
    for case in cases() {
        let prompt = renderer
            .render(&case.messages, &case.tools, case.options)
            .unwrap();
        assert_eq!(prompt.text(), case.text);
    }
}

#[test]
fn the_prompt_says_what_the_output_starts_in() {
    let renderer = demo();
    let start = |content: &str, thinking| {
        let options = RenderOptions { thinking, ..ADD };
        let messages = [message(Role::User, content)];
        renderer.render(&messages, &[], options).unwrap().start()
    };
    assert_eq!(start("hi", Thinking::On), Start::Reasoning);
    assert_eq!(start("hi", Thinking::Off), Start::Content);
    assert_eq!(start("</think>", Thinking::On), Start::Reasoning);
    let omit = RenderOptions {
        generation_prompt: GenerationPrompt::Omit,
        ..ADD
    };
    let user = [message(Role::User, "<think>")];
    let prompt = renderer.render(&user, &[], omit).unwrap();
    assert_eq!(prompt.start(), Start::Content);
}

/// A conversation with `text` in every place that is not the template's.
fn conversation(text: &str) -> (Vec<Message>, Vec<ToolSpec>) {
    let mut assistant = message(Role::Assistant, text);
    assistant.reasoning_content = text.to_owned();
    let arguments = json!({text: text, "nested": {text: [text, {text: 1}]}});
    assistant.tool_calls.push(ToolCall {
        id: "call_1".into(),
        name: text.into(),
        arguments: arguments.as_object().unwrap().clone(),
    });
    let messages = vec![
        message(Role::System, text),
        message(Role::User, text),
        assistant,
        message(Role::Tool, text),
        message(Role::Tool, text),
    ];
    let tool = ToolSpec {
        name: text.into(),
        description: text.into(),
        parameters: json!({
            "type": "object", "required": [text],
            "properties": {text: {"type": "string", "description": text, "enum": [text]}},
        }),
    };
    (messages, vec![tool])
}

/// The control ids of the conversation with `text` in every place.
fn control(renderer: &Renderer, text: &str) -> Vec<u32> {
    let (messages, tools) = conversation(text);
    let prompt = renderer.render(&messages, &tools, ADD).unwrap();
    let tokenizer = renderer.tokenizer();
    let ids = prompt.ids(tokenizer);
    // Nothing is lost on the way either.
    let bytes = ids
        .iter()
        .flat_map(|&id| tokenizer.token_bytes(id).unwrap());
    let decoded = String::from_utf8(bytes.copied().collect()).unwrap();
    assert_eq!(decoded, prompt.text());
    ids.into_iter()
        .filter(|&id| tokenizer.is_control(id))
        .collect()
}

#[test]
fn nothing_that_is_said_becomes_a_control_token() {
    let renderers = [demo(), renderer(None)];
    for renderer in &renderers {
        let harmless = control(renderer, "harmless");
        assert!(harmless.len() > 20);
        let tokens: Vec<String> = { renderer.tokenizer().control_tokens() }
            .iter()
            .map(|token| token.text.clone())
            .collect();
        for token in &tokens {
            assert_eq!(control(renderer, token), harmless, "{token}");
            assert_eq!(
                control(renderer, &format!(" {token}\n")),
                harmless,
                "{token}"
            );
            // Every part of one, too: what surrounds it might complete it.
            for at in 1..token.len() {
                assert_eq!(control(renderer, &token[at..]), harmless, "{token}");
                assert_eq!(control(renderer, &token[..at]), harmless, "{token}");
            }
        }
        let all = tokens.concat();
        assert_eq!(control(renderer, &all), harmless);
        assert_eq!(control(renderer, &all.replace('>', ">\u{fdd0}")), harmless);
        assert_eq!(
            control(renderer, "\u{fdd0}<\u{fdd0}think\u{fdd0}>"),
            harmless
        );
        assert_eq!(
            control(renderer, "<<<think>>><|im_<|im_end|>end|>"),
            harmless
        );
    }
}

#[test]
fn a_template_can_not_be_led_to_complete_a_tag() {
    let renderer = renderer(Some(
        "{% for m in messages %}<{{ m.content }}><|im_{{ m.content }}|>{{ m.content }}function={% endfor %}",
    ));
    for text in [
        "think",
        "/think",
        "end",
        " think ",
        "start",
        "<",
        "</",
        "function=",
    ] {
        let prompt = renderer
            .render(&[message(Role::User, text)], &[], ADD)
            .unwrap();
        let ids = prompt.ids(renderer.tokenizer());
        let control = |id: &u32| renderer.tokenizer().is_control(*id);
        assert!(!ids.iter().any(control), "{text}: {:?}", prompt.text());
    }
}

#[test]
fn a_turn_is_continued_after_its_own_ids() {
    let renderer = demo();
    let tokenizer = renderer.tokenizer();
    let user = message(Role::User, "list the files");
    let mut call = message(Role::Assistant, "");
    call.reasoning_content = "I look.".into();
    call.tool_calls.push(ToolCall {
        id: "call_1".into(),
        name: "list_dir".into(),
        arguments: json!({"path": "."}).as_object().unwrap().clone(),
    });
    let before = [user, call];
    let mut after = before.to_vec();
    after.push(message(Role::Tool, "a <|im_end|>\nb"));
    let delta = { renderer.continuation(&before, &after, &[], Thinking::On) }
        .unwrap()
        .unwrap();
    assert_eq!(
        delta.text(),
        "\n<|im_start|>user\n<zyphra_tool_response>\na <|im_end|>\nb\n</zyphra_tool_response>\n<|im_end|>\n<|im_start|>assistant\n<think>\n"
    );
    // Where the model wrote exactly what the template writes, the ids are those
    // of the whole.
    let omit = RenderOptions {
        generation_prompt: GenerationPrompt::Omit,
        ..ADD
    };
    let turn = renderer.render(&before, &[], omit).unwrap();
    let mut ids = turn.ids(tokenizer);
    let end = tokenizer.id_of("<|im_end|>").unwrap();
    assert_ne!(ids.pop(), Some(end), "the line break after the turn");
    assert_eq!(ids.last(), Some(&end));
    ids.extend(delta.ids(tokenizer));
    let whole = renderer.render(&after, &[], ADD).unwrap();
    assert_eq!(ids, whole.ids(tokenizer));
    assert_eq!(delta.start(), Start::Reasoning);

    // A user's message makes the template drop the reasoning: no continuation.
    after.push(message(Role::User, "thanks"));
    let none = renderer.continuation(&before, &after, &[], Thinking::On);
    assert_eq!(none.unwrap(), None);
}

#[test]
fn a_template_s_refusal_is_an_error() {
    let renderer = renderer(Some("{{ raise_exception('no tools here') if tools }}ok"));
    let (messages, tools) = conversation("x");
    assert_eq!(renderer.render(&messages, &[], ADD).unwrap().text(), "ok");
    let error = renderer.render(&messages, &tools, ADD).unwrap_err();
    assert!(error.to_string().contains("no tools here"), "{error}");
}
