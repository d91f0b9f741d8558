//! What the machine wants done next. A driver performs it and records what came
//! of it; the machine itself touches nothing.

use super::entry::Kind;
use crate::chat::ToolCall;
use crate::tools;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nothing until the user speaks.
    Wait,
    /// Ask the model for its next answer.
    Generate { max_tokens: usize },
    /// Get a verdict on a call that writes or runs something.
    Ask {
        call: ToolCall,
        effect: tools::Effect,
    },
    /// Log the start of the call, run it, log its result.
    RunTool { call: ToolCall },
    /// Log this: the machine's own conclusion.
    Record(Kind),
}
