//! Answers forked at their tokens, through the library, with the demo model: what is
//! computed, what is kept, and what becomes of files.

mod files;
mod kept;
mod tokens;
mod world;
