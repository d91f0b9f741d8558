//! One answer's tokens on their way to the session's side file, and those that
//! are there already of an answer that was cut off.

use super::event::{Event, Front};
use super::session::{Begin, Noted, Partial, Span, Trace, now};
use crate::bundle::Tokenizer;
use crate::cache::disk::BLOCK;
use crate::generate::{Nudge, Token, Utf8Stream};

pub(super) struct Notes<'a> {
    trace: &'a mut Trace,
    /// Tokens that are known already, and what the user did to the reasoning in them.
    known: Vec<Noted>,
    nudges: Vec<Nudge>,
    /// Tokens of the prompt.
    prompt: usize,
    /// Why tokens are not kept.
    failed: Option<String>,
}

impl<'a> Notes<'a> {
    /// An answer after the entry `head`, which begins with the tokens `kept`. What was
    /// cut off is gone on with if it follows from the same prompt and choices, which
    /// `key` names.
    pub fn begin(
        trace: &'a mut Trace,
        head: Option<u64>,
        key: u64,
        prompt: &[u32],
        kept: &[Noted],
    ) -> Self {
        let partial = trace.take_partial();
        let partial: Option<Partial> = partial.filter(|partial| partial.begin.key == key);
        let begun = match &partial {
            Some(partial) => {
                trace.go_on(partial);
                Ok(())
            }
            None => trace.begin(Begin {
                after: head.unwrap_or(0),
                key,
                prompt: u32::try_from(prompt.len()).unwrap_or(u32::MAX),
                at: now(),
            }),
        };
        let (mut known, nudges) =
            partial.map_or_else(Default::default, |partial| (partial.tokens, partial.nudges));
        if let Some(more) = kept.get(known.len()..) {
            trace.keep(more);
            known.extend_from_slice(more);
        }
        let failed = begun.and_then(|()| trace.flush(usize::MAX)).err();
        Self {
            trace,
            known,
            nudges,
            prompt: prompt.len(),
            failed: failed.map(|error| error.to_string()),
        }
    }

    /// The tokens that are known already, and what the user did to the reasoning.
    pub fn given(&mut self, tokenizer: &Tokenizer) -> (Vec<Token>, Vec<Nudge>) {
        let mut text = Utf8Stream::default();
        let noted = std::mem::take(&mut self.known);
        let nudges = std::mem::take(&mut self.nudges);
        let token = |noted: &Noted| {
            let bytes = tokenizer.token_bytes(noted.id).unwrap_or_default();
            noted.token(bytes, &mut text)
        };
        (noted.iter().map(token).collect(), nudges)
    }

    /// Keeps what the user does to the reasoning; it is written with the token that it
    /// is for.
    pub fn nudge(&mut self, nudge: Nudge) {
        self.trace.push_nudge(nudge, self.prompt + nudge.at);
    }

    /// Keeps a token. `durable` tokens of the sequence are in the cache on disk: what
    /// is a block or more beyond them is held back, so that an answer that was cut off
    /// goes on after running at most a block again.
    pub fn token(&mut self, token: &Token, tokenizer: &Tokenizer, durable: usize) {
        self.trace.push(token, tokenizer);
        // The token at a position is the sequence's next one.
        let written = self.trace.flush(durable.saturating_add(BLOCK - 1));
        self.note(written.err());
    }

    /// The answer is whole: where its tokens are. A line for the user if they are
    /// not.
    pub fn finish(mut self, front: &mut dyn Front) -> Option<Span> {
        let span = match self.trace.finish() {
            Ok(span) => span,
            Err(error) => {
                self.note(Some(error));
                None
            }
        };
        if let Some(why) = self.failed.filter(|_| self.trace.is_news()) {
            front.event(&Event::Notice {
                text: format!("the answer's tokens can't be kept, only its text is: {why}"),
            });
        }
        span
    }

    fn note(&mut self, error: Option<std::io::Error>) {
        if let (None, Some(error)) = (&self.failed, error) {
            self.failed = Some(error.to_string());
        }
    }
}
