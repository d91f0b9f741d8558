//! The bundle's tokenizer: text to ids, ids to bytes, and which tokens are
//! control tokens. Encoding is the `tokenizers` crate's; the file is taken
//! apart here, because that crate's own reader needs many times the file's
//! room and would apply truncation and padding settings.

mod bytes;
mod parse;
mod pattern;

use tokenizers::models::bpe::BPE;
use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::guard;
use bytes::TokenBytes;

type Inner = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A token that steers the model: special tokens and protocol markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlToken {
    pub id: u32,
    pub text: String,
}

pub struct Tokenizer {
    inner: Inner,
    bytes: TokenBytes,
    /// Sorted by id.
    control: Vec<ControlToken>,
}

/// Markers of the chat and tool protocols; each is a control token where the
/// vocabulary has it as one token, whether or not it is flagged special.
const MARKERS: [&str; 20] = [
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<zyphra_tool_call>",
    "</zyphra_tool_call>",
    "<zyphra_tool_response>",
    "</zyphra_tool_response>",
    "<function=",
    "<function>",
    "</function>",
    "<parameter=",
    "<parameter>",
    "</parameter>",
    "<parameters>",
    "</parameters>",
    "<tools>",
    "</tools>",
    "<bos>",
    "<eos>",
];

impl Tokenizer {
    /// Parses a `tokenizer.json`. The error is part of a line, without the
    /// file's name.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        guard::catch("the tokenizer", || Self::build(json))?
    }

    fn build(json: &[u8]) -> Result<Self, String> {
        let parts = parse::tokenizer(json)?;
        let bytes = TokenBytes::new(&parts)?;
        let mut control: Vec<(u32, String)> = parts
            .added
            .iter()
            .filter(|token| token.special)
            .map(|token| (token.id, token.content.clone()))
            .collect();
        let inner = parts.build()?;
        for marker in MARKERS {
            if let Some(id) = inner.token_to_id(marker) {
                control.push((id, marker.to_owned()));
            }
        }
        control.sort_unstable();
        control.dedup();
        let control = control
            .into_iter()
            .map(|(id, text)| ControlToken { id, text })
            .collect();
        Ok(Self {
            inner,
            bytes,
            control,
        })
    }

    /// Token ids of `text`. Control tokens spelled out in it are recognised,
    /// so `text` must be the program's own; nothing is added at either end.
    /// Text that the vocabulary can't express is left out.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.try_encode(text).unwrap_or_else(|| {
            // The library gave up on the whole; single characters never touch
            // its pattern matcher or merges.
            let mut buffer = [0; 4];
            text.chars()
                .flat_map(|c| {
                    self.try_encode(c.encode_utf8(&mut buffer))
                        .unwrap_or_default()
                })
                .collect()
        })
    }

    fn try_encode(&self, text: &str) -> Option<Vec<u32>> {
        let encode = || self.inner.encode_fast(text, false);
        let encoding = guard::catch("the tokenizer", encode).ok()?.ok()?;
        Some(encoding.get_ids().to_vec())
    }

    /// The ids of [`Tokenizer::encode`] and the byte of `text` that each begins at.
    pub fn encode_with_starts(&self, text: &str) -> (Vec<u32>, Vec<usize>) {
        let ids = self.encode(text);
        let mut at = 0;
        let mut starts: Vec<usize> = ids
            .iter()
            .map(|id| {
                let start = at;
                at += self.token_bytes(*id).map_or(0, <[u8]>::len);
                start
            })
            .collect();
        // Text that was normalised, or left out.
        if at != text.len()
            && let Some(offsets) = self.offsets(text)
            && offsets.len() == ids.len()
        {
            starts = offsets;
        }
        (ids, starts)
    }

    fn offsets(&self, text: &str) -> Option<Vec<usize>> {
        let encode = || self.inner.encode(text, false);
        let encoding = guard::catch("the tokenizer", encode).ok()?.ok()?;
        Some(
            encoding
                .get_offsets()
                .iter()
                .map(|(from, _)| *from)
                .collect(),
        )
    }

    /// The bytes that `id` stands for in the text; `None` for an id without a
    /// token. May be part of a UTF-8 sequence.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.bytes.get(id)
    }

    /// The id of the token that is exactly `text`.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    pub fn is_control(&self, id: u32) -> bool {
        self.control.binary_search_by_key(&id, |c| c.id).is_ok()
    }

    /// Every control token, by id: those flagged special, and the protocol
    /// markers (think, tool call, tool response, function, parameter, turn).
    pub fn control_tokens(&self) -> &[ControlToken] {
        &self.control
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests;
