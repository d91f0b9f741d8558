//! Running a command for a model: confined as the policy says, with a clean
//! environment, no standard input, one pipe for both outputs, a wall-clock limit,
//! and the end of every process that it started when it ends, is stopped or takes
//! too long.

#[cfg(target_os = "linux")]
pub(super) mod descendants;
mod direct;
mod disk;
mod follow;
mod process_tree;
mod program;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::journal;
use super::policy::{Mode, Policy};
use super::protected::{self, Protected, Repository};
use super::secrets;
use super::text::{Bounded, Limit};
use super::workspace::Workspace;
use direct::Direct;
use disk::Disk;
pub use disk::Floor;
use follow::Follower;
pub use program::program;

/// How commands come to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// As children of this process, with all that it may do.
    Unconfined,
    /// By a program that is cairn, from within a confinement that it builds.
    #[cfg(target_os = "linux")]
    Confined { program: PathBuf },
    /// By the system's own, after a profile.
    #[cfg(target_os = "macos")]
    Seatbelt,
}

impl Launcher {
    /// By this program itself.
    pub fn this() -> Launcher {
        // Not by its path: there may be another version by now.
        Launcher::by("/proc/self/exe")
    }

    /// By a program that is cairn.
    pub fn by(program: impl Into<PathBuf>) -> Launcher {
        let program = program.into();
        #[cfg(target_os = "linux")]
        return Launcher::Confined { program };
        #[cfg(target_os = "macos")]
        {
            drop(program);
            Launcher::Seatbelt
        }
    }
}

/// Takes away what commands of a cairn that was killed have left in the system.
pub fn sweep() {
    #[cfg(target_os = "linux")]
    super::linux::sweep();
}

/// Takes away what commands of cairns that were killed have made in a workspace and
/// may not, before anything new runs in it. Returns the old and the new names.
///
/// # Errors
/// When the workspace can't be searched, or something can't be renamed.
pub fn recover(workspace: &Workspace) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    journal::recover(workspace)
}

/// Why a command did not run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A layer of the confinement could not be set up.
    #[error("the sandbox refused to start: {0}")]
    Refused(String),
    #[error("the command could not be started: {0}")]
    NotStarted(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Wall-clock time.
    pub time: Duration,
    /// What is kept of the output.
    pub output: Limit,
    /// Output beyond this many bytes ends the command: nobody will read it.
    pub flood: u64,
    /// Bytes of memory of all its processes; `None` for most of what is available.
    pub memory: Option<u64>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
    TimedOut(Duration),
    Cancelled,
    /// It printed more than so many bytes.
    Flooded(u64),
    /// It took more than so many bytes of memory.
    OutOfMemory(u64),
    /// It filled the disk down to the room that others need.
    DiskFull(Floor),
}

/// How often cancellation, the clock and the command are looked at.
const TICK: Duration = Duration::from_millis(10);
/// How long children may go on writing after the command's own process ended.
const GRACE: Duration = Duration::from_millis(100);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exit(code) => write!(f, "[exit {code}]"),
            End::Signal(signal) => write!(f, "[signal {signal}]"),
            End::TimedOut(limit) => write!(f, "[timed out after {} s, killed]", limit.as_secs()),
            End::Cancelled => f.write_str("[interrupted]"),
            End::Flooded(bytes) => write!(f, "[more than {bytes} bytes of output, killed]"),
            End::OutOfMemory(bytes) => {
                write!(f, "[more than {} MB of memory, killed]", bytes / 1_000_000)
            }
            End::DiskFull(floor) => write!(f, "[{floor} left on the disk, killed]"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Both outputs, in the order of writing.
    pub output: Bounded,
    pub end: End,
    /// What the command made and may not: old and new names.
    pub quarantined: Vec<(PathBuf, PathBuf)>,
}

/// What runs, and where.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub launcher: &'a Launcher,
    pub policy: &'a Policy,
    pub workspace: &'a Workspace,
    pub argv: &'a [String],
    /// Variables beside the usual ones, or in place of them.
    pub environment: &'a [(String, String)],
    pub repository: Repository,
}

impl<'a> Job<'a> {
    /// A command as any other.
    pub fn new(
        launcher: &'a Launcher,
        policy: &'a Policy,
        workspace: &'a Workspace,
        argv: &'a [String],
    ) -> Self {
        Self {
            launcher,
            policy,
            workspace,
            argv,
            environment: &[],
            repository: Repository::Protected,
        }
    }
}

/// A command on its way.
pub(super) trait Running {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// When it turns out that it was not started.
    fn look(&mut self) -> Result<Option<End>, LaunchError>;

    /// Returns when there may be something new to see, or after so long.
    fn wait(&self, most: Duration);

    /// Ends everything that it started.
    fn stop(&mut self) -> io::Result<()>;
}

/// Runs a command in the workspace's root and waits for it. `cancelled` is asked
/// every few milliseconds, and `output` gets what is printed.
///
/// # Errors
/// When it did not start.
pub fn run(
    job: Job<'_>,
    limits: &CommandLimits,
    cancelled: &dyn Fn() -> bool,
    output: &mut dyn FnMut(&[u8]),
) -> Result<Finished, LaunchError> {
    let (pipe, writer) = io::pipe()?;
    let before = match job.policy.mode() {
        Mode::Danger => None,
        _ => {
            secrets::make_own(job.workspace.root());
            Some(protected::find(job.workspace, job.repository)?)
        }
    };
    let entry = match &before {
        Some(before) => journal::begin(job.workspace, job.repository, before),
        None => None,
    };
    let confined = before.as_deref().map(|before| (before, limits.memory));
    let mut running = match start(job, confined, writer) {
        Ok(running) => running,
        Err(error) => {
            if let Some(entry) = entry {
                entry.end();
            }
            return Err(error);
        }
    };
    let mut disk = Disk::of(job.workspace);
    let mut follower = Follower::new(pipe, limits, output);
    let end = follower.follow(running.as_mut(), &mut disk, cancelled);
    running.stop()?;
    follower.drain()?;
    // However it ended.
    let quarantined = match &before {
        Some(before) => {
            let before = before.iter().map(Protected::file).collect();
            protected::quarantine(job.workspace, job.repository, &before)?
        }
        None => Vec::new(),
    };
    if let Some(entry) = entry {
        entry.end();
    }
    Ok(Finished {
        output: follower.finish(),
        end: end?,
        quarantined,
    })
}

/// What is protected, and most bytes of memory.
type Confined<'a> = (&'a [Protected], Option<u64>);

fn start(
    job: Job<'_>,
    confined: Option<Confined<'_>>,
    writer: io::PipeWriter,
) -> Result<Box<dyn Running>, LaunchError> {
    Ok(match (job.launcher, confined) {
        #[cfg(target_os = "linux")]
        (Launcher::Confined { program }, Some(confined)) => {
            Box::new(super::linux::start(program, job, confined, writer)?)
        }
        #[cfg(target_os = "macos")]
        (Launcher::Seatbelt, Some(_)) => Box::new(Direct::start_confined(job, writer)?),
        _ => Box::new(Direct::start(job, writer)?),
    })
}

#[cfg(test)]
mod tests;
