//! The reasoning pane: the tokens of an answer as a place to walk in, tinted by how
//! sure the model was of each, with what it thought of instead and the experts that it
//! took. Live and stored traces are the same here.

mod branches;
mod cells;
mod chunks;
mod compare;
mod detail;
mod draw;
mod explorer;
pub mod export;
mod fork;
mod heat;
mod lanes;
mod list;
mod loops;
mod motion;
mod numbers;
mod parts;
mod routes;
mod rows;
#[cfg(test)]
pub mod sample;
mod search;
mod shelf;
mod store;
mod stored;
mod strip;
mod vocabulary;
mod walk;

pub use branches::Branch;
pub use explorer::{Ask, Explorer, Focus, KEYS, MORE_THINKING, help};
pub use fork::With;
pub use parts::Part;
pub use shelf::TraceId;
pub use store::{Choice, Trace};
pub use stored::{AnswerRef, Stored, Wanted};
pub use vocabulary::Vocabulary;
