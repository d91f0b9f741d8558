//! `command_output`: what a background command has printed since the last time, and
//! in the last line whether it still runs, or how it ended.

use std::time::Duration;

use super::toolbox::{Answer, Context};

/// Longer than this no call waits, whatever it asks for.
const LONGEST_WAIT: usize = 60;

pub(super) fn run(context: &Context<'_>) -> Answer {
    let id = context.number("id").unwrap_or(0) as u64;
    let wait = context.number("wait").unwrap_or(0).min(LONGEST_WAIT);
    let patience = Duration::from_secs(wait as u64);
    context.jobs.output(context, id, patience)
}
