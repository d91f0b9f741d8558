//! One run: reuse what the cache holds, prefill the rest, decode until
//! something ends it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::grammar::{Constraint, Next};
use super::keep::{FromDisk, Keeper, Ledger};
use super::loops::LoopGuard;
use super::thinking::Thinking;
use super::utf8::Utf8Stream;
use super::{Cancel, Event, FinishReason, PromptUsage, Request, Token};
use crate::backend::{SampleSpec, TokenMask};
use crate::bundle::Tokenizer;
use crate::cache::disk::BLOCK;
use crate::model::{Cache, Engine, Error, Interrupted, Step, StepRow};

/// What every run of a generator works with.
pub(super) struct Loaded {
    pub engine: Box<dyn Engine>,
    pub tokenizer: Arc<Tokenizer>,
    /// Ids that stand for text; `None` if all do.
    pub decodable: Option<Arc<TokenMask>>,
    /// Set when the generator goes away.
    pub closing: Cancel,
    /// What is kept on disk.
    pub ledger: Ledger,
}

pub(super) struct Run<'a> {
    pub loaded: &'a Loaded,
    pub cache: &'a mut Cache,
    pub request: Request,
    pub cancel: Cancel,
    pub events: Sender<Event>,
}

/// What of the cache is put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Whole blocks.
    Blocks,
    /// The begun block as well.
    AndRest,
}

/// Length of the longest common prefix.
fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Run<'_> {
    /// Sends all events of the run, the last included.
    pub fn run(mut self) {
        let mut output = Output::default();
        let decoded = self
            .decode(&mut output)
            .and_then(|reason| self.kept(Keep::AndRest).map(|()| reason));
        if let Some(keeper) = self.keeper() {
            keeper.touch();
        }
        let last = match decoded {
            Ok(reason) => Event::Finished {
                reason,
                tail: output.text.finish(),
                ids: output.ids,
            },
            Err(error) => Event::Failed(error.to_string()),
        };
        // Nobody listening is no reason to fail.
        let _ = self.events.send(last);
    }

    /// A run without a listener is a cancelled one.
    fn send(&self, event: Event) {
        if self.events.send(event).is_err() {
            self.cancel.cancel();
        }
    }

    fn interruption(&self) -> Interruption {
        Interruption {
            stops: [self.cancel.clone(), self.loaded.closing.clone()],
            pause: self.request.pause.clone(),
        }
    }

    fn keeper(&self) -> Option<Keeper<'_>> {
        Keeper::new(&*self.loaded.engine, &self.loaded.ledger)
    }

    /// Puts on disk what is new in the cache.
    fn kept(&mut self, what: Keep) -> Result<(), Error> {
        let Some(keeper) = Keeper::new(&*self.loaded.engine, &self.loaded.ledger) else {
            return Ok(());
        };
        match what {
            Keep::Blocks => keeper.checkpoint(self.cache)?,
            Keep::AndRest => keeper.boundary(self.cache)?,
        }
        if let Some(text) = keeper.take_warning() {
            self.send(Event::Notice(text));
        }
        Ok(())
    }

    fn decode(&mut self, output: &mut Output) -> Result<FinishReason, Error> {
        let prompt = [&self.request.prompt[..], &self.request.given].concat();
        let Some((&last, rest)) = prompt.split_last() else {
            return Ok(FinishReason::Stop);
        };
        if self.request.prompt.len() >= self.request.context {
            return Ok(FinishReason::Context);
        }
        let budget = self.request.thinking.clone();
        let mut thinking = budget.map(|budget| Thinking::new(budget, self.request.nudges.clone()));
        let constraint = self.request.constraint.clone();
        let mut constraint =
            constraint.map(|grammar| Constraint::new(grammar, &self.request.prompt));
        let mut guard = LoopGuard::new();
        for &id in &self.request.given {
            if let Some(thinking) = &mut thinking {
                thinking.give_way(id);
            }
            output.push(id, &self.loaded.tokenizer);
            if note(id, &mut thinking, &mut constraint, &mut guard).is_break() {
                return Ok(FinishReason::Loop);
            }
        }
        if prompt.len() >= self.request.context {
            return Ok(FinishReason::Context);
        }
        let Some(usage) = self.prefill(rest)? else {
            return Ok(self
                .interruption()
                .reason()
                .unwrap_or(FinishReason::Cancelled));
        };
        let mut usage = Some(usage);
        let mut forced = std::mem::take(&mut self.request.forced).into_iter();
        let mut token = last;
        loop {
            if let Some(reason) = self.interruption().reason() {
                return Ok(reason);
            }
            if output.ids.len() >= self.request.max_tokens {
                return Ok(FinishReason::MaxTokens);
            }
            // Running the token takes one position, the sampled one another.
            if self.cache.len() + 1 >= self.request.context {
                return Ok(FinishReason::Context);
            }
            let left = (self.request.max_tokens - output.ids.len())
                .min(self.request.context - 1 - self.cache.len());
            self.listen(&mut thinking);
            let next = match forced.next() {
                Some(id) => {
                    if let Some(thinking) = &mut thinking {
                        thinking.give_way(id);
                    }
                    Next::Forced(id)
                }
                None => free(left, &mut thinking, &mut constraint),
            };
            let position = self.cache.len() + 1;
            let step = self.step(token, &next, position, &output.ids)?;
            if let Some(usage) = usage.take() {
                // The next turn starts where this prompt ended: its template
                // drops the reasoning that follows.
                if self.request.given.is_empty() {
                    self.cache.mark();
                }
                let total = usage.prefilled;
                self.send(Event::Prefill { done: total, total });
                self.send(Event::Started(usage));
                self.kept(Keep::AndRest)?;
            } else if self.cache.len().is_multiple_of(BLOCK) {
                self.kept(Keep::Blocks)?;
            }
            token = step.stats.id;
            if self.request.stop_ids.contains(&token) {
                output.ids.push(token);
                return Ok(FinishReason::Stop);
            }
            let text = output.push(token, &self.loaded.tokenizer);
            let looping = note(token, &mut thinking, &mut constraint, &mut guard);
            self.send(Event::Token(Token {
                id: token,
                text,
                position,
                logprob: step.stats.logprob,
                entropy: step.stats.entropy,
                exact_logprobs: step.stats.exact,
                top: step.stats.top,
                experts: step.routes,
                forced: matches!(next, Next::Forced(_)),
            }));
            if looping.is_break() {
                return Ok(FinishReason::Loop);
            }
        }
    }

    /// Does to the reasoning what the user wants by now.
    fn listen(&self, thinking: &mut Option<Thinking>) {
        let keys = self.request.keys.take().into_iter().flatten();
        let Some(thinking) = thinking else {
            return;
        };
        for nudge in keys.filter_map(|key| thinking.press(key)) {
            self.send(Event::Nudged(nudge));
        }
    }

    /// Brings the cache to hold exactly `tokens`: all of the prompt but its last.
    /// `None` if cancelled.
    fn prefill(&mut self, tokens: &[u32]) -> Result<Option<PromptUsage>, Error> {
        let memory = common_prefix(self.cache.tokens(), tokens);
        let mut usage = PromptUsage {
            prompt: tokens.len() + 1,
            reused: memory,
            ..PromptUsage::default()
        };
        // What follows is no part of this sequence.
        self.loaded.ledger.cut(memory);
        let known = self.known(tokens);
        match self.load(&known, tokens.len(), memory)? {
            Some(loaded) => {
                usage.reused = loaded.reused;
                usage.loaded = loaded.loaded;
                usage.replayed = loaded.replayed;
            }
            None => usage.replayed = self.loaded.engine.truncate(self.cache, memory)?,
        }
        usage.prefilled = usage.prompt - usage.reused;
        loop {
            let start = self.cache.len();
            let (end, what) = self.stop_after(start, tokens.len());
            let flow = self.prefill_part(&tokens[start..end], start - usage.reused, usage)?;
            if flow.is_break() {
                return Ok(None);
            }
            if what == Keep::AndRest {
                self.cache.mark();
            }
            self.kept(what)?;
            if end == tokens.len() {
                return Ok(Some(usage));
            }
        }
    }

    /// Where prefill pauses next, and what is to be kept there.
    fn stop_after(&self, start: usize, len: usize) -> (usize, Keep) {
        let end = match self.keeper() {
            Some(_) => Keeper::stop(start, len),
            None => len,
        };
        let boundaries = self.request.boundaries.iter().copied();
        match boundaries.filter(|at| (start + 1..=end).contains(at)).min() {
            Some(boundary) => (boundary, Keep::AndRest),
            None => (end, Keep::Blocks),
        }
    }

    /// What is looked up on disk: `tokens`, and where they end within a block, what is
    /// known of the rest of it.
    fn known(&self, tokens: &[u32]) -> Vec<u32> {
        if self.request.after.is_empty() {
            return tokens.to_vec();
        }
        let Request {
            prompt,
            given,
            after,
            ..
        } = &self.request;
        let all = prompt.iter().chain(given).chain(after);
        all.copied()
            .take(tokens.len().next_multiple_of(BLOCK))
            .collect()
    }

    /// Takes the first `wanted` of the tokens from disk, as far as they are there and
    /// not among the `memory` that the cache has.
    fn load(
        &mut self,
        tokens: &[u32],
        wanted: usize,
        memory: usize,
    ) -> Result<Option<FromDisk>, Error> {
        let loaded = self.loaded;
        let Some(keeper) = Keeper::new(&*loaded.engine, &loaded.ledger) else {
            return Ok(None);
        };
        let interruption = self.interruption();
        let stopped = || interruption.reason().is_some();
        let (found, notice) = keeper.load(self.cache, (tokens, wanted), memory, &stopped)?;
        if let Some(text) = notice {
            self.send(Event::Notice(text));
        }
        Ok(found)
    }

    /// Runs some of the prompt, `done` tokens of what has to be run being in the cache.
    fn prefill_part(
        &mut self,
        tokens: &[u32],
        done: usize,
        usage: PromptUsage,
    ) -> Result<ControlFlow<Interrupted>, Error> {
        let total = usage.prefilled;
        let interruption = self.interruption();
        let (events, cancel) = (&self.events, &self.cancel);
        let mut progress = |more, _| {
            let done = done + more;
            if events.send(Event::Prefill { done, total }).is_err() {
                cancel.cancel();
            }
            match interruption.reason() {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        };
        self.loaded
            .engine
            .prefill(self.cache, tokens, &mut progress)
    }

    fn step(
        &mut self,
        token: u32,
        next: &Next,
        position: usize,
        generated: &[u32],
    ) -> Result<Step, Error> {
        let s = &self.request.sampling;
        let (allowed, forced) = match next {
            Next::Free => (self.loaded.decodable.clone(), None),
            Next::OneOf(mask) => (Some(Arc::clone(mask)), None),
            Next::Forced(id) => (self.loaded.decodable.clone(), Some(*id)),
        };
        let penalised = s.repetition_penalty != 1.0 || s.presence_penalty != 0.0;
        let spec = SampleSpec {
            temperature: s.temperature,
            top_k: s.top_k,
            top_p: s.top_p,
            min_p: s.min_p,
            repetition_penalty: s.repetition_penalty,
            presence_penalty: s.presence_penalty,
            penalised: if penalised {
                generated.to_vec()
            } else {
                Vec::new()
            },
            seed: s.seed,
            position: position as u64,
            allowed,
            forced,
        };
        let row = StepRow {
            cache: self.cache,
            token,
            spec,
        };
        let mut steps = self.loaded.engine.step(&mut [row])?;
        steps.pop().ok_or(Error::NoResult)
    }
}

/// What may come next where the request does not say it.
fn free(left: usize, thinking: &mut Option<Thinking>, constraint: &mut Option<Constraint>) -> Next {
    match (thinking.as_mut().and_then(Thinking::forced), constraint) {
        (Some(id), _) => Next::Forced(id),
        (None, Some(constraint)) => constraint.next(left),
        (None, None) => Next::Free,
    }
}

/// What ends a run before the model does.
struct Interruption {
    stops: [Cancel; 2],
    pause: Cancel,
}

impl Interruption {
    /// Why the run is to end by now, if it is.
    fn reason(&self) -> Option<FinishReason> {
        if self.stops.iter().any(Cancel::is_cancelled) {
            return Some(FinishReason::Cancelled);
        }
        self.pause.is_cancelled().then_some(FinishReason::Steered)
    }
}

/// Takes note of a generated id; `Break` if it closes a loop.
fn note(
    id: u32,
    thinking: &mut Option<Thinking>,
    constraint: &mut Option<Constraint>,
    guard: &mut LoopGuard,
) -> ControlFlow<()> {
    if let Some(thinking) = thinking {
        thinking.push(id);
    }
    if let Some(constraint) = constraint {
        constraint.push(id);
    }
    match guard.push(id) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// What a run has produced.
#[derive(Default)]
struct Output {
    ids: Vec<u32>,
    text: Utf8Stream,
}

impl Output {
    /// The text that an id completes; stop ids complete none.
    fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> String {
        self.ids.push(id);
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        self.text.push(bytes)
    }
}
