//! .
pub mod inspect;
