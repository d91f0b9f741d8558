//! Whose the tokens of a prompt are, against a count made another way: each turn
//! of the rendered text, encoded by itself.

use std::collections::HashMap;
use std::sync::Arc;

use cairn::bundle::Tokenizer;
use cairn::chat::{
    GenerationPrompt, Message, Owner, Parts, RenderOptions, Renderer, Role, Template, Thinking,
    ToolCall, ToolSpec,
};
use proptest::prelude::*;
use serde_json::json;

const OMIT: RenderOptions = RenderOptions {
    thinking: Thinking::On,
    generation_prompt: GenerationPrompt::Omit,
};

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

fn tools() -> Vec<ToolSpec> {
    vec![ToolSpec {
        name: "read_file".into(),
        description: "Reads <|im_end|> a file.".into(),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
    }]
}

fn count(
    renderer: &Renderer,
    messages: &[Message],
    parts: &[&Parts],
    tools: &[ToolSpec],
) -> (usize, HashMap<usize, usize>) {
    let prompt = renderer.render(messages, tools, OMIT).unwrap();
    let owned = renderer
        .owned(messages, parts.iter().copied(), tools, OMIT)
        .unwrap();
    let (ids, owners) = owned.tokens(&prompt, renderer.tokenizer());
    assert_eq!(ids, prompt.ids(renderer.tokenizer()), "the very ids");
    assert_eq!(ids.len(), owners.len());
    let mut counts = HashMap::new();
    for owner in owners {
        *counts.entry(owner as usize).or_default() += 1;
    }
    (ids.len(), counts)
}

/// Tokens of the turns that these messages are, each by itself.
fn alone(renderer: &Renderer, messages: &[Message]) -> usize {
    let start = [message(Role::User, "x")];
    let length = |messages: &[Message]| {
        let prompt = renderer.render(messages, &[], OMIT).unwrap();
        prompt.ids(renderer.tokenizer()).len()
    };
    let with: Vec<Message> = start.iter().chain(messages).cloned().collect();
    length(&with) - length(&start)
}

/// White space around, pieces of markup, noncharacters, and nothing at all.
const TEXT: &str = "[ \n]{0,2}(([a-z]{1,6}|<|\\||im_end|\\|>|<think>|</think>|<\\|im_end\\|>|[\u{fdd0}-\u{fdd9}]|é| |\n){0,12})[ \n]{0,2}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn numbers_are_those_of_each_turn_alone(
        system in TEXT, user in TEXT, text in TEXT, path in TEXT, output in TEXT, more in TEXT,
    ) {
        let call = ToolCall {
            id: "call_1".into(),
            name: "read_file".into(),
            arguments: serde_json::Map::from_iter([("path".to_owned(), json!(path))]),
        };
        let said = [
            message(Role::System, &format!("s{system}")),
            message(Role::User, &format!("u{user}")),
            Message { tool_calls: vec![call], ..message(Role::Assistant, &text) },
            Message { tool_call_id: Some("call_1".into()), ..message(Role::Tool, &format!("o{output}")) },
            message(Role::Assistant, &format!("a{more}")),
        ];
        for renderer in [demo(), renderer(None)] {
            for tools in [tools(), Vec::new()] {
                let (total, counts) = count(&renderer, &said, &[], &tools);
                prop_assert_eq!(counts.values().sum::<usize>(), total);
                let of = |owner: Owner| counts.get(&(owner as usize)).copied().unwrap_or(0);
                let history = [&said[1..3], &said[4..]].map(|part| alone(&renderer, part));
                prop_assert_eq!(of(Owner::History), history.iter().sum::<usize>());
                prop_assert_eq!(of(Owner::ToolOutput), alone(&renderer, &said[3..4]));
                prop_assert_eq!(of(Owner::Tools) > 0, !tools.is_empty());
                prop_assert!(of(Owner::System) > 0);
                prop_assert_eq!(of(Owner::Memory) + of(Owner::Files) + of(Owner::Reasoning), 0);
            }
        }
    }

    #[test]
    fn parts_of_a_message_are_told_apart(memory in TEXT, text in TEXT, file in TEXT) {
        let pieces = [
            (Owner::Memory, format!("m{memory}\n\n")),
            (Owner::History, format!("t{text}")),
            (Owner::Files, format!("\n\nf{file}.")),
        ];
        let content: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
        let parts = pieces.each_ref().map(|(owner, text)| (*owner, text.len()));
        let renderer = demo();
        let said = [message(Role::User, &content)];
        let (total, counts) = count(&renderer, &said, &[&parts], &[]);
        prop_assert_eq!(counts.values().sum::<usize>(), total);
        for (owner, _) in parts {
            prop_assert!(counts.contains_key(&(owner as usize)), "{owner:?} in {content:?}");
        }
    }
}

#[test]
fn reasoning_counts_where_the_template_writes_it() {
    let renderer = demo();
    let thought = |text: &str| Message {
        reasoning_content: "I wonder about that".into(),
        ..message(Role::Assistant, text)
    };
    let said = [message(Role::User, "q"), thought("a")];
    let (_, counts) = count(&renderer, &said, &[], &[]);
    assert!(counts[&(Owner::Reasoning as usize)] > 3, "{counts:?}");
    let said = [said.as_slice(), &[message(Role::User, "next")]].concat();
    let (_, counts) = count(&renderer, &said, &[], &[]);
    assert_eq!(counts.get(&(Owner::Reasoning as usize)), None, "dropped");
}

#[test]
fn a_template_that_tells_marked_text_apart_still_adds_up() {
    let odd = "{% for m in messages %}{{ m.content | length }}{{ m.content }}{% endfor %}";
    let renderer = renderer(Some(odd));
    let (total, counts) = count(&renderer, &[message(Role::Tool, "out")], &[], &[]);
    assert_eq!(counts, HashMap::from([(Owner::History as usize, total)]));
}
