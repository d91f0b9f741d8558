//! The bundle's tokenizer: text to ids, ids to bytes, and which tokens are
//! control tokens.

/// A token that steers the model: special tokens and protocol markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlToken {
    pub id: u32,
    pub text: String,
}

pub struct Tokenizer {
    _private: (),
}

impl Tokenizer {
    /// Parses a `tokenizer.json`.
    pub fn from_json(_json: &[u8]) -> Result<Self, String> {
        todo!()
    }

    /// Token ids of `text`. Control tokens spelled out in it are recognised,
    /// so `text` must be the program's own; nothing is added at either end.
    pub fn encode(&self, _text: &str) -> Vec<u32> {
        todo!()
    }

    /// The bytes that `id` stands for in the text; `None` for an id without a
    /// token. May be part of a UTF-8 sequence.
    pub fn token_bytes(&self, _id: u32) -> Option<&[u8]> {
        todo!()
    }

    /// The id of the token that is exactly `text`.
    pub fn id_of(&self, _text: &str) -> Option<u32> {
        todo!()
    }

    pub fn is_control(&self, _id: u32) -> bool {
        todo!()
    }

    /// Every control token: those flagged special, and the protocol markers
    /// (think, tool call, tool response, function, parameter, turn markers).
    pub fn control_tokens(&self) -> &[ControlToken] {
        todo!()
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        todo!()
    }
}
