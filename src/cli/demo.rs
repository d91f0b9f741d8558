//! The demo bundle that comes with the program.

/// Its files, by name.
pub const FILES: [(&str, &[u8]); 0] = [];

/// What it is called.
pub const NAME: &str = "demo (embedded)";
