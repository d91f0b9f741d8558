//! `cairn trace`: the reasoning of a stored session, on the screen.

use super::args::{RunArgs, TraceArgs};
use super::chosen::{Chosen, Project};
use super::session;
use super::setup::Failure;
use super::{fail, logs, screen};
use crate::agent::{Exit, Reason};
use crate::tui::Look;
use crate::tui::trace::{Stored, Wanted};

pub fn run(args: &TraceArgs, run: &RunArgs) -> Exit {
    match look(args, run) {
        Ok((chosen, look)) => screen::look(chosen, look),
        Err(failure) => fail(failure.exit(), &failure.message),
    }
}

fn look(args: &TraceArgs, run: &RunArgs) -> Result<(Chosen, Look), Failure> {
    let usage = |why: String| Failure::new(Reason::Usage, why);
    if !screen::is_possible() {
        let why = "there is no terminal here; `cairn sessions export --format json` has it all";
        return Err(usage(why.to_owned()));
    }
    let wanted = Wanted::parse(&args.what).map_err(usage)?;
    let sessions = session::sessions().map_err(usage)?;
    let id = sessions.find(&wanted.session);
    let id = id.map_err(|error| usage(error.to_string()))?;
    let log = sessions.read(&id);
    let log = log.map_err(|error| usage(error.to_string()))?;
    let entry = Stored::new(&log).first(wanted.turn).map_err(usage)?.entry;
    let run = RunArgs {
        workspace: Some(log.header.workspace.clone()),
        resume: Some(id),
        ..run.clone()
    };
    let chosen = Chosen::of(&run, Project::Counts)?;
    logs::install(&chosen.settings.log_level());
    let look = Look {
        log,
        sessions,
        entry,
    };
    Ok((chosen, look))
}
