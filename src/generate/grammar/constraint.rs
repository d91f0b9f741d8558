//! What may come next in one run: a function of the ids so far and of how many
//! may still come.

use std::sync::{Arc, PoisonError};

use llguidance::Matcher;

use super::vocabulary::as_mask;
use super::{Compiled, Grammar, KEPT_MASKS, TEXT_SLACK, fork};
use crate::backend::TokenMask;
use crate::chat::Place;

/// What the next token may be.
#[derive(Clone, Debug)]
pub enum Next {
    Free,
    OneOf(Arc<TokenMask>),
    Forced(u32),
}

/// Follows the calls of one run.
pub struct Constraint {
    grammar: Arc<Grammar>,
    call: Option<Call>,
    /// Masks that were computed.
    #[cfg(test)]
    pub computed: usize,
}

struct Call {
    /// Set while the call is what the grammar allows.
    matcher: Option<Matcher>,
    place: Place,
    /// Tokens of the value so far.
    value_tokens: usize,
}

impl Constraint {
    /// At the end of `prompt`, which may have opened a call as its last token.
    pub fn new(grammar: Arc<Grammar>, prompt: &[u32]) -> Self {
        let mut constraint = Self {
            grammar,
            call: None,
            #[cfg(test)]
            computed: 0,
        };
        if let Some(&last) = prompt.last() {
            constraint.push(last);
        }
        constraint
    }

    /// Takes note of the next id, however it came about.
    pub fn push(&mut self, id: u32) {
        let grammar = &self.grammar;
        let Some(call) = &mut self.call else {
            if id == grammar.open {
                self.call = Call::new(grammar);
            }
            return;
        };
        if id == grammar.close {
            self.call = None;
            return;
        }
        if let Err(why) = call.push(grammar, id) {
            tracing::warn!("a tool call is no longer constrained: {why}");
            call.matcher = None;
        }
    }

    /// What may come next, when `left` tokens may still come, that one included.
    pub fn next(&mut self, left: usize) -> Next {
        let Some(call) = &mut self.call else {
            return Next::Free;
        };
        let Ok(compiled) = self.grammar.compiled() else {
            return Next::Free;
        };
        #[cfg(test)]
        {
            self.computed += 1;
        }
        call.next(&self.grammar, compiled, left)
    }
}

/// How close the end of the run is.
#[derive(Clone, Copy, PartialEq)]
enum Room {
    Enough,
    /// For what is begun, but for nothing more.
    Scarce,
}

impl Call {
    fn new(grammar: &Grammar) -> Option<Self> {
        let matcher = match grammar.compiled() {
            Ok(compiled) => fork(&compiled.matcher),
            Err(why) => {
                tracing::warn!("tool calls can't be constrained: {why}");
                return None;
            }
        };
        Some(Self {
            matcher: Some(matcher),
            place: Place::default(),
            value_tokens: 0,
        })
    }

    fn push(&mut self, grammar: &Grammar, id: u32) -> Result<(), String> {
        let Some(matcher) = &mut self.matcher else {
            return Ok(());
        };
        matcher
            .consume_token(id)
            .map_err(|error| error.to_string())?;
        let bytes = grammar.tokenizer.token_bytes(id).unwrap_or_default();
        let before = self.place.in_value();
        self.place.push(&grammar.form, bytes);
        self.value_tokens = match before && self.place.in_value() {
            true => self.value_tokens + 1,
            false => 0,
        };
        Ok(())
    }

    fn next(&mut self, grammar: &Grammar, compiled: &Compiled, left: usize) -> Next {
        if self.matcher.is_none() {
            return Next::Free;
        }
        if self.place.in_value()
            && self.value_tokens >= grammar.value_tokens
            && let Some(way) = grammar.way(compiled, &self.place)
        {
            return Next::Forced(way[0]);
        }
        let mut room = Room::Enough;
        // What nests in a value has to be closed.
        let nested = match self.place.in_text(&grammar.form) {
            true => 0,
            false => self.place.value().len(),
        };
        if left <= compiled.longest + nested
            && let Some(way) = grammar.way(compiled, &self.place)
            // If it can't be completed, it may as well go on.
            && way.len() <= left
        {
            let slack = match self.place.in_text(&grammar.form) {
                true => TEXT_SLACK,
                false => compiled.slack,
            };
            if way.len() + slack >= left {
                return Next::Forced(way[0]);
            }
            if way.len() + compiled.slack >= left {
                room = Room::Scarce;
            }
        }
        match self.mask(grammar, compiled, room) {
            Ok(mask) => Next::OneOf(mask),
            Err(why) => {
                tracing::warn!("a tool call is no longer constrained: {why}");
                self.matcher = None;
                Next::Free
            }
        }
    }

    /// Where nothing is pending in a text, the mask is that of the last time.
    fn mask(
        &mut self,
        grammar: &Grammar,
        compiled: &Compiled,
        room: Room,
    ) -> Result<Arc<TokenMask>, String> {
        let plain = self
            .place
            .plain(&grammar.form)
            .filter(|_| room == Room::Enough);
        let kept = || {
            compiled
                .masks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(plain) = &plain
            && let Some(mask) = kept().get(plain)
        {
            return Ok(Arc::clone(mask));
        }
        let matcher = self.matcher.as_mut().ok_or("there is no matcher")?;
        let mut bits = matcher
            .compute_mask_or_eos()
            .map_err(|error| error.to_string())?;
        if self.place.in_value() {
            compiled.vocabulary.without_format(&mut bits);
            if room == Room::Scarce {
                compiled.vocabulary.without_crossing(&mut bits);
            }
        }
        let mask = Arc::new(as_mask(&bits));
        if let Some(plain) = plain {
            let mut kept = kept();
            if kept.len() < KEPT_MASKS {
                kept.insert(plain, Arc::clone(&mask));
            }
        }
        Ok(mask)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
