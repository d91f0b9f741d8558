//! Bytes of tokens to text, without ever showing half a character.

/// Collects bytes and gives back whole characters.
#[derive(Default)]
pub struct Utf8Stream {
    /// The beginning of a character that may still be completed.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Text completed by `bytes`. Bytes that can't be part of any character
    /// become U+FFFD at once.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left of an incomplete character, as U+FFFD.
    pub fn finish(&mut self) -> String {
        let tail = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        tail
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Utf8Stream;

    proptest! {
        #[test]
        fn any_split_gives_the_text_that_the_whole_gives(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            text in ".{0,20}",
            cuts in proptest::collection::vec(1usize..5, 0..40),
        ) {
            let whole = [text.as_bytes(), &bytes].concat();
            let mut stream = Utf8Stream::default();
            let mut out = String::new();
            let mut rest = whole.as_slice();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                out.push_str(&stream.push(head));
                rest = tail;
            }
            out.push_str(&stream.push(rest));
            out.push_str(&stream.finish());
            prop_assert_eq!(out, String::from_utf8_lossy(&whole));
        }
    }

    #[test]
    fn holds_back_only_what_may_still_become_a_character() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(b"a\xf0\x9f"), "a");
        assert_eq!(stream.push(b"\x98"), "");
        assert_eq!(stream.push(b"\x80b"), "\u{1f600}b");
        assert_eq!(stream.push(b"\xff"), "\u{fffd}");
        assert_eq!(stream.push(b"\xe2\x82"), "");
        assert_eq!(stream.finish(), "\u{fffd}");
    }
}
