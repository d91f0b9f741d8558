//! The launcher's three processes: the launcher itself, which waits; the first one
//! of the new namespaces, which ends with the connection to cairn and takes
//! everything with it; and the command.

use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;

use super::identity::IdMaps;
use super::plan::{self, Layer, Network, Plan, Refusal, Report, Within};
use super::process::{self, Forked, fork};
use super::processes::Process;
use super::{NAME, calls, degraded, handover, identity, paths, privileges, probe, view};
use crate::sandbox::{Strength, signals};

/// What the launcher and the first process call themselves.
const LAUNCHER: &CStr = c"cairn-launcher";

/// How long what was killed may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until the launchers of cairns that were killed have ended, and all that
/// they started with them. `living` are cairns that run commands.
pub fn wait_for_orphans(living: &[u32]) {
    let until = Instant::now() + PATIENCE;
    let is_launcher = |process: &Process| process.name.as_bytes() == LAUNCHER.to_bytes();
    while Instant::now() < until {
        let all = Process::all();
        let by_id = |id: u32| all.iter().find(|process| process.id == id);
        let orphan = all
            .iter()
            .filter(|p| is_launcher(p) && !p.ended)
            .any(|launcher| {
                let mut above = launcher.parent;
                while let Some(parent) = by_id(above).filter(|parent| is_launcher(parent)) {
                    above = parent.parent;
                }
                !living.contains(&above)
            });
        if !orphan {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// If these arguments say that this process is the launcher, or the probe of the
/// self-test: its whole life, and its exit code. The plan comes on standard input, a socket, on which the report is
/// given, too; output is the command's. Nothing may have been done before.
pub fn launcher(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    if arguments.next()? != NAME {
        return probe::probe(arguments);
    }
    // By this they are found if cairn is killed; without it nothing else changes.
    let _ = rustix::thread::set_name(LAUNCHER);
    // Whatever cairn itself was started with stays outside.
    if process::close_others().is_err() {
        return Some(2);
    }
    // SAFETY: descriptor 0 is open and nobody else's.
    let socket = unsafe { File::from_raw_fd(0) };
    let Ok(plan) = plan::receive::<Plan>(&socket) else {
        return Some(2);
    };
    if let Err(refusal) = launch(&plan, &socket) {
        let _ = plan::send(&socket, &Report::Refused(refusal));
    }
    Some(0)
}

fn launch(plan: &Plan, socket: &File) -> Result<(), Refusal> {
    if let Some(grants) = &plan.grants {
        return degraded::launch(plan, grants, socket);
    }
    // Not later: the view may be half built when this process looks.
    let nothing = File::open("/dev/null").within(Layer::Start, "/dev/null")?;
    let ids = IdMaps::new(plan).within(Layer::Identity, "maps of ids")?;
    enter_namespaces(plan)?;
    // Neither before: a process that is shut in can't write its own maps, and another
    // identity forgets whose end is its own.
    process::shut_in().within(Layer::Namespaces, "its secrets")?;
    end_with_parent()?;
    match fork().within(Layer::Namespaces, "the first process")? {
        Forked::Parent(first) => {
            // The command's output and the report end with those who make them.
            rustix::stdio::dup2_stdin(&nothing).within(Layer::Start, "stdin")?;
            silence(&nothing).within(Layer::Start, "output")?;
            let _ = rustix::process::waitpid(Some(first), WaitOptions::empty());
            Ok(())
        }
        Forked::Child => {
            let report = first(plan, &ids, socket).unwrap_or_else(Report::Refused);
            let _ = plan::send(socket, &report);
            // Until cairn has what it wants: what still runs may still write.
            wait_for_end(socket);
            std::process::exit(0)
        }
    }
}

pub fn end_with_parent() -> Result<(), Refusal> {
    let end = Some(Signal::KILL);
    rustix::process::set_parent_process_death_signal(end).within(Layer::Namespaces, "its end")
}

fn enter_namespaces(plan: &Plan) -> Result<(), Refusal> {
    broken(plan, Layer::Namespaces)?;
    let mut kinds = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if plan.guest.is_none() {
        kinds |= UnshareFlags::NEWUSER;
    }
    // SAFETY: this process has one thread and shares no files with another.
    unsafe { rustix::thread::unshare_unsafe(kinds) }.within(
        Layer::Namespaces,
        "this system does not let a user make them",
    )?;
    match plan.guest {
        None => identity::keep_self(user, group).within(Layer::Identity, "its user namespace"),
        Some(_) => Ok(()),
    }
}

/// The first process of the namespaces.
fn first(plan: &Plan, ids: &IdMaps, socket: &File) -> Result<Report, Refusal> {
    end_with_parent()?;
    broken(plan, Layer::View)?;
    view::build(plan, ids)?;
    broken(plan, Layer::Network)?;
    if plan.network != Network::Off {
        process::raise_loopback().within(Layer::Network, "loopback")?;
    }
    if plan.network.hosts().is_some() {
        handover::send(socket).within(Layer::Network, "its relay's port")?;
    }
    let signals = process::child_signals().within(Layer::Start, "signals")?;
    let command = start(plan)?;
    // cairn's end is the end of everything.
    Ok(follow(command, &signals, socket)?.unwrap_or_else(|| std::process::exit(0)))
}

/// Once the command's process is there and its ids are known: nothing is needed any
/// more of what the first process may do.
fn settle(plan: &Plan) -> Result<(), Refusal> {
    let nothing = File::open("/dev/null").within(Layer::Start, "/dev/null")?;
    silence(&nothing).within(Layer::Start, "output")?;
    privileges::drop_all(plan.guest).within(Layer::Capabilities, "of the first process")?;
    end_with_parent()
}

/// Standard output and error lead nowhere.
pub fn silence(nothing: &File) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stdout(nothing)?;
    rustix::stdio::dup2_stderr(nothing)
}

/// Starts the command; returns when it runs.
fn start(plan: &Plan) -> Result<Pid, Refusal> {
    let pipe = || io::pipe().within(Layer::Start, "a pipe");
    let (mut alone, tell_alone) = pipe()?;
    let (mut ready, tell_ready) = pipe()?;
    let (mut failed, tell_failed) = pipe()?;
    match fork().within(Layer::Start, "its process")? {
        Forked::Child => {
            drop((alone, tell_ready, failed));
            let refusal = confine(plan, &mut ready, &tell_alone);
            let _ = plan::send(&tell_failed, &refusal);
            std::process::exit(126)
        }
        Forked::Parent(command) => {
            drop((tell_alone, ready, tell_failed));
            if let Some(guest) = plan.guest
                && identity::wait_for(&mut alone).is_ok()
            {
                identity::keep_guest(command, guest)
                    .within(Layer::Identity, "its user namespace")?;
            }
            settle(plan)?;
            // If it is gone, it says why.
            let _ = (&tell_ready).write_all(b"+");
            // Nothing comes of a pipe that `exec` closed.
            match plan::receive(&mut failed) {
                Ok(refusal) => Err(refusal),
                Err(_) => Ok(command),
            }
        }
    }
}

/// From the first instruction of the command's process to the command. Returns why
/// not.
fn confine(plan: &Plan, ready: &mut impl Read, alone: &impl AsFd) -> Refusal {
    match confine_and_run(plan, ready, alone) {
        Err(refusal) => refusal,
        Ok(never) => match never {},
    }
}

fn confine_and_run(
    plan: &Plan,
    ready: &mut impl Read,
    alone: &impl AsFd,
) -> Result<std::convert::Infallible, Refusal> {
    let step = "its process";
    rustix::process::setsid().within(Layer::Start, step)?;
    let nothing = File::open("/dev/null").within(Layer::Start, "/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing).within(Layer::Start, "stdin")?;
    signals::reset().within(Layer::Start, step)?;
    broken(plan, Layer::Identity)?;
    if plan.guest.is_some() {
        rustix::thread::set_thread_groups(&[]).within(Layer::Identity, "groups")?;
        // SAFETY: this process has one thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }
            .within(Layer::Identity, "its user namespace")?;
        rustix::io::write(alone, b"+").within(Layer::Identity, step)?;
    }
    // All others have done their part.
    identity::wait_for(ready).within(Layer::Identity, step)?;
    broken(plan, Layer::Limits)?;
    privileges::limit(&plan.limits).within(Layer::Limits, "of its process")?;
    broken(plan, Layer::Capabilities)?;
    privileges::drop_all(plan.guest).within(Layer::Capabilities, "dropping them")?;
    broken(plan, Layer::Landlock)?;
    if paths::version() > 0 {
        paths::restrict(plan).within(Layer::Landlock, "version 6")?;
    }
    broken(plan, Layer::Seccomp)?;
    calls::restrict(&plan.network, Strength::Full).within(Layer::Seccomp, "its filter")?;
    broken(plan, Layer::Start)?;
    Err(process::execute(&plan.argv, &plan.environment)).within(Layer::Start, &plan.argv[0])
}

/// Reaps until the command has ended, or the other side: then there is no report.
pub fn follow(command: Pid, signals: &OwnedFd, socket: &File) -> Result<Option<Report>, Refusal> {
    loop {
        while let Ok(Some((ended, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if ended == command {
                return Ok(Some(report(status)));
            }
        }
        let mut watched = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).within(Layer::Start, "waiting"),
        }
        if !watched[0].revents().is_empty() {
            return Ok(None);
        }
        let mut read = [0u8; 128];
        while rustix::io::read(signals, &mut read).is_ok_and(|read| read > 0) {}
    }
}

fn report(status: WaitStatus) -> Report {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Report::Exit(code),
        (None, signal) => Report::Signal(signal.unwrap_or_default()),
    }
}

/// Returns when the other side has closed the connection.
pub fn wait_for_end(mut socket: &File) {
    let mut byte = [0];
    while !matches!(socket.read(&mut byte), Ok(0)) {}
}

/// Fails if a test wants this layer to.
pub fn broken(plan: &Plan, layer: Layer) -> Result<(), Refusal> {
    match plan.broken == Some(layer) {
        true => Err("broken by a test").within(layer, "not set up"),
        false => Ok(()),
    }
}
