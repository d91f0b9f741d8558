//! A trace: the tokens of one answer with what the model thought of each, as columns.
//! 128 bytes a token at most, alternatives and routes included, so that a long session
//! stays in memory whole.

use half::f16;

use super::chunks::Chunks;
use super::loops::{Loops, Repeat};
use super::parts::{Change, Part, Parts};
use super::routes::Routes;
use super::vocabulary::Vocabulary;
use crate::agent::Answer;
use crate::agent::session::Noted;
use crate::backend::Alternative;
use crate::generate::Utf8Stream;

/// Alternatives that are kept of a token.
pub const ALTERNATIVES: usize = 5;
/// Bytes by which the text grows.
const STEP: usize = 16 << 10;

const EXACT: u8 = 1;
const FORCED: u8 = 2;
/// Two bits for the part, three for the number of alternatives.
const PART: u8 = 2;
const COUNT: u8 = 4;

/// An alternative to a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub id: u32,
    /// Nats, to three digits.
    pub logprob: f32,
}

pub struct Trace {
    entry: Option<u64>,
    /// What all tokens say, whole characters only, as the model wrote it: hostile.
    text: String,
    ends: Chunks<u32>,
    ids: Chunks<u32>,
    logprobs: Chunks<f32>,
    entropies: Chunks<f32>,
    millis: Chunks<u32>,
    flags: Chunks<u8>,
    alternatives: Chunks<u32>,
    chances: Chunks<f16>,
    routes: Routes,
    /// Positions count on from the last of these at or before a token.
    positions: Vec<(usize, u32)>,
    utf8: Utf8Stream,
    parts: Parts,
    loops: Loops,
}

impl Trace {
    /// A trace without tokens, of an answer that seems to begin in `opening`.
    pub fn new(opening: Part) -> Self {
        Self {
            entry: None,
            text: String::new(),
            ends: Chunks::new(1),
            ids: Chunks::new(1),
            logprobs: Chunks::new(1),
            entropies: Chunks::new(1),
            millis: Chunks::new(1),
            flags: Chunks::new(1),
            alternatives: Chunks::new(ALTERNATIVES),
            chances: Chunks::new(ALTERNATIVES),
            routes: Routes::default(),
            positions: Vec::new(),
            utf8: Utf8Stream::default(),
            parts: Parts::new(opening),
            loops: Loops::default(),
        }
    }

    /// A whole answer.
    pub fn of(entry: u64, answer: &Answer, tokens: &[Noted], words: &mut Vocabulary) -> Self {
        let mut trace = Self::new(Part::default());
        for noted in tokens {
            trace.push(noted, words);
        }
        trace.finish(entry, answer);
        trace
    }

    /// The next token. Its bytes, and those of its alternatives, are kept in `words`.
    pub fn push(&mut self, noted: &Noted, words: &mut Vocabulary) {
        let at = self.len();
        words.note(noted.id, &noted.bytes);
        let text = self.utf8.push(&noted.bytes);
        self.append(&text);
        let (part, changes) = self.parts.push(&noted.bytes);
        let top = &noted.top[..noted.top.len().min(ALTERNATIVES)];
        for (one, bytes) in top {
            words.note(one.id, bytes);
        }
        let exact = if noted.exact_logprobs { EXACT } else { 0 };
        let forced = if noted.forced { FORCED } else { 0 };
        let flags = exact | forced | (part as u8) << PART | (top.len() as u8) << COUNT;
        self.ends.push([self.text.len() as u32], 0);
        self.ids.push([noted.id], 0);
        self.logprobs.push([noted.logprob], 0.0);
        self.entropies.push([noted.entropy], 0.0);
        self.millis.push([noted.millis], 0);
        self.flags.push([flags], 0);
        self.alternatives.push(top.iter().map(|(one, _)| one.id), 0);
        let chances = top.iter().map(|(one, _)| f16::from_f32(one.logprob));
        self.chances.push(chances, f16::ZERO);
        self.routes.push(&noted.experts);
        if self.position(at) != noted.position {
            self.positions.push((at, noted.position));
        }
        self.loops.push(noted.id);
        for change in changes {
            self.change(change);
        }
    }

    /// The answer is whole and lies in the session's log as `entry`.
    pub fn finish(&mut self, entry: u64, answer: &Answer) {
        self.entry = Some(entry);
        let tail = self.utf8.finish();
        self.append(&tail);
        let last = self.len().saturating_sub(1);
        if let Some(end) = self.ends.get_mut(last) {
            *end = self.text.len() as u32;
        }
        let text = self.token_text(last).to_owned();
        let changes = self.parts.settle(answer, &text);
        for change in changes {
            self.change(change);
        }
        self.text.shrink_to_fit();
        self.positions.shrink_to_fit();
        self.ends.seal();
        self.ids.seal();
        self.logprobs.seal();
        self.entropies.seal();
        self.millis.seal();
        self.flags.seal();
        self.alternatives.seal();
        self.chances.seal();
        self.routes.seal();
    }

    fn append(&mut self, text: &str) {
        if self.text.capacity() - self.text.len() < text.len() {
            self.text.reserve_exact(text.len().next_multiple_of(STEP));
        }
        self.text.push_str(text);
    }

    fn change(&mut self, change: Change) {
        for at in change.from..change.to {
            if let Some(flags) = self.flags.get_mut(at) {
                *flags = *flags & !(3 << PART) | (change.part as u8) << PART;
            }
        }
    }

    /// The log's entry of the answer, once it is whole.
    pub fn entry(&self) -> Option<u64> {
        self.entry
    }

    /// Tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the answer began in.
    pub fn opening(&self) -> Part {
        self.parts.opening()
    }

    /// What all tokens say: hostile.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a token's text begins in the whole.
    pub fn start(&self, token: usize) -> usize {
        let before = token
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        before.map_or(0, |end| end as usize).min(self.text.len())
    }

    /// Where it ends.
    pub fn end(&self, token: usize) -> usize {
        self.start(token + 1).max(self.start(token))
    }

    /// What a token says: hostile, and empty where it is part of a character.
    pub fn token_text(&self, token: usize) -> &str {
        let text = self.text.get(self.start(token)..self.end(token));
        text.unwrap_or_default()
    }

    /// The token that a byte of the text belongs to; the number of tokens at the end.
    pub fn token_at(&self, byte: usize) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.end(middle) <= byte {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    pub fn id(&self, token: usize) -> u32 {
        self.ids.get(token).unwrap_or_default()
    }

    /// Nats.
    pub fn logprob(&self, token: usize) -> f32 {
        self.logprobs.get(token).unwrap_or_default()
    }

    /// Nats.
    pub fn entropy(&self, token: usize) -> f32 {
        self.entropies.get(token).unwrap_or_default()
    }

    /// Milliseconds since the answer began.
    pub fn millis(&self, token: usize) -> u32 {
        self.millis.get(token).unwrap_or_default()
    }

    /// Absolute, in the sequence.
    pub fn position(&self, token: usize) -> u32 {
        let after = self.positions.partition_point(|(at, _)| *at <= token);
        let last = after.checked_sub(1).and_then(|at| self.positions.get(at));
        let (at, position) = last.copied().unwrap_or_default();
        position.saturating_add(u32::try_from(token - at).unwrap_or(u32::MAX))
    }

    /// Whether its numbers are exact, not partly estimated.
    pub fn is_exact(&self, token: usize) -> bool {
        self.flags(token) & EXACT != 0
    }

    /// Whether it was put there rather than sampled.
    pub fn is_forced(&self, token: usize) -> bool {
        self.flags(token) & FORCED != 0
    }

    pub fn part(&self, token: usize) -> Part {
        Part::ALL[usize::from(self.flags(token) >> PART & 3)]
    }

    /// The most likely ids, best first.
    pub fn choices(&self, token: usize) -> Vec<Choice> {
        let ids = self.alternatives.row(token).iter();
        let chances = self.chances.row(token);
        let all = ids.zip(chances).map(|(&id, chance)| Choice {
            id,
            logprob: chance.to_f32(),
        });
        all.take(usize::from(self.flags(token) >> COUNT)).collect()
    }

    /// The experts of each layer, for every token.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Where it repeats itself.
    pub fn repeats(&self) -> &[Repeat] {
        self.loops.found()
    }

    /// A token as the session keeps it, but for the digits of alternatives.
    pub fn noted(&self, token: usize, words: &Vocabulary) -> Noted {
        let id = self.id(token);
        let top = self.choices(token).into_iter().map(|one| {
            let Choice { id, logprob } = one;
            (Alternative { id, logprob }, words.bytes(id).to_vec())
        });
        Noted {
            id,
            bytes: words.bytes(id).to_vec(),
            position: self.position(token),
            logprob: self.logprob(token),
            entropy: self.entropy(token),
            exact_logprobs: self.is_exact(token),
            forced: self.is_forced(token),
            millis: self.millis(token),
            top: top.collect(),
            experts: self.routes.of(token).collect(),
        }
    }

    /// Memory that it has, in bytes, without the vocabulary.
    pub fn memory(&self) -> usize {
        let columns = [
            self.ends.bytes(),
            self.ids.bytes(),
            self.logprobs.bytes(),
            self.entropies.bytes(),
            self.millis.bytes(),
            self.flags.bytes(),
            self.alternatives.bytes(),
            self.chances.bytes(),
            self.routes.bytes(),
        ];
        let positions = self.positions.capacity() * size_of::<(usize, u32)>();
        columns.iter().sum::<usize>() + self.text.capacity() + positions + size_of::<Self>()
    }

    fn flags(&self, token: usize) -> u8 {
        self.flags.get(token).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::trace::sample::{noted, token, trace_of};

    proptest! {
        #[test]
        fn what_is_kept_is_what_came(tokens in proptest::collection::vec(token(), 0..40)) {
            let bytes: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
            let (mut trace, words) = trace_of(&bytes);
            trace.finish(3, &Answer::default());
            let whole = bytes.concat();
            prop_assert_eq!(trace.text(), String::from_utf8_lossy(&whole));
            let pieces: String = (0..trace.len()).map(|at| trace.token_text(at)).collect();
            prop_assert_eq!(trace.text(), pieces);
            for (at, bytes) in bytes.iter().enumerate() {
                let mut expected = noted(at, bytes);
                for (one, _) in &mut expected.top {
                    one.logprob = f16::from_f32(one.logprob).to_f32();
                }
                // Ids of the sample are hashes: two may share one.
                let is_first = |other: &&[u8]| noted(0, other).id == expected.id;
                expected.bytes = bytes_of(&tokens, is_first);
                expected.top[0].1 = expected.bytes.clone();
                prop_assert_eq!(trace.noted(at, &words), expected);
                if trace.start(at) < trace.end(at) {
                    prop_assert_eq!(trace.token_at(trace.start(at)), at);
                    prop_assert_eq!(trace.token_at(trace.end(at) - 1), at);
                }
            }
        }
    }

    fn bytes_of(tokens: &[Vec<u8>], is: impl Fn(&&[u8]) -> bool) -> Vec<u8> {
        let mut all = tokens.iter().map(Vec::as_slice);
        all.find(is).map_or(Vec::new(), <[u8]>::to_vec)
    }

    #[test]
    fn positions_may_jump() {
        let mut words = Vocabulary::default();
        let mut trace = Trace::new(Part::Thought);
        let positions = [7, 8, 9, 30, 31, 5];
        for (at, position) in positions.into_iter().enumerate() {
            let mut one = noted(at, b"a");
            one.position = position;
            trace.push(&one, &mut words);
        }
        let kept: Vec<u32> = (0..6).map(|at| trace.position(at)).collect();
        assert_eq!(kept, positions);
        assert_eq!(trace.positions.len(), 3);
    }
}
