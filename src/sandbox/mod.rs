//! Everything that touches the user's machine on a model's behalf: the policy
//! that says what may be done, the workspace that confines file access, the
//! launcher that runs commands, and the two filters for hostile text (its size,
//! and what a terminal may see of it). `std::process` and file access for the
//! tools live here and nowhere else.

mod above;
mod argv;
mod atomic;
mod environment;
mod journal;
pub mod launch;
#[cfg(target_os = "linux")]
mod linux;
mod network;
mod policy;
mod protected;
mod relay;
mod rule;
pub mod sanitize;
#[cfg(any(test, target_os = "macos"))]
mod seatbelt;
mod secrets;
pub mod selftest;
mod signals;
mod starters;
pub mod text;
mod walk;
mod workspace;

pub use above::{own_file, repository_above};
#[cfg(target_os = "linux")]
pub use linux::launcher;
pub use network::{Destination, Destinations, Host, Network, NotANetwork};
pub use policy::{Action, Decision, Forbidden, Mode, Permission, Policy, Rules, Strength};
pub use protected::Repository;
pub use rule::{Rule, RuleError};
pub use walk::Visit;
pub(crate) use walk::{MAX_DEPTH, MAX_IGNORE_BYTES, is_ignored, parse_rules};
pub use workspace::{Entry, FileError, Listing, Workspace};
