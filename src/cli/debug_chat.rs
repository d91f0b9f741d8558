//! `cairn debug render` and `cairn debug parse`: the chat formats by hand, for
//! people who port a template and for tests that look from outside.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bundle::{Bundle, ThinkingSupport};
use crate::chat::{
    ChatEvent, GenerationPrompt, Message, Parser, ParserOptions, RenderOptions, Renderer, Start,
    Thinking, ToolSpec, coalesce, name_calls,
};

/// What `render` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderOutput {
    /// The prompt's text, exactly.
    Text,
    /// One JSON array of token ids, and a line break.
    Ids,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Vec<Message>,
    #[serde(default)]
    tools: Option<Vec<ToolSpec>>,
    #[serde(default)]
    enable_thinking: Option<bool>,
    #[serde(default)]
    add_generation_prompt: Option<bool>,
}

/// The prompt that `bundle` makes with its `renderer` of `input`, a JSON object
/// with `messages`, `tools`, `enable_thinking` (default: whether the bundle can)
/// and `add_generation_prompt` (default: true).
pub fn render(
    input: &str,
    bundle: &Bundle,
    renderer: &Renderer,
    output: RenderOutput,
) -> Result<String> {
    let thinking = match bundle.thinking {
        ThinkingSupport::None => Thinking::Off,
        ThinkingSupport::Optional | ThinkingSupport::Default => Thinking::On,
    };
    render_with(input, renderer, thinking, output)
}

fn render_with(
    input: &str,
    renderer: &Renderer,
    default: Thinking,
    output: RenderOutput,
) -> Result<String> {
    let mut conversation: Conversation =
        serde_json::from_str(input).context("the conversation can't be read")?;
    name_calls(&mut conversation.messages);
    let options = RenderOptions {
        thinking: match conversation.enable_thinking {
            Some(true) => Thinking::On,
            Some(false) => Thinking::Off,
            None => default,
        },
        generation_prompt: match conversation.add_generation_prompt {
            Some(false) => GenerationPrompt::Omit,
            _ => GenerationPrompt::Add,
        },
    };
    let tools = conversation.tools.unwrap_or_default();
    let prompt = renderer.render(&conversation.messages, &tools, options)?;
    Ok(match output {
        RenderOutput::Text => prompt.text().to_owned(),
        RenderOutput::Ids => format!("{}\n", json!(prompt.ids(renderer.tokenizer()))),
    })
}

/// The names that `--format` takes.
pub const FORMATS: [&str; 3] = ["zaya_xml", "zaya", "zyphra"];

/// What a model wrote, as JSON lines without line breaks: `reasoning`, `text`,
/// `tool_call`, and `error` for a call that can't be read. `schema` is a JSON
/// list of tools (or an object with `tools`); `start` says what the text begins
/// in.
pub fn parse(text: &str, format: &str, schema: Option<&str>, start: Start) -> Result<Vec<String>> {
    if !FORMATS.contains(&format) {
        bail!("unknown format `{format}`; known: {}", FORMATS.join(", "));
    }
    let mut parser = Parser::new(ParserOptions {
        tools: schema.map(tools).transpose()?.unwrap_or_default(),
        start,
        ..ParserOptions::default()
    });
    let mut events = parser.push(None, text);
    events.extend(parser.finish());
    Ok(coalesce(events).iter().map(line).collect())
}

fn tools(schema: &str) -> Result<Vec<ToolSpec>> {
    let mut value: Value = serde_json::from_str(schema).context("the schema isn't JSON")?;
    if let Some(tools) = value.get_mut("tools") {
        value = tools.take();
    }
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let tools = list.into_iter().map(serde_json::from_value);
    tools
        .collect::<Result<_, _>>()
        .context("the schema isn't a list of tools")
}

fn line(event: &ChatEvent) -> String {
    let object = match event {
        ChatEvent::Reasoning(text) => json!({"v": 1, "type": "reasoning", "text": text}),
        ChatEvent::Text(text) => json!({"v": 1, "type": "text", "text": text}),
        ChatEvent::ToolCall(call) => json!({
            "v": 1, "type": "tool_call",
            "id": call.id, "name": call.name, "arguments": call.arguments,
        }),
        ChatEvent::Malformed { reason, .. } => {
            json!({"v": 1, "type": "error", "message": format!("malformed tool call: {reason}")})
        }
    };
    crate::batch::line(&object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Tokenizer;
    use crate::chat::Template;
    use std::sync::Arc;

    #[test]
    fn conversations_in_api_shape_are_rendered() {
        let json = include_bytes!("../../models/demo/tokenizer.json");
        let tokenizer = Arc::new(Tokenizer::from_json(json).unwrap());
        let renderer = Renderer::new(Template::new(None).unwrap(), tokenizer);
        let render = |input: &str, output| render_with(input, &renderer, Thinking::On, output);
        let input = r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"type": "function",
             "function": {"name": "f", "arguments": "{\"a\": 1}"}}]},
            {"role": "tool", "content": "ok", "tool_call_id": "call_1"}], "tools": null}"#;
        let text = "<bos><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n</think>\n\n\
            <zyphra_tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n\
            </zyphra_tool_call>\n<|im_end|>\n<|im_start|>user\n<zyphra_tool_response>\nok\n\
            </zyphra_tool_response>\n<|im_end|>\n<|im_start|>assistant\n<think>\n";
        assert_eq!(render(input, RenderOutput::Text).unwrap(), text);
        let off = input.replace("null}", "[], \"enable_thinking\": false}");
        let off = render(&off, RenderOutput::Text).unwrap();
        assert_eq!(off, format!("{text}</think>\n\n"));
        let hi =
            r#"{"messages": [{"role": "user", "content": ""}], "add_generation_prompt": false}"#;
        let ids = render(hi, RenderOutput::Ids).unwrap();
        assert!(ids.starts_with("[2,105,") && ids.ends_with("]\n"), "{ids}");
        let error = render(r#"{"messages": [{"role": "robot"}]}"#, RenderOutput::Text);
        assert!(format!("{:#}", error.unwrap_err()).contains("robot"));
    }

    #[test]
    fn output_becomes_lines() {
        let schema = r#"[{"type": "function", "function": {"name": "f", "parameters":
            {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}}]"#;
        let text = "a\nb\n</think>\n\nHi.\n<zyphra_tool_call>\n<function=f>\n<parameter=n>\n3\n\
            </parameter>\n</function>\n</zyphra_tool_call><zyphra_tool_call>?</zyphra_tool_call>";
        let lines = parse(text, "zaya_xml", Some(schema), Start::Reasoning).unwrap();
        assert_eq!(
            lines,
            [
                r#"{"v":1,"type":"reasoning","text":"a\nb\n"}"#,
                r#"{"v":1,"type":"text","text":"Hi.\n"}"#,
                r#"{"v":1,"type":"tool_call","id":"call_1","name":"f","arguments":{"n":3}}"#,
                r#"{"v":1,"type":"error","message":"malformed tool call: there is no `<function=NAME>` in the call"}"#,
            ]
        );
    }

    #[test]
    fn bad_input_is_refused() {
        let error = |format: &str, schema| {
            let result = parse("", format, Some(schema), Start::Content);
            format!("{:#}", result.unwrap_err())
        };
        assert!(error("dsml2", "[]").contains("known: zaya_xml"));
        assert!(error("zaya_xml", "[1]").contains("list of tools"));
        assert!(error("zaya_xml", "{").contains("isn't JSON"));
    }
}
