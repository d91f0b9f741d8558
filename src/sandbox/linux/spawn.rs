//! The launcher as cairn sees it: a process to start and to end, and a socket to
//! talk over. Closing the socket ends everything that the command started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::Group;
use super::plan::{Layer, Report, send};
use super::{NAME, handover, prepare, usage};
use crate::sandbox::Strength;
use crate::sandbox::launch::{End, Job, LaunchError, Running};
use crate::sandbox::network::Network;
use crate::sandbox::protected::Protected;
use crate::sandbox::relay::Relay;

/// How long a launcher may take to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// It has to find what is left of a command, one by one.
const DEGRADED_PATIENCE: Duration = Duration::from_secs(30);

/// Nobody else chooses it.
const WAY_OUT: &str = "; --sandbox-degraded does without namespaces and holds less";

/// How often memory is counted where the system does not do it.
const COUNTED: Duration = Duration::from_millis(100);

struct Launched {
    process: Child,
    /// `None` once everything was told to end.
    socket: Option<UnixStream>,
    /// `None` where the system has none for this user.
    group: Option<Group>,
    memory: u64,
    counted: Instant,
    network: Network,
    strength: Strength,
    relay: Option<Relay>,
}

/// Starts `program`, which is cairn itself, as the launcher of a command that
/// writes to `output`.
pub fn start(
    program: &Path,
    job: Job<'_>,
    (protected, memory): (&[Protected], Option<u64>),
    output: io::PipeWriter,
) -> Result<impl Running + use<>, LaunchError> {
    prepare::check(job.policy).map_err(LaunchError::Refused)?;
    let plan = prepare::plan(job, protected)?;
    let (ours, theirs) = UnixStream::pair()?;
    let process = Command::new(program)
        .arg0(NAME)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::from(output.try_clone()?))
        .stderr(Stdio::from(output))
        .spawn()
        .map_err(|error| LaunchError::Refused(format!("its launcher: {error}")))?;
    // Before it has the plan it starts nothing.
    let limits = prepare::group_limits(memory);
    let group = Group::new(&limits).filter(|group| group.add(process.id()).is_ok());
    let launched = Launched {
        process,
        socket: Some(ours),
        group,
        memory: limits.memory,
        counted: Instant::now(),
        network: job.policy.network().clone(),
        strength: job.policy.strength(),
        relay: None,
    };
    if let Some(socket) = &launched.socket {
        send(socket, &plan)?;
    }
    Ok(launched)
}

impl Launched {
    /// How a command that ended so really ended.
    fn ended(&self, end: End) -> End {
        let group = self.group.as_ref();
        match end {
            End::Exit(0) => end,
            _ if group.is_some_and(Group::ran_out_of_memory) => End::OutOfMemory(self.memory),
            _ => end,
        }
    }

    /// Counts memory, if it is time to.
    fn is_too_large(&mut self) -> bool {
        if self.group.is_some() || self.counted.elapsed() < COUNTED {
            return false;
        }
        self.counted = Instant::now();
        usage::resident(self.process.id()) > self.memory
    }
}

impl Running for Launched {
    fn look(&mut self) -> Result<Option<End>, LaunchError> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        let mut ready = [PollFd::new(socket, PollFlags::IN)];
        match poll(&mut ready, Some(&Timespec::default())) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {
                return Ok(self.is_too_large().then_some(End::OutOfMemory(self.memory)));
            }
            Ok(_) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let Ok((report, port)) = handover::receive(socket) else {
            // The launcher was killed, and all others with it.
            return Ok(Some(self.ended(End::Signal(libc::SIGKILL))));
        };
        match report {
            Report::Listening => {
                if let (Some(port), Some(hosts)) = (port, self.network.hosts()) {
                    let relay = Relay::start(port, hosts);
                    let refused = |error| LaunchError::Refused(format!("its relay: {error}"));
                    self.relay = Some(relay.map_err(refused)?);
                }
                Ok(None)
            }
            Report::Exit(code) => Ok(Some(self.ended(End::Exit(code)))),
            Report::Signal(signal) => Ok(Some(self.ended(End::Signal(signal)))),
            Report::Refused(refusal) if refusal.layer == Layer::Start => {
                Err(LaunchError::NotStarted(refusal.why))
            }
            Report::Refused(refusal) => {
                let way_out = match refusal.layer {
                    Layer::Namespaces => WAY_OUT,
                    _ => "",
                };
                Err(LaunchError::Refused(format!("{refusal}{way_out}")))
            }
        }
    }

    fn wait(&self, most: Duration) {
        let Some(socket) = &self.socket else {
            return;
        };
        let most = Timespec {
            tv_sec: 0,
            tv_nsec: most.subsec_nanos().into(),
        };
        // Woken early, it is asked again.
        let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&most));
    }

    fn stop(&mut self) -> io::Result<()> {
        self.socket = None;
        self.relay = None;
        let patience = match self.strength {
            Strength::Full => PATIENCE,
            Strength::Degraded => DEGRADED_PATIENCE,
        };
        let patience = Instant::now() + patience;
        loop {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            if Instant::now() > patience {
                // Its own end takes the first process with it, and that one all others.
                self.process.kill()?;
                return self.process.wait().map(drop);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
