//! A command as a child of this process, in a session of its own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::process_tree::{MARKER, ProcessTree};
use super::{End, Job, LaunchError, Running};
use crate::sandbox::relay::Relay;
use crate::sandbox::{environment, signals};

pub struct Direct {
    child: Child,
    tree: ProcessTree,
    relay: Option<Relay>,
}

/// Variables beside those that every command has.
type More = [(String, String)];

impl Direct {
    pub fn start(job: Job<'_>, writer: io::PipeWriter) -> Result<Self, LaunchError> {
        Self::start_with(job, &[], writer)
    }

    fn start_with(job: Job<'_>, more: &More, writer: io::PipeWriter) -> Result<Self, LaunchError> {
        let marker = ProcessTree::new_marker();
        let child = spawn(job, &marker, more, writer)
            .map_err(|error| LaunchError::NotStarted(error.to_string()))?;
        let tree = ProcessTree::new(Pid::from_child(&child), marker);
        Ok(Self {
            child,
            tree,
            relay: None,
        })
    }
}

#[cfg(target_os = "macos")]
impl Direct {
    /// By `sandbox-exec`; temporary files are where the user has them.
    pub fn start_confined(job: Job<'_>, writer: io::PipeWriter) -> Result<Self, LaunchError> {
        use std::net::{Ipv4Addr, TcpListener};

        use crate::sandbox::{Strength, seatbelt, secrets};

        if job.policy.strength() == Strength::Degraded {
            let why = "--sandbox-degraded is for Linux; here it would hold nothing";
            return Err(LaunchError::Refused(why.into()));
        }
        let refused = |error: io::Error| LaunchError::Refused(format!("a folder for it: {error}"));
        let temporary = std::env::temp_dir().canonicalize().map_err(refused)?;
        let variable = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
        let home = variable("HOME");
        let (relay, port, more) = match job.policy.network().hosts() {
            Some(hosts) => {
                let refused = |error| LaunchError::Refused(format!("its relay: {error}"));
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(refused)?;
                let port = listener.local_addr().map_err(refused)?.port();
                let relay = Relay::start(listener, hosts).map_err(refused)?;
                (Some(relay), Some(port), environment::proxied(port, hosts))
            }
            None => (None, None, Vec::new()),
        };
        let hidden = secrets::hidden(home.as_deref(), variable);
        let profile = seatbelt::profile(job.policy, job.repository, &hidden, port);
        let mut argv = vec![SANDBOX_EXEC.to_owned()];
        for (name, path) in seatbelt::parameters(job.workspace.root(), &temporary) {
            argv.extend(["-D".to_owned(), format!("{name}={path}")]);
        }
        argv.extend(["-p".to_owned(), profile]);
        argv.extend_from_slice(job.argv);
        let job = Job { argv: &argv, ..job };
        match Self::start_with(job, &more, writer) {
            Ok(direct) => Ok(Self { relay, ..direct }),
            Err(LaunchError::NotStarted(why)) => {
                Err(LaunchError::Refused(format!("{SANDBOX_EXEC}: {why}")))
            }
            Err(other) => Err(other),
        }
    }
}

/// Where the system has it; looked up nowhere else.
#[cfg(target_os = "macos")]
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

impl Running for Direct {
    fn look(&mut self) -> Result<Option<End>, LaunchError> {
        // Without reaping, so that the leader's id still names this tree and no other.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.tree.leader()), look) {
            Ok(None) | Err(rustix::io::Errno::INTR) => Ok(None),
            Ok(Some(status)) => Ok(Some(match status.exit_status() {
                Some(code) => End::Exit(code),
                None => End::Signal(status.terminating_signal().unwrap_or_default()),
            })),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn wait(&self, most: Duration) {
        std::thread::sleep(most / 10);
    }

    fn stop(&mut self) -> io::Result<()> {
        self.relay = None;
        self.tree.kill();
        self.child.wait().map(drop)
    }
}

fn spawn(job: Job<'_>, marker: &str, more: &More, writer: io::PipeWriter) -> io::Result<Child> {
    let folder = job.workspace.handle().try_clone_to_owned()?;
    let [program, arguments @ ..] = job.argv else {
        return Err(io::Error::other("no command"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment::clean(std::env::vars_os()))
        .env("PWD", job.workspace.root())
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .env(MARKER, marker)
        .envs(more.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    // SAFETY: the closure runs between fork and exec, where only calls that are
    // async-signal-safe may be made: setsid, fchdir, prctl and those on signals are
    // plain system calls, and nothing in it allocates, locks or unwinds.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            signals::reset()?;
            // By handle, so that a workspace renamed meanwhile is still the one meant.
            rustix::process::fchdir(&folder)?;
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            Ok(())
        });
    }
    // `command` holds ends of the pipe for writing; it goes with this function.
    command.spawn()
}
