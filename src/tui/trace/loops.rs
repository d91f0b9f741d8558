//! Places where a trace repeats itself: a phrase of tokens, several times on end.

/// Longest phrase that is looked for, in tokens.
const LONGEST: usize = 64;
/// It is told when a phrase comes this often...
const TIMES: usize = 3;
/// ...and that is at least so many tokens, as a ruled line is nothing to tell.
const SHORTEST: usize = 24;
/// Places that are kept of a trace.
const MOST: usize = 256;

/// A phrase that comes several times on end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The first token, and the one after the last.
    pub from: usize,
    pub to: usize,
    /// Tokens of the phrase.
    pub phrase: usize,
}

impl Repeat {
    /// How often the phrase comes.
    pub fn times(&self) -> usize {
        (self.to - self.from) / self.phrase.max(1)
    }
}

/// Sees every token of a trace, a step of fixed cost each.
#[derive(Clone, Debug)]
pub struct Loops {
    /// The last ids, the newest at `seen - 1` modulo the length.
    recent: [u32; LONGEST],
    seen: usize,
    /// For each length of a phrase, how many tokens at the end equal the one that far
    /// before them.
    runs: [u32; LONGEST],
    found: Vec<Repeat>,
}

impl Default for Loops {
    fn default() -> Self {
        Self {
            recent: [0; LONGEST],
            seen: 0,
            runs: [0; LONGEST],
            found: Vec::new(),
        }
    }
}

impl Loops {
    pub fn push(&mut self, id: u32) {
        let mut repeats = None;
        for (phrase, run) in (1..).zip(&mut self.runs) {
            let before = self.seen.checked_sub(phrase);
            let same = before.is_some_and(|at| self.recent[at % LONGEST] == id);
            *run = if same { run.saturating_add(1) } else { 0 };
            let tokens = *run as usize + phrase;
            if repeats.is_none() && same && tokens >= SHORTEST.max(TIMES * phrase) {
                repeats = Some((phrase, tokens));
            }
        }
        self.recent[self.seen % LONGEST] = id;
        self.seen += 1;
        if let Some((phrase, tokens)) = repeats {
            self.note(phrase, tokens);
        }
    }

    /// The last `tokens` tokens repeat a phrase.
    fn note(&mut self, phrase: usize, tokens: usize) {
        let repeat = Repeat {
            from: self.seen.saturating_sub(tokens),
            to: self.seen,
            phrase,
        };
        if let Some(last) = self.found.last_mut()
            && repeat.from < last.to
        {
            last.to = repeat.to;
        } else if self.found.len() < MOST {
            self.found.push(repeat);
        }
    }

    /// Where the trace repeats itself, in order.
    pub fn found(&self) -> &[Repeat] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: impl IntoIterator<Item = u32>) -> Vec<(usize, usize, usize)> {
        let mut loops = Loops::default();
        ids.into_iter().for_each(|id| loops.push(id));
        let tell = |one: &Repeat| (one.from, one.to, one.times());
        loops.found().iter().map(tell).collect()
    }

    #[test]
    fn repeated_phrases_are_found_where_they_are() {
        let phrase = || 0..10u32;
        let text = (100..130)
            .chain(phrase())
            .chain(phrase())
            .chain(phrase())
            .chain(200..230);
        assert_eq!(found(text), [(30, 60, 3)]);
        let long = (0..64u32).cycle().take(64 * 4);
        assert_eq!(found(long), [(0, 256, 4)]);
        assert_eq!(found((0..64).chain(0..64)), []);
        assert_eq!(found(std::iter::repeat_n(7, 23)), []);
        assert_eq!(found((0..1000u32).map(|n| n * n % 997)), []);
    }
}
