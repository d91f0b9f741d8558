//! .
pub mod debug_chat;
pub mod inspect;
