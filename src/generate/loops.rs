//! A guard against phrase loops: small quantised models can fall into repeating
//! one phrase until the context is full.

/// Longest phrase looked for, in tokens.
const LONGEST_PHRASE: usize = 64;
/// A loop is this many repetitions of a phrase...
const REPETITIONS: usize = 6;
/// ...that are together at least this long: a ruled line or a table of zeros is
/// not a loop.
const SHORTEST_LOOP: usize = 200;

/// Sees every token; counts, for each phrase length, how long the text has been
/// repeating with that period.
pub(super) struct LoopGuard {
    ids: Vec<u32>,
    /// `runs[p - 1]`: tokens at the end that equal the one `p` before them.
    runs: [usize; LONGEST_PHRASE],
}

impl LoopGuard {
    pub fn new() -> Self {
        Self {
            ids: Vec::new(),
            runs: [0; LONGEST_PHRASE],
        }
    }

    /// Whether the text now ends in a loop.
    pub fn push(&mut self, id: u32) -> bool {
        let mut looping = false;
        for (period, run) in (1..).zip(&mut self.runs) {
            let before = self.ids.len().checked_sub(period).map(|at| self.ids[at]);
            *run = if before == Some(id) { *run + 1 } else { 0 };
            looping |= *run + period >= SHORTEST_LOOP.max(REPETITIONS * period);
        }
        self.ids.push(id);
        looping
    }
}

#[cfg(test)]
mod tests {
    use super::LoopGuard;

    fn stops_after(ids: impl Iterator<Item = u32>) -> Option<usize> {
        let mut guard = LoopGuard::new();
        ids.take(3000)
            .position(|id| guard.push(id))
            .map(|at| at + 1)
    }

    #[test]
    fn loops_of_any_phrase_length_are_found() {
        assert_eq!(stops_after(std::iter::repeat(4)), Some(200));
        assert_eq!(stops_after((0..10).cycle()), Some(200));
        assert_eq!(stops_after((0..64).cycle()), Some(384));
        assert_eq!(stops_after((100..150).chain((0..10).cycle())), Some(250));
    }

    #[test]
    fn long_and_varied_text_is_not_a_loop() {
        assert_eq!(stops_after((0..65).cycle()), None);
        // The same sentence with a different number in it each time.
        assert_eq!(
            stops_after((0..3000).map(|i| if i % 20 == 7 { 1000 + i } else { i % 20 })),
            None
        );
        assert_eq!(stops_after(std::iter::repeat_n(7, 150)), None);
    }
}
