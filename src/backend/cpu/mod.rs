//! The CPU backend in portable Rust: the default off Apple Silicon, and the reference.
