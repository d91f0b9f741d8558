//! The records of a session's side file, packed: little-endian numbers, texts
//! with their lengths before them.

use crate::backend::Alternative;
use crate::bundle::Tokenizer;
use crate::generate::{Nudge, ThinkingKey, Token, Utf8Stream};

/// Bytes of a token's text that are kept, and alternatives of a token.
const MAX_TEXT: usize = 255;
const MAX_ALTERNATIVES: usize = 16;
/// Layers whose experts are kept.
const MAX_LAYERS: usize = 4096;

const BEGIN: u8 = 1;
const TOKEN: u8 = 2;
const NUDGE: u8 = 3;
const CLOSE: u8 = 1;
const MORE: u8 = 2;
const EXACT: u8 = 1;
const FORCED: u8 = 2;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    Begin(Begin),
    Token(Noted),
    /// Comes before the token that it is for.
    Nudge(Nudge),
}

/// An answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The entry it follows.
    pub after: u64,
    /// Names what its tokens follow from: prompt, sampling, seed.
    pub key: u64,
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    pub id: u32,
    pub bytes: Vec<u8>,
    /// Absolute position in the sequence.
    pub position: u32,
    /// Nats, as in [`Token`].
    pub logprob: f32,
    pub entropy: f32,
    pub exact_logprobs: bool,
    pub forced: bool,
    /// Milliseconds since the answer began.
    pub millis: u32,
    /// The most likely ids, their bytes and log-probabilities, best first.
    pub top: Vec<(Alternative, Vec<u8>)>,
    /// The expert of each layer; the number of experts means "skipped".
    pub experts: Vec<u16>,
}

impl Noted {
    /// A token that was generated `millis` milliseconds after its answer began.
    pub fn of(token: &Token, millis: u32, tokenizer: &Tokenizer) -> Self {
        let bytes = |id| {
            let bytes = tokenizer.token_bytes(id).unwrap_or_default();
            bytes[..bytes.len().min(MAX_TEXT)].to_vec()
        };
        let top = token.top.iter().take(MAX_ALTERNATIVES);
        Self {
            id: token.id,
            bytes: bytes(token.id),
            position: u32::try_from(token.position).unwrap_or(u32::MAX),
            logprob: token.logprob,
            entropy: token.entropy,
            exact_logprobs: token.exact_logprobs,
            forced: token.forced,
            millis,
            top: top.map(|one| (*one, bytes(one.id))).collect(),
            experts: token.experts.iter().take(MAX_LAYERS).copied().collect(),
        }
    }

    /// As the generator gave it, after those whose bytes went through `text`.
    pub fn token(&self, bytes: &[u8], text: &mut Utf8Stream) -> Token {
        Token {
            id: self.id,
            text: text.push(bytes),
            position: self.position as usize,
            logprob: self.logprob,
            entropy: self.entropy,
            exact_logprobs: self.exact_logprobs,
            top: self.top.iter().map(|(one, _)| *one).collect(),
            experts: self.experts.clone(),
            forced: self.forced,
        }
    }
}

impl Record {
    /// At most some 13 KB.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Begin(begin) => {
                out.push(BEGIN);
                out.extend(begin.after.to_le_bytes());
                out.extend(begin.key.to_le_bytes());
                out.extend(begin.prompt.to_le_bytes());
                out.extend(begin.at.to_le_bytes());
            }
            Self::Token(token) => {
                out.push(TOKEN);
                let exact = if token.exact_logprobs { EXACT } else { 0 };
                let forced = if token.forced { FORCED } else { 0 };
                out.push(exact | forced);
                out.extend(token.id.to_le_bytes());
                out.extend(token.position.to_le_bytes());
                out.extend(token.logprob.to_le_bytes());
                out.extend(token.entropy.to_le_bytes());
                out.extend(token.millis.to_le_bytes());
                text(&token.bytes, &mut out);
                out.push(token.top.len() as u8);
                for (one, bytes) in &token.top {
                    out.extend(one.id.to_le_bytes());
                    out.extend(one.logprob.to_le_bytes());
                    text(bytes, &mut out);
                }
                // Nearly always there are fewer experts than a byte can count.
                let wide = token.experts.iter().any(|&expert| expert > 255);
                out.push(u8::from(wide));
                out.extend((token.experts.len() as u16).to_le_bytes());
                for &expert in &token.experts {
                    let [low, high] = expert.to_le_bytes();
                    out.push(low);
                    if wide {
                        out.push(high);
                    }
                }
            }
            Self::Nudge(Nudge { at, what }) => {
                out.push(NUDGE);
                out.extend((*at as u64).to_le_bytes());
                match what {
                    ThinkingKey::Close => out.push(CLOSE),
                    ThinkingKey::More(tokens) => {
                        out.push(MORE);
                        out.extend((*tokens as u64).to_le_bytes());
                    }
                }
            }
        }
        out
    }

    /// `None` for what was not packed here.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let record = match from.byte()? {
            BEGIN => Self::Begin(Begin {
                after: u64::from_le_bytes(from.take()?),
                key: u64::from_le_bytes(from.take()?),
                prompt: u32::from_le_bytes(from.take()?),
                at: u64::from_le_bytes(from.take()?),
            }),
            TOKEN => {
                let flags = from.byte()?;
                Self::Token(Noted {
                    exact_logprobs: flags & EXACT != 0,
                    forced: flags & FORCED != 0,
                    id: from.number()?,
                    position: from.number()?,
                    logprob: f32::from_bits(from.number()?),
                    entropy: f32::from_bits(from.number()?),
                    millis: from.number()?,
                    bytes: from.text()?,
                    top: from.alternatives()?,
                    experts: from.experts()?,
                })
            }
            NUDGE => Self::Nudge(Nudge {
                at: from.count()?,
                what: match from.byte()? {
                    CLOSE => ThinkingKey::Close,
                    MORE => ThinkingKey::More(from.count()?),
                    _ => return None,
                },
            }),
            _ => return None,
        };
        from.0.is_empty().then_some(record)
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(bytes.len() as u8);
    out.extend(bytes);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take()?)).ok()
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let len = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(text.to_vec())
    }

    fn alternatives(&mut self) -> Option<Vec<(Alternative, Vec<u8>)>> {
        let count = self.byte()?;
        (0..count)
            .map(|_| {
                let id = self.number()?;
                let logprob = f32::from_bits(self.number()?);
                Some((Alternative { id, logprob }, self.text()?))
            })
            .collect()
    }

    fn experts(&mut self) -> Option<Vec<u16>> {
        let wide = self.byte()? != 0;
        let count = u16::from_le_bytes(self.take()?);
        (0..count)
            .map(|_| match wide {
                true => self.take().map(u16::from_le_bytes),
                false => self.byte().map(u16::from),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noted() -> impl Strategy<Value = Noted> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..=MAX_TEXT);
        let one = (any::<u32>(), -50.0f32..0.0, bytes());
        let top = proptest::collection::vec(one, 0..=5);
        let experts = proptest::collection::vec(any::<u16>(), 0..80);
        let numbers = (any::<u32>(), any::<u32>(), any::<u32>());
        (numbers, bytes(), any::<(bool, bool)>(), top, experts).prop_map(
            |((id, position, millis), bytes, (exact_logprobs, forced), top, experts)| Noted {
                id,
                bytes,
                position,
                logprob: -1.25,
                entropy: 0.5,
                exact_logprobs,
                forced,
                millis,
                top: top
                    .into_iter()
                    .map(|(id, logprob, bytes)| (Alternative { id, logprob }, bytes))
                    .collect(),
                experts,
            },
        )
    }

    fn record() -> impl Strategy<Value = Record> {
        let what = prop_oneof![
            Just(ThinkingKey::Close),
            any::<usize>().prop_map(ThinkingKey::More)
        ];
        let nudge = (any::<usize>(), what).prop_map(|(at, what)| Nudge { at, what });
        prop_oneof![
            noted().prop_map(Record::Token),
            nudge.prop_map(Record::Nudge)
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(record in record(), cut in any::<prop::sample::Index>()) {
            let packed = record.pack();
            prop_assert_eq!(Record::unpack(&packed), Some(record));
            prop_assert_eq!(Record::unpack(&packed[..cut.index(packed.len())]), None);
        }

        #[test]
        fn nothing_that_is_read_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::unpack(&bytes);
        }
    }
}
