//! What the parser makes of a model's output.

use super::ToolCall;

/// Reasoning and text come in pieces; how they are cut means nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    Reasoning(String),
    Text(String),
    ToolCall(ToolCall),
    /// Something that was meant as a call and can't be read as one. `reason`
    /// is written for the model; `raw` is the (possibly shortened) markup.
    Malformed {
        raw: String,
        reason: String,
    },
}

/// Merges adjacent pieces of reasoning and of text.
pub fn coalesce(events: impl IntoIterator<Item = ChatEvent>) -> Vec<ChatEvent> {
    let mut merged: Vec<ChatEvent> = Vec::new();
    for event in events {
        match (merged.last_mut(), event) {
            (Some(ChatEvent::Reasoning(all)), ChatEvent::Reasoning(piece))
            | (Some(ChatEvent::Text(all)), ChatEvent::Text(piece)) => all.push_str(&piece),
            (_, event) => merged.push(event),
        }
    }
    merged
}
