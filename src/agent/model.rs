//! One model call: the prompt's ids, the run, and the answer parsed as it comes.
//! Within a turn the prompt grows from the generated ids; they are never encoded
//! again, so the cache's prefix holds.

use std::sync::Arc;
use std::time::Instant;

use super::entry::{Answer, Finish, Kind};
use super::event::{Event, Front};
use super::machine::Machine;
use super::present::thousands;
use super::settings::THINKING_BUDGET;
use crate::bundle::Tokenizer;
use crate::chat::{
    ChatEvent, GenerationPrompt, MarkerIds, Message, Parser, ParserOptions, RenderOptions,
    Renderer, Role, Start, Thinking, ToolSpec,
};
use crate::generate::{
    self, Cancel, Generator, Grammar, PromptUsage, Request, Sampling, ThinkingBudget,
};

/// What ends a turn in the templates that continuations are made for.
const END_OF_TURN: &str = "<|im_end|>";

/// Everything a model call needs.
pub(super) struct Model {
    pub generator: Generator,
    pub renderer: Renderer,
    pub tokenizer: Arc<Tokenizer>,
    pub stop_ids: Vec<u32>,
    /// Positions the model may use.
    pub context: usize,
    pub specs: Vec<ToolSpec>,
    /// What calls of `specs` may be; `None` leaves them to the model.
    pub grammar: Option<Arc<Grammar>>,
    pub system: String,
    pub thinking: Thinking,
    pub sampling: Sampling,
    pub run: Option<Run>,
    pub stats: Stats,
}

/// The last model call of the running turn.
pub(super) struct Run {
    /// Prompt and generated ids.
    ids: Vec<u32>,
    /// Messages after it, its own answer included.
    messages: usize,
}

/// Sums over a session's model calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    pub turns: usize,
    pub calls: usize,
    pub prompt: PromptUsage,
    pub generated: usize,
    pub prefill_seconds: f64,
    pub decode_seconds: f64,
}

/// Ids of a prompt and the state that the output starts in.
struct Prepared {
    ids: Vec<u32>,
    start: Start,
}

impl Model {
    /// Lets the model answer what the machine's conversation ends with.
    pub fn answer(
        &mut self,
        machine: &Machine,
        max_tokens: usize,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Result<(Answer, Option<Kind>), String> {
        let prepared = self.prepare(machine.messages())?;
        if prepared.ids.len() >= self.context {
            let answer = Answer {
                finish: Finish::Context,
                ..Answer::default()
            };
            return Ok((answer, None));
        }
        let request = Request {
            prompt: prepared.ids.clone(),
            sampling: self.sampling.clone(),
            stop_ids: self.stop_ids.clone(),
            max_tokens,
            context: self.context,
            thinking: self.budget(prepared.start),
            constraint: self.grammar.clone(),
        };
        let mut collector = Collector {
            parser: Parser::new(ParserOptions {
                tools: self.specs.clone(),
                start: prepared.start,
                markers: MarkerIds::of(&self.tokenizer),
                first_call: machine.calls() + 1,
            }),
            answer: Answer::default(),
            held: String::new(),
        };
        let mut usage: Option<PromptUsage> = None;
        let mut since = Instant::now();
        for event in self.generator.submit(request, cancel.clone()) {
            match event {
                generate::Event::Prefill { done, total } => {
                    front.event(&Event::Prefill { done, total });
                }
                generate::Event::Started(prompt) => {
                    usage = Some(prompt);
                    self.stats.prefill_seconds += since.elapsed().as_secs_f64();
                    since = Instant::now();
                }
                generate::Event::Token(token) => {
                    collector.token(&token, front);
                    front.event(&Event::Token(token));
                }
                generate::Event::Failed(message) => return Err(message),
                generate::Event::Finished { reason, tail, ids } => {
                    self.stats.decode_seconds += since.elapsed().as_secs_f64();
                    let answer = collector.finish(&tail, ids, reason, front);
                    let usage = usage.map(|prompt| self.count(prompt, &answer, front));
                    self.remember(prepared.ids, &answer, machine.messages().len() + 1);
                    return Ok((answer, usage));
                }
            }
        }
        Err("the generation thread ended without a word".into())
    }

    fn count(&mut self, prompt: PromptUsage, answer: &Answer, front: &mut dyn Front) -> Kind {
        let generated = answer.ids.len();
        let sum = &mut self.stats;
        sum.calls += 1;
        sum.generated += generated;
        sum.prompt.prompt += prompt.prompt;
        sum.prompt.reused += prompt.reused;
        sum.prompt.prefilled += prompt.prefilled;
        sum.prompt.replayed += prompt.replayed;
        front.event(&Event::Usage { prompt, generated });
        Kind::Usage { prompt, generated }
    }

    /// Keeps the ids for the next call of the turn, where they can be continued.
    fn remember(&mut self, mut ids: Vec<u32>, answer: &Answer, messages: usize) {
        let closed = self.tokenizer.id_of(END_OF_TURN);
        let continues = answer.finish == Finish::Stop
            && closed.is_some()
            && answer.ids.last().copied() == closed;
        self.run = continues.then(|| {
            ids.extend_from_slice(&answer.ids);
            Run { ids, messages }
        });
    }

    /// Continues the turn's ids if there are some, else renders everything.
    fn prepare(&self, conversation: &[Message]) -> Result<Prepared, String> {
        let messages = self.messages(conversation);
        if let Some(run) = &self.run {
            // One more: the system message.
            let before = &messages[..=run.messages];
            let more = self
                .renderer
                .continuation(before, &messages, &self.specs, self.thinking)
                .map_err(|e| e.to_string())?;
            if let Some(more) = more {
                let mut ids = run.ids.clone();
                ids.extend(more.ids(&self.tokenizer));
                return Ok(Prepared {
                    ids,
                    start: more.start(),
                });
            }
        }
        let prompt = self.render(&messages, GenerationPrompt::Add)?;
        Ok(Prepared {
            ids: prompt.ids(&self.tokenizer),
            start: prompt.start(),
        })
    }

    fn render(
        &self,
        messages: &[Message],
        generation_prompt: GenerationPrompt,
    ) -> Result<crate::chat::Prompt, String> {
        let options = RenderOptions {
            thinking: self.thinking,
            generation_prompt,
        };
        self.renderer
            .render(messages, &self.specs, options)
            .map_err(|e| e.to_string())
    }

    fn messages(&self, conversation: &[Message]) -> Vec<Message> {
        let system = Message {
            role: Role::System,
            content: self.system.clone(),
            reasoning_content: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        };
        std::iter::once(system)
            .chain(conversation.iter().cloned())
            .collect()
    }

    fn budget(&self, start: Start) -> Option<ThinkingBudget> {
        let open = self.tokenizer.id_of("<think>")?;
        let close = self.tokenizer.id_of("</think>")?;
        let closing = std::iter::once(close)
            .chain(self.tokenizer.encode("\n\n"))
            .collect();
        Some(ThinkingBudget {
            open,
            close,
            tool_call: self.tokenizer.id_of("<zyphra_tool_call>"),
            starts_open: start == Start::Reasoning,
            tokens: THINKING_BUDGET,
            closing,
        })
    }

    /// What fills the window, by owner.
    pub fn window(&self, machine: &Machine) -> String {
        let count = |text: &str| self.tokenizer.encode(text).len();
        let fixed = self
            .render(&self.messages(&[]), GenerationPrompt::Omit)
            .map_or(0, |prompt| prompt.ids(&self.tokenizer).len());
        let messages = machine.messages();
        let turn = messages.iter().rposition(|m| m.role == Role::User);
        let (mut user, mut answers, mut reasoning, mut tools) = (0, 0, 0, 0);
        for (at, message) in messages.iter().enumerate() {
            match message.role {
                Role::Tool => tools += count(&message.content),
                Role::Assistant => {
                    answers += count(&message.content);
                    // Templates drop the reasoning of earlier turns.
                    if Some(at) > turn {
                        reasoning += count(&message.reasoning_content);
                    }
                }
                Role::User | Role::System => user += count(&message.content),
            }
        }
        format!(
            "the context of {} tokens is full: system and tools {}, messages {}, answers {}, \
             reasoning {}, tool output {}; start a new conversation or ask for less",
            thousands(self.context),
            thousands(fixed),
            thousands(user),
            thousands(answers),
            thousands(reasoning),
            thousands(tools)
        )
    }
}

/// Parses an answer as it comes.
struct Collector {
    parser: Parser,
    answer: Answer,
    /// White space that is nothing to show unless more text follows.
    held: String,
}

impl Collector {
    fn token(&mut self, token: &generate::Token, front: &mut dyn Front) {
        let events = self.parser.push(Some(token.id), &token.text);
        self.take(events, front);
    }

    fn finish(
        mut self,
        tail: &str,
        ids: Vec<u32>,
        finish: Finish,
        front: &mut dyn Front,
    ) -> Answer {
        if !tail.is_empty() {
            let events = self.parser.push(None, tail);
            self.take(events, front);
        }
        let events = self.parser.finish();
        self.take(events, front);
        self.flush_before_calls();
        self.answer.ids = ids;
        self.answer.finish = finish;
        self.answer
    }

    fn take(&mut self, events: Vec<ChatEvent>, front: &mut dyn Front) {
        for event in events {
            match event {
                ChatEvent::Reasoning(text) => {
                    self.answer.reasoning.push_str(&text);
                    front.event(&Event::Reasoning { text });
                }
                ChatEvent::Text(text) => self.text(&text, front),
                // Announced when it is taken up, not when it is written.
                ChatEvent::ToolCall(call) => {
                    self.flush_before_calls();
                    self.answer.calls.push(call);
                }
                ChatEvent::Malformed { reason, .. } => self.answer.malformed.push(reason),
            }
        }
    }
    fn text(&mut self, text: &str, front: &mut dyn Front) {
        let mut text = std::mem::take(&mut self.held) + text;
        self.held = text.split_off(text.trim_end().len());
        if !text.is_empty() {
            self.answer.text.push_str(&text);
            front.event(&Event::Text { text });
        }
    }

    /// Templates write an answer's text before its calls: white space belongs to
    /// it there, and to the layout of the calls after that. So a rendered answer
    /// equals the generated one, and the cache's prefix holds.
    fn flush_before_calls(&mut self) {
        let held = std::mem::take(&mut self.held);
        if self.answer.calls.is_empty() {
            self.answer.text.push_str(&held);
        }
    }
}
