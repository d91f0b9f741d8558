//! `stop_command`: the end of a background command, and what it printed last.

use super::toolbox::{Answer, Context};

pub(super) fn run(context: &Context<'_>) -> Answer {
    let id = context.number("id").unwrap_or(0) as u64;
    context.jobs.stop(context, id)
}
