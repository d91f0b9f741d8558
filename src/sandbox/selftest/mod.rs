//! Whether the sandbox holds on this machine: a command is run as any other, which
//! is cairn itself and tries a way out for each layer. What counts is what came of
//! it, here and on the host's side.

#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod scene;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

/// What is known of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Holds,
    /// It holds, and less than elsewhere.
    Weak,
    Fails,
    /// There was nothing to try, or nothing could be.
    Untried,
}

/// One layer, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub name: &'static str,
    pub status: Status,
    /// One line, of this program and of the system: names in it are not sanitised.
    pub detail: String,
}

/// Tries every layer; takes about a second. Leaves nothing behind.
pub fn run() -> Vec<Layer> {
    system::run()
}
