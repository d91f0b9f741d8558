//! cairn: a terminal coding assistant that runs its own model.
//!
//! The modules are floors, lowest first: each imports only from those declared
//! above it here (`tests/floors.rs` checks it). `ARCHITECTURE.md` says what each
//! one is for. The blank lines keep rustfmt from sorting them by name.

pub mod quant;

pub mod bundle;

pub mod backend;

pub mod cache;

pub mod model;

pub mod chat;

pub mod generate;

pub mod sandbox;

pub mod config;

pub mod undo;

pub mod tools;

pub mod agent;

pub mod batch;

pub mod repl;

pub mod tui;

pub mod cli;
