//! .
pub mod debug_chat;
pub mod debug_logits;
pub mod inspect;
