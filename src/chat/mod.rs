//! Conversations as text: messages to a prompt by the bundle's own template,
//! model output to reasoning, text and tool calls. Nothing that a user or a
//! tool says becomes a control token, and no markup reaches visible text.

mod content;
mod message;

pub use message::{Message, Role, ToolCall, ToolSpec};
