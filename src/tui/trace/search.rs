//! Search within a trace's text. Small letters find large ones, too.

/// Places that are kept.
const MOST: usize = 100_000;

/// What is looked for, and where it is.
#[derive(Clone, Debug, Default)]
pub struct Search {
    query: String,
    /// Where each begins, in order; they don't overlap.
    found: Vec<u32>,
    /// Bytes of the text that were looked at.
    seen: usize,
}

impl Search {
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Looks for something else.
    pub fn set(&mut self, query: String, text: &str) {
        *self = Self {
            query,
            ..Self::default()
        };
        self.look(text);
    }

    /// Looks at what is new of the text.
    pub fn look(&mut self, text: &str) {
        if text.len() < self.seen {
            self.found.clear();
            self.seen = 0;
        }
        let query = self.query.as_bytes();
        let bytes = text.as_bytes();
        if query.is_empty() || bytes.len() < query.len() {
            return;
        }
        let ignore_case = !self.query.contains(char::is_uppercase);
        let is_same = |at: usize| match ignore_case {
            true => bytes[at..at + query.len()].eq_ignore_ascii_case(query),
            false => &bytes[at..at + query.len()] == query,
        };
        let last_end = self.found.last().map_or(0, |at| *at as usize + query.len());
        let mut at = self.seen.saturating_sub(query.len() - 1).max(last_end);
        while at + query.len() <= bytes.len() && self.found.len() < MOST {
            match is_same(at) {
                true => {
                    self.found.push(at as u32);
                    at += query.len();
                }
                false => at += 1,
            }
        }
        self.seen = bytes.len();
    }

    /// Places, in order.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The first place after a byte, or from the beginning; which of all it is.
    pub fn next(&self, byte: usize) -> Option<(usize, usize)> {
        let at = self.found.partition_point(|from| *from as usize <= byte);
        let at = if at < self.found.len() { at } else { 0 };
        self.found.get(at).map(|from| (at, *from as usize))
    }

    /// The last place before a byte, or from the end.
    pub fn previous(&self, byte: usize) -> Option<(usize, usize)> {
        let at = self.found.partition_point(|from| (*from as usize) < byte);
        let at = at.checked_sub(1).or(self.found.len().checked_sub(1))?;
        self.found.get(at).map(|from| (at, *from as usize))
    }

    /// Whether a byte of the text belongs to what was found.
    pub fn covers(&self, byte: usize) -> bool {
        let after = self.found.partition_point(|from| *from as usize <= byte);
        let before = after.checked_sub(1).and_then(|at| self.found.get(at));
        before.is_some_and(|from| byte < *from as usize + self.query.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_as_the_text_grows() {
        let text = "Aa aaa\nÄ aA";
        let mut search = Search::default();
        search.set("aa".into(), &text[..4]);
        for end in [5, 6, 7, text.len()] {
            search.look(&text[..end]);
        }
        let mut whole = Search::default();
        whole.set("aa".into(), text);
        assert_eq!((&search.found, search.count()), (&whole.found, 3));
        assert_eq!(whole.found, [0, 3, 10]);
        assert_eq!(
            (whole.next(0), whole.next(10)),
            (Some((1, 3)), Some((0, 0)))
        );
        assert_eq!(
            (whole.previous(3), whole.previous(0)),
            (Some((0, 0)), Some((2, 10)))
        );
        assert_eq!(
            [2, 3, 4, 5].map(|at| whole.covers(at)),
            [false, true, true, false]
        );
        whole.set("A".into(), text);
        assert_eq!(whole.found, [0, 11]);
        whole.set(String::new(), text);
        assert_eq!((whole.count(), whole.next(0)), (0, None));
    }
}
