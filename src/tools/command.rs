//! What the tools that run commands have in common: starting one, and telling the
//! model how it ended.

use super::Outcome;
use super::toolbox::{Answer, Failure};
use crate::sandbox::launch::{self, CommandLimits, End, Finished, Job, LaunchError};
use crate::sandbox::sanitize;

/// A command that prints more is stopped.
pub(super) const MAX_PRINTED_BYTES: u64 = 64 << 20;

pub(super) fn launch(
    job: Job<'_>,
    limits: &CommandLimits,
    cancelled: &dyn Fn() -> bool,
    output: &mut dyn FnMut(&[u8]),
) -> Result<Finished, Failure> {
    launch::run(job, limits, cancelled, output).map_err(|error| failure(&error))
}

pub(super) fn failure(error: &LaunchError) -> Failure {
    match error {
        LaunchError::Refused(_) => Failure::refused(error.to_string()),
        LaunchError::NotStarted(_) => error.to_string().into(),
        LaunchError::Io(why) => format!("the command could not be started: {why}").into(),
    }
}

/// The output, and how it ended.
pub(super) fn outcome(mut finished: Finished) -> Answer {
    let mut output = std::mem::take(&mut finished.output.text);
    if !output.is_empty() {
        output.push('\n');
    }
    output.push_str(&ending(&finished));
    Ok(Outcome {
        ok: finished.end == End::Exit(0),
        output,
        truncated: finished.output.truncated,
        refused: !finished.quarantined.is_empty(),
        change: String::new(),
    })
}

/// What was taken away, and how it ended in the last line.
pub(super) fn ending(finished: &Finished) -> String {
    let mut text = String::new();
    for (from, to) in &finished.quarantined {
        let [from, to] = [from, to].map(|path| path.to_string_lossy().into_owned());
        let [from, to] = [from, to].map(|path| sanitize::for_line(&path).into_owned());
        text.push_str(&format!(
            "[a command may not make {from}: it is now {to}]\n"
        ));
    }
    text + &finished.end.to_string()
}
