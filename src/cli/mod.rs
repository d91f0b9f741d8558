//! .
pub mod debug_logits;
pub mod debug_chat;
pub mod inspect;
