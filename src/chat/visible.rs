//! What is shown, looked at as a whole: taking a tag out can join what was around
//! it into another one, and that one must not show either.

use super::markers::LONGEST;

/// Text that was shown so far, as far as it matters.
pub(super) struct Shown {
    /// Tags that must not show. All end in `>`.
    hidden: &'static [&'static str],
    tail: String,
}

impl Shown {
    pub(super) fn new(hidden: &'static [&'static str]) -> Self {
        Self {
            hidden,
            tail: String::new(),
        }
    }

    /// `text` as it is to be shown next: a tag that it would complete loses
    /// its `>`.
    pub(super) fn add(&mut self, text: &str) -> String {
        let known = self.tail.len();
        self.tail.reserve(text.len());
        for c in text.chars() {
            self.tail.push(c);
            if c == '>' && self.hidden.iter().any(|tag| self.tail.ends_with(tag)) {
                self.tail.pop();
            }
        }
        let text = self.tail[known..].to_owned();
        let keep = floor(&self.tail, self.tail.len().saturating_sub(LONGEST));
        self.tail.drain(..keep);
        text
    }

    pub(super) fn ends_line(&self) -> bool {
        self.tail.ends_with('\n')
    }
}

/// The nearest character boundary at or after `at`.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// The nearest character boundary at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
