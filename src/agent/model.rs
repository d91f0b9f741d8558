//! One model call: the prompt's ids, the run, and the answer parsed as it comes.
//! Within a turn the prompt grows from the generated ids; they are never encoded
//! again, so the cache's prefix holds.

use std::sync::Arc;
use std::time::Instant;

use xxhash_rust::xxh3::Xxh3;

use super::collector::Collector;
use super::context::Meter;
use super::conversation::{Conversation, Said};
use super::entry::{Answer, Entry, Finish, Kind};
use super::event::{Approval, Event, Front, Question};
use super::machine::{Machine, Rules};
use super::notes::Notes;
use super::opening::Beginning;
use super::present::thousands;
use super::session::{Chosen, Place, Trace};
use super::settings::{Calls, THINKING_BUDGET};
use super::steer::Steer;
use crate::bundle::Tokenizer;
use crate::chat::{
    GenerationPrompt, MarkerIds, Message, Owner, ParserOptions, Parts, RenderOptions, Renderer,
    Role, Start, Thinking, ToolSpec,
};
use crate::generate::{
    self, Cancel, Generator, Grammar, Nudge, PromptUsage, Request, Sampling, ThinkingBudget,
    ThinkingKeys,
};

/// What ends a turn in the templates that continuations are made for.
pub(super) const END_OF_TURN: &str = "<|im_end|>";

/// Everything a model call needs.
pub(super) struct Model {
    pub generator: Generator,
    pub renderer: Renderer,
    pub tokenizer: Arc<Tokenizer>,
    pub stop_ids: Vec<u32>,
    /// Positions the model may use.
    pub context: usize,
    pub specs: Vec<ToolSpec>,
    pub calls: Calls,
    /// What calls of `specs` may be; `None` leaves them to the model.
    pub grammar: Option<Arc<Grammar>>,
    pub system: String,
    pub thinking: Thinking,
    pub sampling: Sampling,
    /// What the user does to the reasoning of the answer that is being written.
    pub keys: ThinkingKeys,
    /// What the user says meanwhile.
    pub steer: Steer,
    pub run: Option<Run>,
    pub stats: Stats,
}

/// The last model call of the running turn.
pub(super) struct Run {
    /// Prompt and generated ids.
    ids: Vec<u32>,
    /// Whose they are.
    owners: Vec<Owner>,
    /// Messages after it, its own answer included.
    messages: usize,
}

/// What a model call is to do.
struct Asked {
    prepared: Prepared,
    beginning: Beginning,
    /// The number of the first tool call in it.
    first_call: usize,
    max_tokens: usize,
    /// Ends it after the token it is at.
    pause: Cancel,
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

/// A front end that hears what a model call costs, and not what is said.
struct Quiet<'a>(&'a mut dyn Front);

impl Front for Quiet<'_> {
    fn event(&mut self, event: &Event) {
        let cost = matches!(
            event,
            Event::Prefill { .. } | Event::Context(_) | Event::Usage { .. }
        );
        if cost {
            self.0.event(event);
        }
    }

    fn approve(&mut self, question: &Question) -> Approval {
        self.0.approve(question)
    }
}

/// Ids of a prompt, whose they are, and the state that the output starts in.
#[derive(Clone)]
pub(super) struct Prepared {
    pub ids: Vec<u32>,
    owners: Vec<Owner>,
    start: Start,
    /// What the user is known to do to the answer's reasoning.
    pub nudges: Vec<Nudge>,
}

impl Model {
    /// Holds calls to the tools that are offered, if that is wanted; a line for the user
    /// if it can't be.
    pub fn hold_calls(&mut self) -> Option<String> {
        let grammar = match self.calls {
            Calls::Free => Ok(None),
            Calls::Constrained => Grammar::compile(&self.tokenizer, &self.specs, &self.stop_ids),
        };
        let (grammar, why) = match grammar {
            Ok(grammar) => (grammar, None),
            Err(why) => (None, Some(why)),
        };
        self.grammar = grammar;
        why.map(|why| format!("tool calls are not held to a grammar: {why}"))
    }

    /// From here on these are in force, for these tools; a line for the user if they
    /// can't be.
    pub fn choose(&mut self, chosen: &Chosen, specs: &[ToolSpec]) -> Option<String> {
        self.sampling = chosen.sampling.clone();
        self.thinking = chosen.thinking;
        let same = self.calls == chosen.calls && self.specs == specs;
        if same {
            return None;
        }
        self.calls = chosen.calls;
        self.specs = specs.to_vec();
        self.hold_calls()
    }

    /// Lets the model answer what the machine's conversation ends with.
    pub fn answer(
        &mut self,
        place: Place<'_>,
        prepared: Prepared,
        max_tokens: usize,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Result<(Answer, Option<Kind>), String> {
        let Place {
            machine,
            head,
            beginning,
            trace,
        } = place;
        let messages = machine.messages().len() + 1;
        let kept = prepared.clone();
        let key = self.key(&prepared.ids, &beginning.ids());
        let notes = Notes::begin(trace, head, key, &prepared.ids, &beginning.kept);
        let asked = Asked {
            prepared,
            beginning,
            first_call: machine.calls() + 1,
            max_tokens,
            pause: self.steer.begin(),
        };
        let generated = self.generate(asked, notes, cancel, front);
        self.steer.end();
        let (answer, usage) = generated?;
        if !answer.never_began() {
            self.remember(kept, &answer, messages);
        }
        Ok((answer, usage))
    }

    /// Lets the model write a summary of `messages`; nothing of it is an answer.
    pub fn summarise(
        &mut self,
        messages: &[Message],
        instruction: Message,
        max_tokens: usize,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Result<(Answer, Option<Kind>), String> {
        let mut asked = Conversation::default();
        for message in messages.iter().chain([&instruction]) {
            asked.push(0, Said::User, message.clone());
        }
        self.run = None;
        let thinking = std::mem::replace(&mut self.thinking, Thinking::Off);
        let prepared = self.prepare_whole(&asked, GenerationPrompt::Add);
        self.thinking = thinking;
        let asked = Asked {
            prepared: prepared?,
            beginning: Beginning::default(),
            first_call: 1,
            max_tokens,
            // What the user says is for the answer that comes after it.
            pause: Cancel::default(),
        };
        let mut nowhere = Trace::nowhere();
        let notes = Notes::begin(&mut nowhere, None, 0, &[], &[]);
        self.generate(asked, notes, cancel, &mut Quiet(front))
    }

    fn generate(
        &mut self,
        asked: Asked,
        mut notes: Notes<'_>,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Result<(Answer, Option<Kind>), String> {
        let Asked {
            prepared,
            beginning,
            first_call,
            max_tokens,
            pause,
        } = asked;
        if prepared.ids.len() >= self.context {
            let answer = Answer {
                finish: Finish::Context,
                ..Answer::default()
            };
            return Ok((answer, None));
        }
        front.event(&Event::Context(self.meter(&prepared)));
        let (given, done) = notes.given(&self.tokenizer);
        let mut nudges = prepared.nudges;
        nudges.extend(&beginning.nudges);
        nudges.extend(done);
        let (forced, after) = beginning.rest(given.len());
        let request = Request {
            boundaries: self.fixed(&prepared.ids).into_iter().collect(),
            thinking: self.budget(prepared.start),
            nudges: nudges.clone(),
            keys: self.keys.clone(),
            prompt: prepared.ids,
            given: given.iter().map(|token| token.id).collect(),
            forced,
            after,
            sampling: self.sampling.clone(),
            stop_ids: self.stop_ids.clone(),
            max_tokens,
            context: self.context,
            pause,
            constraint: self.grammar.clone(),
        };
        let mut collector = Collector::new(ParserOptions {
            tools: self.specs.clone(),
            start: prepared.start,
            markers: MarkerIds::of(&self.tokenizer),
            first_call,
        });
        for token in given {
            collector.token(&token, front);
            front.event(&Event::Token(token));
        }
        self.keys.release();
        let mut usage: Option<PromptUsage> = None;
        let mut since = Instant::now();
        for event in self.generator.submit(request, cancel.clone()) {
            match event {
                generate::Event::Prefill { done, total } => {
                    tracing::trace!(done, total, "prefill");
                    front.event(&Event::Prefill { done, total });
                }
                generate::Event::Notice(text) => front.event(&Event::Notice { text }),
                generate::Event::Started(prompt) => {
                    tracing::debug!(seconds = since.elapsed().as_secs_f32(), "prompt read");
                    usage = Some(prompt);
                    self.stats.prefill_seconds += since.elapsed().as_secs_f64();
                    since = Instant::now();
                }
                generate::Event::Nudged(nudge) => {
                    notes.nudge(nudge);
                    nudges.push(nudge);
                }
                generate::Event::Token(token) => {
                    notes.token(&token, &self.tokenizer, self.generator.durable());
                    collector.token(&token, front);
                    front.event(&Event::Token(token));
                }
                generate::Event::Failed(message) => return Err(message),
                generate::Event::Finished { reason, tail, ids } => {
                    self.stats.decode_seconds += since.elapsed().as_secs_f64();
                    let mut answer = collector.finish(&tail, ids, reason, front);
                    answer.nudges = nudges;
                    answer.trace = notes.finish(front);
                    if let Some(usage) = usage {
                        tracing::info!(
                            prompt = usage.prompt,
                            reused = usage.reused,
                            loaded = usage.loaded,
                            prefilled = usage.prefilled,
                            replayed = usage.replayed,
                            generated = answer.ids.len(),
                            decode_seconds = since.elapsed().as_secs_f32(),
                            finish = ?answer.finish,
                            "model call"
                        );
                    }
                    let usage = usage.map(|prompt| self.count(prompt, &answer, front));
                    return Ok((answer, usage));
                }
            }
        }
        Err("the generation thread ended without a word".into())
    }

    /// Names what an answer's tokens follow from: the prompt, what the answer begins
    /// with, and the choices.
    fn key(&self, prompt: &[u32], beginning: &[u32]) -> u64 {
        let mut hash = Xxh3::new();
        for id in prompt.iter().chain(beginning) {
            hash.update(&id.to_le_bytes());
        }
        hash.update(format!("{:?} {:?}", self.sampling, self.calls).as_bytes());
        hash.digest()
    }

    /// Makes the next call of a turn that is not finished continue what its last
    /// one wrote, as if the program had never stopped. `path` is the session's.
    pub fn recall(&mut self, rules: &Rules, path: &[&Entry]) -> Result<(), String> {
        self.run = None;
        let turn = path
            .iter()
            .rposition(|entry| matches!(entry.kind, Kind::User { .. }));
        let (before, turn) = path.split_at(turn.unwrap_or(path.len()));
        let mut machine = Machine::fold(rules.clone(), before.iter().copied());
        for entry in turn {
            match &entry.kind {
                Kind::Assistant(answer) => {
                    let prepared = self.prepare(machine.conversation())?;
                    self.remember(prepared, answer, machine.messages().len() + 1);
                }
                Kind::Compaction(_) => self.run = None,
                _ => {}
            }
            machine.apply(entry);
        }
        Ok(())
    }

    fn count(&mut self, prompt: PromptUsage, answer: &Answer, front: &mut dyn Front) -> Kind {
        let generated = answer.ids.len();
        let sum = &mut self.stats;
        sum.calls += 1;
        sum.generated += generated;
        sum.prompt.prompt += prompt.prompt;
        sum.prompt.reused += prompt.reused;
        sum.prompt.loaded += prompt.loaded;
        sum.prompt.prefilled += prompt.prefilled;
        sum.prompt.replayed += prompt.replayed;
        front.event(&Event::Usage { prompt, generated });
        Kind::Usage { prompt, generated }
    }

    /// Keeps the ids for the next call of the turn, where they can be continued.
    pub fn remember(&mut self, prepared: Prepared, answer: &Answer, messages: usize) {
        let mut wrote = answer.ids.clone();
        if answer.finish == Finish::Steered {
            wrote.extend(self.closing(prepared.start, &answer.ids));
        }
        let ended = matches!(answer.finish, Finish::Stop | Finish::Steered);
        let closed = self.tokenizer.id_of(END_OF_TURN);
        let continues = ended && closed.is_some() && wrote.last().copied() == closed;
        self.run = continues.then(|| {
            let Prepared {
                mut ids,
                mut owners,
                start,
                nudges: _,
            } = prepared;
            owners.extend(self.wrote(start, &wrote));
            ids.extend(wrote);
            Run {
                ids,
                owners,
                messages,
            }
        });
    }

    /// Whose generated ids are: reasoning, up to the marker that closes it.
    fn wrote(&self, start: Start, ids: &[u32]) -> Vec<Owner> {
        let [open, close] = ["<think>", "</think>"].map(|tag| self.tokenizer.id_of(tag));
        let mut reasons = start == Start::Reasoning;
        let each = ids.iter().map(|id| {
            reasons |= Some(*id) == open;
            let owner = match reasons {
                true => Owner::Reasoning,
                false => Owner::History,
            };
            reasons &= Some(*id) != close;
            owner
        });
        each.collect()
    }

    /// Continues the turn's ids if there are some, else renders everything.
    pub fn prepare(&self, conversation: &Conversation) -> Result<Prepared, String> {
        let messages = self.messages(conversation.messages());
        if let Some(run) = &self.run
            && let Some(before) = messages.get(..=run.messages)
        {
            // One more: the system message.
            let more = self
                .renderer
                .continuation(before, &messages, &self.specs, self.thinking)
                .map_err(|e| e.to_string())?;
            let more = match more {
                Some(more) => Some(more),
                None => self.steered(before, &messages)?,
            };
            if let Some(more) = more {
                let (ids, owners) = self.tokens(
                    &more,
                    &messages,
                    conversation.parts(),
                    GenerationPrompt::Add,
                )?;
                return Ok(Prepared {
                    ids: [run.ids.as_slice(), &ids].concat(),
                    owners: [run.owners.as_slice(), &owners].concat(),
                    start: more.start(),
                    nudges: Vec::new(),
                });
            }
        }
        self.prepare_whole(conversation, GenerationPrompt::Add)
    }

    fn prepare_whole(
        &self,
        conversation: &Conversation,
        end: GenerationPrompt,
    ) -> Result<Prepared, String> {
        let messages = self.messages(conversation.messages());
        let prompt = self.render(&messages, end)?;
        let (ids, owners) = self.tokens(&prompt, &messages, conversation.parts(), end)?;
        Ok(Prepared {
            ids,
            owners,
            start: prompt.start(),
            nudges: Vec::new(),
        })
    }

    /// The ids of a prompt, or of its end, and whose they are.
    fn tokens<'a>(
        &self,
        prompt: &crate::chat::Prompt,
        messages: &[Message],
        parts: impl Iterator<Item = &'a Parts>,
        generation_prompt: GenerationPrompt,
    ) -> Result<(Vec<u32>, Vec<Owner>), String> {
        let options = RenderOptions {
            thinking: self.thinking,
            generation_prompt,
        };
        // The system message has one part.
        let parts = std::iter::once::<&Parts>(&[]).chain(parts);
        let owned = self
            .renderer
            .owned(messages, parts, &self.specs, options)
            .map_err(|e| e.to_string())?;
        Ok(owned.tokens(prompt, &self.tokenizer))
    }

    /// Whose the tokens of a prompt are.
    pub fn meter(&self, prepared: &Prepared) -> Meter {
        Meter::new(self.context, &prepared.owners)
    }

    /// What the conversation takes, as it would be written anew.
    pub fn measure(&self, conversation: &Conversation) -> Result<Meter, String> {
        let prepared = self.prepare_whole(conversation, GenerationPrompt::Omit)?;
        Ok(self.meter(&prepared))
    }

    /// How much of a prompt every conversation begins with: system prompt and tools.
    fn fixed(&self, prompt: &[u32]) -> Option<usize> {
        let fixed = self.render(&self.messages(&[]), GenerationPrompt::Omit);
        let fixed = fixed.ok()?.ids(&self.tokenizer);
        let common = fixed.iter().zip(prompt).take_while(|(a, b)| a == b);
        Some(common.count())
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

    pub fn budget(&self, start: Start) -> Option<ThinkingBudget> {
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

    /// Tokens of what an older message says; its reasoning has left the prompt.
    pub fn weigh(&self, message: &Message) -> usize {
        let calls = message.tool_calls.iter().map(|call| {
            let values = call.arguments.values().map(|value| match value {
                serde_json::Value::String(text) => self.count_tokens(text),
                other => self.count_tokens(&other.to_string()),
            });
            self.count_tokens(&call.name) + values.sum::<usize>()
        });
        self.count_tokens(&message.content) + calls.sum::<usize>()
    }

    pub fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.encode(text).len()
    }

    /// What fills the window, by owner.
    pub fn window(&self, machine: &Machine) -> String {
        let filled = match self.measure(machine.conversation()) {
            Ok(meter) => meter.line(),
            Err(error) => error,
        };
        format!(
            "the context of {} tokens is full: {filled}; start a new conversation or ask for less",
            thousands(self.context),
        )
    }
}
