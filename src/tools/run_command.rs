//! `run_command`: a shell command's output, and how it ended in the last line.

use std::time::Duration;

use super::Outcome;
use super::toolbox::{Answer, Context, Failure};
use crate::sandbox::launch::{self, CommandLimits, End, Job, LaunchError};
use crate::sandbox::sanitize;

/// A longer command could not be shown whole to the one who is asked to allow it.
const MAX_COMMAND_BYTES: usize = 32 * 1024;
/// A command that prints more is stopped.
const MAX_PRINTED_BYTES: u64 = 64 << 20;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let command = checked(context)?;
    let argv = ["sh", "-c", command].map(str::to_owned);
    let job = Job {
        launcher: context.launcher,
        policy: context.policy,
        workspace: context.workspace,
        argv: &argv,
    };
    let limits = CommandLimits {
        time: Duration::from_secs(context.limits.command_seconds),
        output: context.limits.output(),
        flood: MAX_PRINTED_BYTES,
        memory: None,
    };
    let finished =
        launch::run(job, &limits, context.cancelled, &mut |_| {}).map_err(|error| match error {
            LaunchError::Refused(_) => Failure::refused(error.to_string()),
            error => format!("the shell could not be started: {error}").into(),
        })?;
    let mut output = finished.output.text;
    if !output.is_empty() {
        output.push('\n');
    }
    for (from, to) in &finished.quarantined {
        let [from, to] = [from, to].map(|path| path.to_string_lossy().into_owned());
        let [from, to] = [from, to].map(|path| sanitize::for_line(&path).into_owned());
        output.push_str(&format!(
            "[a command may not make {from}: it is now {to}]\n"
        ));
    }
    output.push_str(&finished.end.to_string());
    Ok(Outcome {
        ok: finished.end == End::Exit(0),
        output,
        truncated: finished.output.truncated,
        refused: !finished.quarantined.is_empty(),
    })
}

pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    checked(context).map(str::to_string)
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
