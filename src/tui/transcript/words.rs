//! Counting words of a text that comes in pieces.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub count: usize,
    within: bool,
}

impl Words {
    pub fn of(text: &str) -> Self {
        let mut words = Self::default();
        words.push(text);
        words
    }

    pub fn push(&mut self, text: &str) {
        for c in text.chars() {
            let within = !c.is_whitespace();
            self.count += usize::from(within && !self.within);
            self.within = within;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_count_like_the_whole() {
        let mut words = Words::default();
        for piece in ["on", "e two", " ", "\nthree", " "] {
            words.push(piece);
        }
        assert_eq!(words, Words::of("one two  three "));
        assert_eq!(words.count, 3);
    }
}
