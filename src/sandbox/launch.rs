//! Running a shell command for a model: its own session, a clean environment,
//! no standard input, one pipe for both outputs, a wall-clock limit, and the end
//! of every process that it started when it ends, is stopped or takes too long.
//! There is no confinement yet beyond that: a command runs after a yes.

use std::fmt;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::environment;
use super::process_tree::{MARKER, ProcessTree};
use super::text::{Bounded, Clip, Limit};
use super::workspace::Workspace;

/// How often cancellation, the clock and the leader are looked at.
const TICK: Duration = Duration::from_millis(10);
/// How long children may go on writing after the command's own process ended.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Wall-clock time.
    pub time: Duration,
    /// What is kept of the output.
    pub output: Limit,
    /// Output beyond this many bytes ends the command: nobody will read it.
    pub flood: u64,
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
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exit(code) => write!(f, "[exit {code}]"),
            End::Signal(signal) => write!(f, "[signal {signal}]"),
            End::TimedOut(limit) => write!(f, "[timed out after {} s, killed]", limit.as_secs()),
            End::Cancelled => f.write_str("[interrupted]"),
            End::Flooded(bytes) => write!(f, "[more than {bytes} bytes of output, killed]"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Both outputs, in the order of writing.
    pub output: Bounded,
    pub end: End,
}

/// Runs `sh -c command` in the workspace's root and waits for it. `cancelled`
/// is asked every few milliseconds. An error means that it did not start.
pub fn run(
    workspace: &Workspace,
    command: &str,
    limits: &CommandLimits,
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Finished> {
    let (mut pipe, writer) = io::pipe()?;
    let marker = ProcessTree::new_marker();
    let mut child = spawn(workspace, command, &marker, writer)?;
    let tree = ProcessTree::new(Pid::from_child(&child), marker);
    let mut clip = Clip::new(limits.output);
    let stopped = follow(&mut pipe, &tree, &mut clip, limits, cancelled);
    // The leader is not reaped yet, so its id still names this tree and no other.
    tree.kill();
    let rest = drain(&mut pipe, &mut clip);
    let status = child.wait()?;
    let stopped = stopped?;
    rest?;
    Ok(Finished {
        output: clip.finish(),
        end: stopped.unwrap_or_else(|| end_of(status)),
    })
}

fn spawn(
    workspace: &Workspace,
    command: &str,
    marker: &str,
    writer: io::PipeWriter,
) -> io::Result<Child> {
    let folder = workspace.handle().try_clone_to_owned()?;
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(command)
        .env_clear()
        .envs(environment::clean(std::env::vars_os()))
        .env("PWD", workspace.root())
        .env(MARKER, marker)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    // SAFETY: the closure runs between fork and exec, where only calls that are
    // async-signal-safe may be made: setsid, fchdir and prctl are plain system
    // calls, and nothing in it allocates, locks or unwinds.
    unsafe {
        shell.pre_exec(move || {
            rustix::process::setsid()?;
            // By handle, so that a workspace renamed meanwhile is still the one meant.
            rustix::process::fchdir(&folder)?;
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            Ok(())
        });
    }
    // `shell` holds ends of the pipe for writing; it goes with this function.
    shell.spawn()
}

/// Reads output until the command is over; says why if it has to be stopped.
fn follow(
    pipe: &mut PipeReader,
    tree: &ProcessTree,
    clip: &mut Clip,
    limits: &CommandLimits,
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Option<End>> {
    let started = Instant::now();
    let mut open = true;
    let mut exited: Option<Instant> = None;
    loop {
        if open {
            open = read_some(pipe, clip, TICK)? != Progress::Closed;
        } else {
            std::thread::sleep(TICK / 10);
        }
        if exited.is_none() && has_exited(tree.leader())? {
            exited = Some(Instant::now());
        }
        if exited.is_some_and(|at| !open || at.elapsed() > GRACE) {
            return Ok(None);
        }
        if cancelled() {
            return Ok(Some(End::Cancelled));
        }
        if started.elapsed() > limits.time {
            return Ok(Some(End::TimedOut(limits.time)));
        }
        if clip.total() > limits.flood {
            return Ok(Some(End::Flooded(limits.flood)));
        }
    }
}

/// What was written before the end is still in the pipe.
fn drain(pipe: &mut PipeReader, clip: &mut Clip) -> io::Result<()> {
    let until = Instant::now() + GRACE;
    while Instant::now() < until && read_some(pipe, clip, TICK)? != Progress::Closed {}
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Progress {
    Waiting,
    Read,
    Closed,
}

fn read_some(pipe: &mut PipeReader, clip: &mut Clip, wait: Duration) -> io::Result<Progress> {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: wait.subsec_nanos().into(),
    };
    let ready = {
        let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        }
    };
    if ready == 0 {
        return Ok(Progress::Waiting);
    }
    let mut chunk = [0u8; 64 * 1024];
    match pipe.read(&mut chunk) {
        Ok(0) => Ok(Progress::Closed),
        Ok(read) => {
            clip.push(&chunk[..read]);
            Ok(Progress::Read)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Progress::Waiting),
        Err(error) => Err(error),
    }
}

/// Looks without reaping.
fn has_exited(leader: Pid) -> io::Result<bool> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(leader), look) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
