//! The traces of a session that are in memory: the live one and those that were looked
//! at, with one vocabulary for all.

use super::parts::Part;
use super::store::Trace;
use super::vocabulary::Vocabulary;
use crate::agent::Answer;
use crate::agent::session::Noted;

/// Tokens that are kept of answers that are over, some 50 MB; those of the oldest can be
/// read again.
const MOST: usize = 400_000;
/// Traces that are kept however long they are: one that is shown, and two that are
/// compared.
const FEWEST: usize = 3;

/// Names a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceId {
    /// The answer that is being written, or was last.
    Live,
    /// The answer of an entry of the log.
    Entry(u64),
}

pub struct Shelf {
    words: Vocabulary,
    live: Option<Trace>,
    /// Oldest use first.
    traces: Vec<Trace>,
    /// What is shown where there is nothing.
    empty: Trace,
    /// What answers seem to begin in.
    opening: Part,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            words: Vocabulary::default(),
            live: None,
            traces: Vec::new(),
            empty: Trace::new(Part::default()),
            opening: Part::default(),
        }
    }
}

impl Shelf {
    /// Another answer begins. One before it that never became whole is gone.
    pub fn begin(&mut self) {
        let before = self.live.replace(Trace::new(self.opening));
        if let Some(before) = before.filter(|before| before.entry().is_some()) {
            self.keep(before);
        }
    }

    /// The next token of the live answer.
    pub fn push(&mut self, noted: &Noted) {
        let live = self.live.get_or_insert_with(|| Trace::new(self.opening));
        live.push(noted, &mut self.words);
    }

    /// The live answer is whole.
    pub fn finish(&mut self, entry: u64, answer: &Answer) {
        if let Some(live) = self.live.as_mut().filter(|live| live.entry().is_none()) {
            live.finish(entry, answer);
            self.opening = live.opening();
        }
    }

    /// An answer of the log.
    pub fn add(&mut self, entry: u64, answer: &Answer, tokens: &[Noted]) {
        if self.has(TraceId::Entry(entry)) {
            return;
        }
        let trace = Trace::of(entry, answer, tokens, &mut self.words);
        if self.live.is_none() {
            self.opening = trace.opening();
        }
        self.keep(trace);
    }

    fn keep(&mut self, trace: Trace) {
        self.traces.retain(|one| one.entry() != trace.entry());
        self.traces.push(trace);
        let mut tokens: usize = self.traces.iter().map(Trace::len).sum();
        while tokens > MOST && self.traces.len() > FEWEST {
            tokens -= self.traces.remove(0).len();
        }
    }

    /// A trace is in use: others are given up before it.
    pub fn touch(&mut self, id: TraceId) {
        let is = |trace: &Trace| trace.entry().map(TraceId::Entry) == Some(id);
        if let Some(at) = self.traces.iter().position(is) {
            let trace = self.traces.remove(at);
            self.traces.push(trace);
        }
    }

    /// Whether the live answer is still being written.
    pub fn is_running(&self) -> bool {
        self.live
            .as_ref()
            .is_some_and(|live| live.entry().is_none())
    }

    pub fn live(&self) -> &Trace {
        self.live.as_ref().unwrap_or(&self.empty)
    }

    pub fn words(&self) -> &Vocabulary {
        &self.words
    }

    pub fn has(&self, id: TraceId) -> bool {
        match id {
            TraceId::Live => self.live.is_some(),
            TraceId::Entry(entry) => self.find(entry).is_some(),
        }
    }

    /// A trace; one without tokens where there is none.
    pub fn get(&self, id: TraceId) -> &Trace {
        match id {
            TraceId::Live => self.live(),
            TraceId::Entry(entry) => self.find(entry).unwrap_or(&self.empty),
        }
    }

    fn find(&self, entry: u64) -> Option<&Trace> {
        let all = self.traces.iter().chain(&self.live);
        all.into_iter().find(|trace| trace.entry() == Some(entry))
    }

    /// Memory that it has, in bytes.
    pub fn memory(&self) -> usize {
        let traces = self.traces.iter().chain(&self.live);
        traces.map(Trace::memory).sum::<usize>() + self.words.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::noted;

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            ..Answer::default()
        }
    }

    #[test]
    fn a_live_answer_is_kept_once_it_is_whole() {
        let mut shelf = Shelf::default();
        shelf.begin();
        shelf.push(&noted(0, b"a"));
        assert!(shelf.is_running());
        shelf.begin();
        shelf.push(&noted(0, b"b"));
        assert_eq!(shelf.live().part(0), Part::Thought);
        shelf.finish(5, &answer("b"));
        assert!(!shelf.is_running());
        shelf.begin();
        shelf.push(&noted(0, b"c"));
        // Answers of a session begin alike.
        assert_eq!(shelf.live().part(0), Part::Answer);
        shelf.add(3, &answer("x"), &[noted(0, b"x")]);
        shelf.add(3, &answer("y"), &[noted(0, b"y")]);
        let text = |id| shelf.get(id).text();
        assert_eq!(text(TraceId::Live), "c");
        assert_eq!(text(TraceId::Entry(5)), "b");
        assert_eq!(text(TraceId::Entry(3)), "x");
        assert_eq!(text(TraceId::Entry(9)), "");
    }

    #[test]
    fn a_token_takes_128_bytes_at_most() {
        const TOKENS: usize = 100_000;
        const VOCABULARY: u32 = 262_272;
        let mut shelf = Shelf::default();
        shelf.begin();
        let mut seed = 1u64;
        let mut draw = |below: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u32 % below
        };
        for at in 0..TOKENS {
            let mut token = noted(at, b"");
            let word = |id: u32| format!(" {:.*}", 3 + id as usize % 5, "abcdefgh").into_bytes();
            token.id = draw(VOCABULARY);
            token.bytes = word(token.id);
            for (one, bytes) in &mut token.top {
                one.id = draw(VOCABULARY);
                *bytes = word(one.id);
            }
            token.experts = (0..40).map(|_| draw(17) as u16).collect();
            shelf.push(&token);
        }
        let running = shelf.memory();
        shelf.finish(1, &answer(""));
        assert!(
            running <= 128 * TOKENS,
            "{}",
            running as f64 / TOKENS as f64
        );
        assert!(shelf.memory() <= running);
        let kept = shelf.live().noted(TOKENS - 1, shelf.words());
        assert_eq!((kept.top.len(), kept.experts.len()), (5, 40));
    }
}
