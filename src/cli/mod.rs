//! .
pub mod debug_logits;
