//! .
pub mod debug_logits;
pub mod inspect;
