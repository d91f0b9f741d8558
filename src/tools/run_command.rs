//! `run_command`: a shell command's output, and how it ended in the last line; or its
//! start in the background.

use std::time::Duration;

use super::command::{self, MAX_PRINTED_BYTES};
use super::toolbox::{Answer, Context, Failure};
use crate::sandbox::launch::{CommandLimits, Job};

/// A longer command could not be shown whole to the one who is asked to allow it.
const MAX_COMMAND_BYTES: usize = 32 * 1024;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let script = checked(context)?;
    if context.switch("background") {
        return context.jobs.start(context, script);
    }
    let argv = ["sh", "-c", script].map(str::to_owned);
    let job = Job::new(context.launcher, context.policy, context.workspace, &argv);
    let limits = CommandLimits {
        time: Duration::from_secs(context.limits.command_seconds),
        output: context.limits.output(),
        flood: MAX_PRINTED_BYTES,
        memory: None,
    };
    let finished = command::launch(job, &limits, context.cancelled, &mut |bytes| {
        (context.printed)(bytes);
    })?;
    command::outcome(finished)
}

pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    let script = checked(context)?;
    Ok(match context.switch("background") {
        true => format!("{script}\n(in the background: it goes on after this call)"),
        false => script.to_owned(),
    })
}

fn checked<'a>(context: &Context<'a>) -> Result<&'a str, Failure> {
    let command = context.text("command");
    if command.trim().is_empty() || command.contains('\0') {
        Err("run_command needs command (a string that is not empty)"
            .to_owned()
            .into())
    } else if command.len() > MAX_COMMAND_BYTES {
        Err(format!(
            "the command is too long ({} bytes, the limit is {MAX_COMMAND_BYTES}); write a script with write_file and run that",
            command.len()
        )
        .into())
    } else {
        Ok(command)
    }
}
