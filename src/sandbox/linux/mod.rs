//! Confinement on Linux. cairn starts itself once more, under a hidden name, as the
//! launcher of one command: it builds the namespaces, the view of files, the limits
//! and the filters from the inside, and then becomes the command. What fails stops
//! it: there is no command with a part of the confinement.

mod calls;
pub(super) mod cgroup;
mod degraded;
mod grants;
mod handover;
mod identity;
mod launcher;
mod mounts;
mod paths;
pub(super) mod plan;
mod prepare;
mod privileges;
pub(super) mod probe;
mod probe_calls;
mod process;
pub(super) mod processes;
mod sockets;
mod spawn;
mod usage;
mod view;

pub(super) use cgroup::{Means, sweep};
pub use launcher::launcher;
pub(super) use launcher::wait_for_orphans;
pub(super) use paths::version as landlock_version;
pub(super) use prepare::group_limits;
pub(super) use spawn::start;

/// The name under which this program is the launcher.
const NAME: &str = "cairn-launcher";
