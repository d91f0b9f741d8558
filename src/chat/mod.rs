//! Conversations as text: messages to a prompt by the bundle's own template,
//! model output to reasoning, text and tool calls. Nothing that a user or a
//! tool says becomes a control token, and no markup reaches visible text.

mod bounds;
mod content;
mod error;
mod event;
mod grammar;
mod literal;
mod markers;
mod marks;
mod message;
mod owners;
mod parser;
mod prompt;
mod python;
mod reasoning;
mod schema;
mod template;
mod visible;
mod zaya_xml;

pub use error::Error;
pub use event::{ChatEvent, coalesce};
pub use grammar::{CallForm, Place, Plain};
pub use markers::{CALL, CALL_CLOSE, MarkerIds, THINK, THINK_CLOSE};
pub use message::{Message, Role, ToolCall, ToolSpec, name_calls};
pub use owners::{Owned, Owner, Parts};
pub use parser::{Parser, ParserOptions};
pub use prompt::{GenerationPrompt, Prompt, RenderOptions, Renderer, Thinking};
pub use reasoning::Start;
pub use template::Template;
