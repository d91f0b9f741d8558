//! `cairn sandbox`: a command by hand, exactly as the tool runs those of a model.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::args::SandboxArgs;
use super::permitted::Typed;
use super::setup;
use super::signals::{self, Manner};
use crate::agent::{Exit, Stop};
use crate::sandbox::launch::{self, CommandLimits, End, Job, LaunchError, Launcher};
use crate::sandbox::text::Limit;
use crate::sandbox::{Workspace, sanitize};

/// As `env`, `timeout` and shells have them.
const TIMED_OUT: u8 = 124;
const REFUSED: u8 = 126;
const NOT_STARTED: u8 = 127;
const BY_SIGNAL: u8 = 128;
const KILL: u8 = 9;

/// A command that prints more is ended, as the tool's are.
const MOST_PRINTED: u64 = 64 << 20;

/// Runs the command; returns its status, or one that says why there is none.
pub fn run(args: SandboxArgs) -> u8 {
    let typed = match Typed::of_command(&args) {
        Ok(typed) => typed,
        Err(failure) => return super::fail(failure.exit(), &failure.message).code(),
    };
    let folder = args.workspace.unwrap_or_else(|| PathBuf::from("."));
    let workspace = match Workspace::open(&folder) {
        Ok(workspace) => workspace,
        Err(error) => {
            let message = format!("--workspace {}: {error}", folder.display());
            return super::fail(Exit::Usage, &message).code();
        }
    };
    let permitted = match typed.permitted(&workspace) {
        Ok(permitted) => permitted,
        Err(failure) => return super::fail(failure.exit(), &failure.message).code(),
    };
    let stop = Stop::default();
    if let Err(message) = signals::install(stop.clone(), Manner::Run) {
        return super::fail(Exit::Internal, &message).code();
    }
    let launcher = Launcher::this();
    let job = Job::new(&launcher, &permitted.policy, &workspace, &args.command);
    // What was printed has been passed on: nothing is kept.
    let limits = CommandLimits {
        time: Duration::from_secs(args.timeout),
        output: Limit { bytes: 0, lines: 0 },
        flood: MOST_PRINTED,
        memory: args
            .memory
            .map(|megabytes| megabytes.saturating_mul(1_000_000)),
    };
    for line in [permitted.warnings, setup::left_behind(&workspace)].concat() {
        say(&line);
    }
    let terminal = io::stdout().is_terminal();
    let mut broken = false;
    let mut pass_on = |bytes: &[u8]| broken |= print(bytes, terminal).is_err();
    let finished = launch::run(job, &limits, &|| stop.is_waiting(), &mut pass_on);
    match finished {
        Ok(finished) => {
            for (from, to) in &finished.quarantined {
                say(&format!(
                    "{} may not be made: it is now {}",
                    from.display(),
                    to.display()
                ));
            }
            status(finished.end)
        }
        Err(error) => {
            say(&error.to_string());
            match error {
                LaunchError::Refused(_) | LaunchError::Io(_) => REFUSED,
                LaunchError::NotStarted(_) => NOT_STARTED,
            }
        }
    }
}

fn print(bytes: &[u8], terminal: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match terminal {
        true => {
            let text = String::from_utf8_lossy(bytes);
            out.write_all(sanitize::for_terminal(&text).as_bytes())?;
        }
        false => out.write_all(bytes)?,
    }
    out.flush()
}

fn say(message: &str) {
    // Without stderr the status still says it.
    let _ = writeln!(io::stderr(), "cairn: {}", sanitize::for_line(message));
}

fn status(end: End) -> u8 {
    match end {
        End::Exit(code) => u8::try_from(code).unwrap_or(u8::MAX),
        End::Signal(signal) => BY_SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0)),
        End::Cancelled => Exit::Interrupted.code(),
        End::TimedOut(_) => {
            say(end.to_string().trim_matches(['[', ']']));
            TIMED_OUT
        }
        End::Flooded(_) | End::OutOfMemory(_) | End::DiskFull(_) => {
            say(end.to_string().trim_matches(['[', ']']));
            BY_SIGNAL + KILL
        }
    }
}
