//! The full-screen front end: the conversation on one side, the model's reasoning on
//! the other. One more reader of the agent's events: what happens becomes a new state
//! (`update`), a state becomes a frame (`view`), and both are pure; threads, terminal
//! and clock are in `driver`.

mod activity;
pub mod app;
mod branching;
pub mod composer;
pub mod driver;
pub mod event;
mod global;
pub mod help;
pub mod keys;
pub mod overlay;
mod panes;
mod progress;
mod reports;
mod speed;
mod status;
#[cfg(test)]
mod tests;
pub mod text;
pub mod theme;
pub mod trace;
pub mod transcript;
mod typed;
mod update;
pub mod view;

pub use driver::{Load, Look, Make, Place, Start, restore, run};
