//! The markers of reasoning and tool calls: as text, and as the bundle's tokens.

use super::zaya_xml;
use crate::bundle::Tokenizer;

/// Opens reasoning.
pub const THINK: &str = "<think>";
/// Closes reasoning.
pub const THINK_CLOSE: &str = "</think>";
/// Opens a tool call.
pub const CALL: &str = "<zyphra_tool_call>";
/// Closes a tool call.
pub const CALL_CLOSE: &str = "</zyphra_tool_call>";

/// Never visible: consumed as markup or, where they mean nothing, stripped.
pub(super) const HIDDEN: [&str; 6] = [
    THINK,
    THINK_CLOSE,
    CALL,
    CALL_CLOSE,
    zaya_xml::FUNCTION_CLOSE,
    zaya_xml::PARAMETER_CLOSE,
];
/// What of these can occur in reasoning as markup.
pub(super) const HIDDEN_IN_REASONING: [&str; 4] = [THINK, THINK_CLOSE, CALL, CALL_CLOSE];
pub(super) const LONGEST: usize = CALL_CLOSE.len();

/// Ids of the markers that are single tokens of the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkerIds {
    pub think: Option<u32>,
    pub think_close: Option<u32>,
    pub call: Option<u32>,
    pub call_close: Option<u32>,
}

impl MarkerIds {
    /// As `tokenizer` has them.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        Self {
            think: tokenizer.id_of(THINK),
            think_close: tokenizer.id_of(THINK_CLOSE),
            call: tokenizer.id_of(CALL),
            call_close: tokenizer.id_of(CALL_CLOSE),
        }
    }

    pub(super) fn text_of(&self, id: u32) -> Option<&'static str> {
        let all = [
            (self.think, THINK),
            (self.think_close, THINK_CLOSE),
            (self.call, CALL),
            (self.call_close, CALL_CLOSE),
        ];
        all.iter().find(|(i, _)| *i == Some(id)).map(|(_, t)| *t)
    }

    /// Whether the characters of `tag` are decided by text.
    pub(super) fn spelled(&self, tag: &str) -> bool {
        match tag {
            THINK => self.think.is_none(),
            THINK_CLOSE => self.think_close.is_none(),
            CALL => self.call.is_none(),
            CALL_CLOSE => self.call_close.is_none(),
            _ => true,
        }
    }
}
