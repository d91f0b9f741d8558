//! Slash commands: the table of them, and what those do that are no front end's own
//! matter, so that every conversation has the same ones.

mod context;
mod obey;
mod sessions;
mod table;
mod undo;

pub use obey::Obeyed;
pub use table::{Action, COMMANDS, Command, help, parse};
pub use undo::Way;
