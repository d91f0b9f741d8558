//! .
pub mod debug_chat;
