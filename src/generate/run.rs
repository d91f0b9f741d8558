//! One run: reuse what the cache holds, prefill the rest, decode until
//! something ends it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::grammar::{Constraint, Next};
use super::loops::LoopGuard;
use super::thinking::Thinking;
use super::utf8::Utf8Stream;
use super::{Cancel, Event, FinishReason, PromptUsage, Request, Token};
use crate::backend::{SampleSpec, TokenMask};
use crate::bundle::Tokenizer;
use crate::model::{Cache, Engine, Error, Step, StepRow};

/// What every run of a generator works with.
pub(super) struct Loaded {
    pub engine: Box<dyn Engine>,
    pub tokenizer: Arc<Tokenizer>,
    /// Ids that stand for text; `None` if all do.
    pub decodable: Option<Arc<TokenMask>>,
    /// Set when the generator goes away.
    pub closing: Cancel,
}

pub(super) struct Run<'a> {
    pub loaded: &'a Loaded,
    pub cache: &'a mut Cache,
    pub request: Request,
    pub cancel: Cancel,
    pub events: Sender<Event>,
}

/// Length of the longest common prefix.
fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Run<'_> {
    /// Sends all events of the run, the last included.
    pub fn run(mut self) {
        let mut output = Output::default();
        let last = match self.decode(&mut output) {
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

    fn stopped(&self) -> bool {
        self.cancel.is_cancelled() || self.loaded.closing.is_cancelled()
    }

    fn decode(&mut self, output: &mut Output) -> Result<FinishReason, Error> {
        let Some((&last, rest)) = self.request.prompt.split_last() else {
            return Ok(FinishReason::Stop);
        };
        if self.request.prompt.len() >= self.request.context {
            return Ok(FinishReason::Context);
        }
        let rest = rest.to_vec();
        let Some(usage) = self.prefill(&rest)? else {
            return Ok(FinishReason::Cancelled);
        };
        let mut thinking = self.request.thinking.clone().map(Thinking::new);
        let constraint = self.request.constraint.clone();
        let mut constraint = constraint.map(|grammar| Constraint::new(grammar, &[last]));
        let mut guard = LoopGuard::new();
        let mut token = last;
        loop {
            if self.stopped() {
                return Ok(FinishReason::Cancelled);
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
            let next = match (
                thinking.as_mut().and_then(Thinking::forced),
                &mut constraint,
            ) {
                (Some(id), _) => Next::Forced(id),
                (None, Some(constraint)) => constraint.next(left),
                (None, None) => Next::Free,
            };
            let position = self.cache.len() + 1;
            let step = self.step(token, &next, position, &output.ids)?;
            if output.ids.is_empty() {
                // The next turn starts where this prompt ended: its template
                // drops the reasoning that follows.
                self.cache.mark();
                let total = usage.prefilled;
                self.send(Event::Prefill { done: total, total });
                self.send(Event::Started(usage));
            }
            token = step.stats.id;
            output.ids.push(token);
            if self.request.stop_ids.contains(&token) {
                return Ok(FinishReason::Stop);
            }
            if let Some(thinking) = &mut thinking {
                thinking.push(token);
            }
            if let Some(constraint) = &mut constraint {
                constraint.push(token);
            }
            let bytes = self.loaded.tokenizer.token_bytes(token).unwrap_or_default();
            self.send(Event::Token(Token {
                id: token,
                text: output.text.push(bytes),
                position,
                logprob: step.stats.logprob,
                entropy: step.stats.entropy,
                exact_logprobs: step.stats.exact,
                top: step.stats.top,
                experts: step.routes,
                forced: matches!(next, Next::Forced(_)),
            }));
            if guard.push(token) {
                return Ok(FinishReason::Loop);
            }
        }
    }

    /// Brings the cache to hold exactly `tokens`: all of the prompt but its last.
    /// `None` if cancelled.
    fn prefill(&mut self, tokens: &[u32]) -> Result<Option<PromptUsage>, Error> {
        let engine = &self.loaded.engine;
        let reused = common_prefix(self.cache.tokens(), tokens);
        let replayed = engine.truncate(self.cache, reused)?;
        let total = tokens.len() - reused + 1;
        let (events, cancel, closing) = (&self.events, &self.cancel, &self.loaded.closing);
        let mut progress = |done, _| {
            if events.send(Event::Prefill { done, total }).is_err() {
                cancel.cancel();
            }
            if cancel.is_cancelled() || closing.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let flow = engine.prefill(self.cache, &tokens[reused..], &mut progress)?;
        let usage = PromptUsage {
            prompt: tokens.len() + 1,
            reused,
            prefilled: total,
            replayed,
        };
        Ok(flow.is_continue().then_some(usage))
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

/// What a run has produced.
#[derive(Default)]
struct Output {
    ids: Vec<u32>,
    text: Utf8Stream,
}
