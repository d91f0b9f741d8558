//! The shortest way to a call's end where it leads through JSON: found byte by
//! byte, by what the grammar allows.

use llguidance::Matcher;

use crate::chat::Place;

use super::{Compiled, Grammar, fork};

/// Bytes of a way through JSON: every list and object in it has to be closed.
const MAX_BYTES: usize = 16 << 10;
/// What ends a value soonest, the best first: within a string, and elsewhere.
const IN_STRING: [u8; 3] = *b"\n\"0";
const ELSEWHERE: [u8; 5] = *b"\n]}\"0";
const END_OF_VALUE: &[u8] = b"</parameter>\n";

impl Grammar {
    /// The tokens that complete the call from `place`, the one that closes it
    /// included. `None` if there are none.
    pub(super) fn way(&self, compiled: &Compiled, place: &Place) -> Option<Vec<u32>> {
        let json = |begun: &[u8]| through_json(fork(&self.bytes), begun);
        let bytes = place.completion(&self.form, json)?;
        let mut tokens = compiled.vocabulary.tokens(&bytes)?;
        tokens.push(self.close);
        Some(tokens)
    }
}

/// What completes the value at the end of `begun`, and its parameter.
fn through_json(mut matcher: Matcher, begun: &[u8]) -> Option<Vec<u8>> {
    let ids: Vec<u32> = begun.iter().map(|&byte| byte.into()).collect();
    matcher.consume_tokens(&ids).ok()?;
    let mut text = begun.to_vec();
    // JSON has no line break here: what follows the last one is the value.
    let value = begun
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut quotes = Quotes::Outside;
    value.iter().for_each(|&byte| quotes.push(byte));
    while !text.ends_with(END_OF_VALUE) {
        let mask = matcher.compute_mask().ok()?;
        let allowed = |byte: &u8| mask.is_allowed(u32::from(*byte));
        let preferred: &[u8] = match quotes {
            Quotes::Outside => &ELSEWHERE,
            Quotes::Inside | Quotes::Escape => &IN_STRING,
        };
        let preferred = preferred.iter().copied().find(allowed);
        let byte = preferred.or_else(|| (0..=u8::MAX).find(|byte| allowed(byte)))?;
        matcher.consume_token(byte.into()).ok()?;
        text.push(byte);
        quotes.push(byte);
        if text.len() > begun.len() + MAX_BYTES {
            return None;
        }
    }
    Some(text.split_off(begun.len()))
}

/// Where in JSON's strings a byte is.
#[derive(Clone, Copy)]
enum Quotes {
    Outside,
    Inside,
    /// Behind a backslash.
    Escape,
}

impl Quotes {
    fn push(&mut self, byte: u8) {
        *self = match (*self, byte) {
            (Self::Outside, b'"') | (Self::Escape, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escape,
            (other, _) => other,
        }
    }
}
