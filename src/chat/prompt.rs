//! Messages to a prompt: the bundle's template over marked messages, then ids
//! piece by piece, so that only the template can write control tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::marks::Marker;
use super::template::Context;
use super::{Error, Message, Start, Template, ToolSpec};
use crate::bundle::{Bundle, Tokenizer};

/// Whether the model is to reason before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    On,
    Off,
}

/// Whether the prompt ends with the opening of the model's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationPrompt {
    Add,
    Omit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    pub thinking: Thinking,
    pub generation_prompt: GenerationPrompt,
}

/// Rendered text, and the places where it must not be read across.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    /// Byte offsets, ascending.
    breaks: Vec<usize>,
}

impl Prompt {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn ids(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        self.pieces()
            .flat_map(|piece| tokenizer.encode(piece))
            .collect()
    }

    /// The state that the model's output starts in: inside reasoning if the
    /// template's last think tag is an opening one.
    pub fn start(&self) -> Start {
        match (self.last("<think>"), self.last("</think>")) {
            (Some(open), close) if close.is_none_or(|close| close < open) => Start::Reasoning,
            _ => Start::Content,
        }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        let ends = self.breaks.iter().copied().chain([self.text.len()]);
        let mut from = 0;
        ends.map(move |to| &self.text[std::mem::replace(&mut from, to)..to])
    }

    /// Where the template itself last wrote `tag`.
    fn last(&self, tag: &str) -> Option<usize> {
        let whole = |at: &usize| {
            let next = self.breaks.partition_point(|b| b <= at);
            self.breaks.get(next).is_none_or(|&b| b >= at + tag.len())
        };
        let found = self.text.rmatch_indices(tag).map(|(at, _)| at);
        { found }.find(whole)
    }

    fn tail(&self, from: usize) -> Self {
        let first = self.breaks.partition_point(|&b| b <= from);
        Self {
            text: self.text[from..].to_owned(),
            breaks: self.breaks[first..].iter().map(|b| b - from).collect(),
        }
    }
}

/// A bundle's way to write prompts.
pub struct Renderer {
    template: Template,
    tokenizer: Arc<Tokenizer>,
    pub(super) marker: Marker,
    bos: String,
    /// What ends a turn.
    eos: String,
}

/// Text that ends a turn in every template of the family.
const END_OF_TURN: &str = "<|im_end|>";

impl Renderer {
    /// # Errors
    /// The bundle's template can't be used: it doesn't compile, or a short
    /// conversation already exceeds its bounds.
    pub fn for_bundle(bundle: &Bundle) -> Result<Self, Error> {
        let template = Template::new(bundle.template.as_deref())?;
        template.check(Context {
            messages: json!([
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello"},
                {"role": "user", "content": "bye"},
            ]),
            tools: Value::Null,
            bos_token: "<bos>".into(),
            eos_token: END_OF_TURN.into(),
            add_generation_prompt: true,
            enable_thinking: false,
        })?;
        Ok(Self::new(template, Arc::clone(&bundle.tokenizer)))
    }

    pub fn new(template: Template, tokenizer: Arc<Tokenizer>) -> Self {
        let marker = Marker::new(tokenizer.control_tokens().iter().map(|t| t.text.as_str()));
        Self {
            template,
            tokenizer,
            marker,
            bos: "<bos>".into(),
            eos: END_OF_TURN.into(),
        }
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// # Errors
    /// The template refused the conversation or exceeded its bounds.
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: RenderOptions,
    ) -> Result<Prompt, Error> {
        let messages = messages.iter().map(|m| self.message(m)).collect();
        let rendered = self.render_values(messages, tools, options)?;
        let (text, breaks) = self.marker.unmark(&rendered);
        Ok(Prompt { text, breaks })
    }

    /// The ids of text that somebody else put into the model's words: whatever it
    /// spells, none is a control token.
    pub fn literal(&self, text: &str) -> Vec<u32> {
        let (text, breaks) = self.marker.unmark(&self.marker.mark(text));
        Prompt { text, breaks }.ids(&self.tokenizer)
    }

    /// What the template makes of marked messages.
    pub(super) fn render_values(
        &self,
        messages: Value,
        tools: &[ToolSpec],
        options: RenderOptions,
    ) -> Result<String, Error> {
        let tools = match tools {
            [] => Value::Null,
            tools => tools.iter().map(|tool| self.tool(tool)).collect(),
        };
        self.template.render(Context {
            messages,
            tools,
            bos_token: self.bos.clone(),
            eos_token: self.eos.clone(),
            add_generation_prompt: options.generation_prompt == GenerationPrompt::Add,
            enable_thinking: options.thinking == Thinking::On,
        })
    }

    /// Text that ends a turn.
    pub(super) fn end_of_turn(&self) -> &str {
        &self.eos
    }

    /// What to append to the ids of a turn that the model has just ended, so
    /// that generated ids are never encoded again. `before` ends with that
    /// turn; `after` is `before` with the tools' answers. The turn's ids,
    /// including the end-of-turn id, and the ids of what is returned are the
    /// next prompt. `None` if the template writes `before` differently in
    /// `after`: then render `after` as a whole.
    ///
    /// # Errors
    /// As [`Renderer::render`].
    pub fn continuation(
        &self,
        before: &[Message],
        after: &[Message],
        tools: &[ToolSpec],
        thinking: Thinking,
    ) -> Result<Option<Prompt>, Error> {
        let options = |generation_prompt| RenderOptions {
            thinking,
            generation_prompt,
        };
        let old = self.render(before, tools, options(GenerationPrompt::Omit))?;
        let new = self.render(after, tools, options(GenerationPrompt::Add))?;
        if !new.text.starts_with(&old.text) || !new.breaks.starts_with(&old.breaks) {
            return Ok(None);
        }
        Ok({ old.last(&self.eos) }.map(|at| new.tail(at + self.eos.len())))
    }

    pub(super) fn message(&self, message: &Message) -> Value {
        let mut value = Map::new();
        value.insert("role".into(), message.role.as_str().into());
        value.insert("content".into(), self.marker.mark(&message.content).into());
        if !message.reasoning_content.is_empty() {
            let reasoning = self.marker.mark(&message.reasoning_content);
            value.insert("reasoning_content".into(), reasoning.into());
        }
        if !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter().map(|call| {
                json!({
                    "id": self.marker.mark(&call.id),
                    "type": "function",
                    "function": {
                        "name": self.marker.mark(&call.name),
                        "arguments": self.marker.mark_object(&call.arguments),
                    },
                })
            });
            value.insert("tool_calls".into(), calls.collect());
        }
        if let Some(id) = &message.tool_call_id {
            value.insert("tool_call_id".into(), self.marker.mark(id).into());
        }
        Value::Object(value)
    }

    fn tool(&self, tool: &ToolSpec) -> Value {
        let mut function = Map::new();
        function.insert("name".into(), self.marker.mark(&tool.name).into());
        if !tool.description.is_empty() {
            let description = self.marker.mark(&tool.description);
            function.insert("description".into(), description.into());
        }
        if !tool.parameters.is_null() {
            function.insert(
                "parameters".into(),
                self.marker.mark_schema(&tool.parameters),
            );
        }
        json!({"type": "function", "function": function})
    }
}
