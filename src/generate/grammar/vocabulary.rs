//! The bundle's vocabulary as a trie of bytes.

use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, SimpleVob, TokEnv, TokRxInfo, TokTrie};

use crate::backend::TokenMask;
use crate::bundle::Tokenizer;

/// Control tokens that a call is made of, where they are single tokens.
const FORMAT: [&str; 4] = ["<function=", "</function>", "<parameter=", "</parameter>"];

pub(super) struct Vocabulary {
    pub env: TokEnv,
    /// Of `FORMAT`, those that are no part of a value.
    outside_values: Vec<u32>,
    /// Tokens that end a tag and begin another.
    crossing: Vec<u32>,
}

impl Vocabulary {
    /// Ids without bytes, those that stop a run and control tokens can't be part of a call, but for
    /// those of its own format. `close` stands for the end of the input.
    pub fn new(tokenizer: &Tokenizer, stop_ids: &[u32], close: u32) -> Self {
        let format: Vec<u32> = FORMAT
            .iter()
            .filter_map(|text| tokenizer.id_of(text))
            .collect();
        let elsewhere =
            |id: u32| stop_ids.contains(&id) || tokenizer.is_control(id) && !format.contains(&id);
        let words: Vec<Vec<u8>> = (0..tokenizer.vocab_size() as u32)
            .map(|id| match elsewhere(id) {
                true => Vec::new(),
                false => tokenizer.token_bytes(id).unwrap_or_default().to_vec(),
            })
            .collect();
        let crosses = |word: &[u8]| {
            let end = word.iter().position(|&byte| byte == b'>');
            end.is_some_and(|end| word[end..].contains(&b'<'))
        };
        let crossing = (0u32..).zip(&words).filter(|(_, word)| crosses(word));
        let crossing = crossing.map(|(id, _)| id).collect();
        let last = tokenizer.id_of(FORMAT[3]);
        Self {
            env: env(&words, close),
            outside_values: format.into_iter().filter(|&id| Some(id) != last).collect(),
            crossing,
        }
    }

    /// Tokens that spell `bytes`, longest first; `None` if none do. What is left
    /// of them after one is what the rest of the bytes would give.
    pub fn tokens(&self, bytes: &[u8]) -> Option<Vec<u32>> {
        let trie = self.env.tok_trie();
        let tokens = trie.greedy_tokenize(bytes);
        let spelled: usize = tokens.iter().map(|&id| trie.token_len(id)).sum();
        (spelled == bytes.len()).then_some(tokens)
    }

    /// What may be sampled within a value, of what the grammar allows.
    pub fn without_format(&self, mask: &mut SimpleVob) {
        self.outside_values
            .iter()
            .for_each(|&id| mask.disallow_token(id));
    }

    /// Nothing that begins the next tag as well.
    pub fn without_crossing(&self, mask: &mut SimpleVob) {
        self.crossing.iter().for_each(|&id| mask.disallow_token(id));
    }
}

pub(super) fn as_mask(bits: &SimpleVob) -> TokenMask {
    let words = bits.as_slice().chunks(2);
    let words =
        words.map(|pair| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32);
    TokenMask::from_bits(words.collect())
}

/// Every byte a token, and one more for the end.
pub(super) fn bytes() -> TokEnv {
    let words: Vec<Vec<u8>> = (0..=u8::MAX)
        .map(|byte| vec![byte])
        .chain([Vec::new()])
        .collect();
    env(&words, 256)
}

fn env(words: &[Vec<u8>], end: u32) -> TokEnv {
    let info = TokRxInfo::new(words.len() as u32, end);
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, words)))
}
