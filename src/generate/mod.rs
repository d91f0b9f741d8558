//! The decode loop on its own thread: a prompt in, a stream of tokens out. It
//! owns the engine and the conversation's cache, reuses the longest common
//! prefix, and can be cancelled at every token and prefill chunk. Tool calls are
//! sampled within a grammar.

mod grammar;
mod keep;
mod loops;
mod nudge;
mod request;
mod run;
mod thinking;
mod thread;
mod utf8;

#[cfg(test)]
mod given_tests;
#[cfg(test)]
mod keep_tests;
#[cfg(test)]
mod tests;

pub use grammar::{Constraint, Grammar, Next};
pub use nudge::{Nudge, ThinkingKey, ThinkingKeys};
pub use request::{
    Cancel, Event, FinishReason, PromptUsage, Request, Sampling, ThinkingBudget, Token,
};
pub use thread::Generator;
pub use utf8::Utf8Stream;
