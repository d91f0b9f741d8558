//! The full-screen front end: the conversation on one side, the model's reasoning on
//! the other. One more reader of the agent's events: what happens becomes a new state
//! (`update`), a state becomes a frame (`view`), and both are pure; threads, terminal
//! and clock are in `driver`.

pub mod composer;
pub mod keys;
pub mod overlay;
pub mod text;
pub mod theme;
pub mod transcript;
pub mod trace;
