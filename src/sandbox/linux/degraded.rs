//! A command without namespaces, by the user's own choice: Landlock, seccomp, limits,
//! no privileges. Without a process namespace whose end would be theirs, what the
//! command started is found as this process' descendants: it adopts what loses its
//! parent, stops all of them and then ends them. So it outlives cairn until that is done.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::process::{Signal, WaitOptions};

use super::launcher::{broken, end_with_parent, follow, silence, wait_for_end};
use super::mounts::{self, Links};
use super::plan::{self, Grants, Layer, Plan, Refusal, Report, Within};
use super::process::{self, Forked, fork};
use super::{calls, paths, privileges};
use crate::sandbox::launch::descendants::{self, Which};
use crate::sandbox::{Strength, signals};

/// The first version of Landlock that keeps signals and abstract sockets in.
const LEAST_LANDLOCK: u32 = 6;

/// How often what runs is looked for to be stopped; each time there is less room for it.
const MOST_ROUNDS: usize = 1000;

pub fn launch(plan: &Plan, grants: &Grants, socket: &File) -> Result<(), Refusal> {
    if paths::version() < LEAST_LANDLOCK {
        return Err("this kernel has no Landlock of version 6").within(
            Layer::Landlock,
            "without namespaces nothing else holds files",
        );
    }
    process::adopt().within(Layer::Start, "its descendants")?;
    process::shut_in().within(Layer::Start, "its secrets")?;
    let mut folder = DirBuilder::new();
    let made = folder.mode(0o700).create(&grants.temporary);
    made.within(Layer::View, &grants.temporary)?;
    let report = run(plan, socket);
    let told = match &report {
        Ok(None) => Ok(()),
        Ok(Some(report)) => plan::send(socket, report),
        Err(refusal) => plan::send(socket, &Report::Refused(refusal.clone())),
    };
    if told.is_ok() && !matches!(report, Ok(None)) {
        // Until cairn has what it wants: what still runs may still write.
        wait_for_end(socket);
    }
    end_all();
    let _ = fs::remove_dir_all(&grants.temporary);
    Ok(())
}

fn run(plan: &Plan, socket: &File) -> Result<Option<Report>, Refusal> {
    let nothing = File::open("/dev/null").within(Layer::Start, "/dev/null")?;
    let signals = process::child_signals().within(Layer::Start, "signals")?;
    let (mut failed, tell_failed) = io::pipe().within(Layer::Start, "a pipe")?;
    match fork().within(Layer::Start, "its process")? {
        Forked::Child => {
            drop(failed);
            let refusal = match confine_and_run(plan, &nothing) {
                Err(refusal) => refusal,
                Ok(never) => match never {},
            };
            let _ = plan::send(&tell_failed, &refusal);
            std::process::exit(126)
        }
        Forked::Parent(command) => {
            drop(tell_failed);
            // The command's output ends with those who make it.
            silence(&nothing).within(Layer::Start, "output")?;
            // Nothing comes of a pipe that `exec` closed.
            match plan::receive(&mut failed) {
                Ok(refusal) => Err(refusal),
                Err(_) => follow(command, &signals, socket),
            }
        }
    }
}

/// From the first instruction of the command's process to the command.
fn confine_and_run(plan: &Plan, nothing: &File) -> Result<std::convert::Infallible, Refusal> {
    let step = "its process";
    rustix::process::setsid().within(Layer::Start, step)?;
    rustix::stdio::dup2_stdin(nothing.as_fd()).within(Layer::Start, "stdin")?;
    signals::reset().within(Layer::Start, step)?;
    end_with_parent()?;
    broken(plan, Layer::View)?;
    enter_workspace(plan)?;
    broken(plan, Layer::Limits)?;
    privileges::limit(&plan.limits).within(Layer::Limits, "of its process")?;
    broken(plan, Layer::Capabilities)?;
    privileges::drop_held().within(Layer::Capabilities, "dropping them")?;
    broken(plan, Layer::Landlock)?;
    paths::restrict(plan).within(Layer::Landlock, "version 6")?;
    broken(plan, Layer::Seccomp)?;
    calls::restrict(&plan.network, Strength::Degraded).within(Layer::Seccomp, "its filter")?;
    broken(plan, Layer::Start)?;
    Err(process::execute(&plan.argv, &plan.environment)).within(Layer::Start, &plan.argv[0])
}

/// If the folder of that name is still the one meant.
fn enter_workspace(plan: &Plan) -> Result<(), Refusal> {
    let path = &plan.workspace.path;
    let root = mounts::root().within(Layer::View, "/")?;
    let folder = mounts::find(root, Path::new(path), Links::Refused)
        .within(Layer::View, format_args!("the workspace {path}"))?;
    let found = fstat(&folder).within(Layer::View, path)?;
    if (found.st_dev, found.st_ino) != (plan.workspace.device, plan.workspace.inode) {
        let why = "is another folder than when cairn was started";
        return Err(why).within(Layer::View, path);
    }
    rustix::process::fchdir(folder).within(Layer::View, path)
}

/// Ends all descendants. They are stopped first, and none is reaped: each that is made
/// meanwhile takes one of the places that are left, so there is an end to it.
fn end_all() {
    let mut quiet = 0;
    for _ in 0..MOST_ROUNDS {
        match descendants::signal(Which::Running, Signal::STOP) {
            0 => quiet += 1,
            _ => quiet = 0,
        }
        // One may have been between two looks.
        if quiet == 2 {
            break;
        }
    }
    loop {
        descendants::signal(Which::All, Signal::KILL);
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        match rustix::process::wait(WaitOptions::NOHANG) {
            Err(rustix::io::Errno::INTR) | Ok(_) => {}
            Err(_) => return,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
