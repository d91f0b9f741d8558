//! cairn: a terminal coding assistant that runs its own model.
//!
//! The modules are floors: each imports only from those declared above it here
//! (`tests/floors.rs` checks it). `ARCHITECTURE.md` says what each one is for.

pub mod agent;
pub mod backend;
pub mod batch;
pub mod bundle;
pub mod cache;
pub mod chat;
pub mod cli;
pub mod generate;
pub mod model;
pub mod quant;
pub mod repl;
pub mod sandbox;
pub mod tools;
