//! What a template may cost. Fuel counts the engine's instructions, but one
//! instruction can double a string or replace every character of a long one, so
//! time and memory are watched from outside while a template runs.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use minijinja::ErrorKind;

use super::Error;
use crate::backend::own_memory;

/// Instructions of one rendering. A message costs some hundreds.
pub(super) const FUEL: u64 = 20_000_000;
/// A long conversation takes some milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// Memory that the process may gain during one rendering.
const MAX_MEMORY: u64 = 256 << 20;
/// How often memory is looked at. Also the time before the first look, so that
/// what other threads allocate is rarely taken for the template's.
const WATCH: Duration = Duration::from_millis(10);
/// Enough for minijinja's recursion limit, whatever thread the caller is on.
const STACK: usize = 32 << 20;

/// Why template work gave no result.
pub(super) enum Failure {
    /// What the engine or the template itself says.
    Template(minijinja::Error),
    /// It costs more than any template needs.
    Bound(String),
}

/// Runs template work on a thread of its own: known stack, limited time and
/// memory, and a panic inside the engine is an error like any other. A thread
/// can't be ended from outside: work that exceeds its bounds is left behind, so
/// a template that does should end the program soon.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, minijinja::Error> + Send + 'static,
) -> Result<T, Failure> {
    let bound = |what: String| Err(Failure::Bound(what));
    let started = Instant::now();
    let before = own_memory();
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("chat-template".into())
        .stack_size(STACK)
        .spawn(move || {
            // The receiver is gone only if a bound was exceeded.
            let _ = sender.send(work());
        });
    if let Err(error) = thread {
        return bound(format!("no thread to run it: {error}"));
    }
    loop {
        match receiver.recv_timeout(WATCH) {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(error)) if error.kind() == ErrorKind::OutOfFuel => {
                return bound(format!("more than {FUEL} steps: does it end?"));
            }
            Ok(Err(error)) => return Err(Failure::Template(error)),
            Err(RecvTimeoutError::Disconnected) => {
                return bound("the template engine failed".into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let (Some(before), Some(now)) = (before, own_memory())
            && now.saturating_sub(before) > MAX_MEMORY
        {
            return bound(format!("took more than {} MB of memory", MAX_MEMORY >> 20));
        }
        if started.elapsed() > DEADLINE {
            let seconds = DEADLINE.as_secs();
            return bound(format!("took longer than {seconds} seconds"));
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Template(error) => describe(&error),
            Failure::Bound(what) => Error::new(format!("chat template: {what}")),
        }
    }
}

fn describe(error: &minijinja::Error) -> Error {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let place = error.line().map(|l| format!(", line {l}"));
    let cause = std::error::Error::source(error).map(|c| format!(" ({c})"));
    Error::new(format!(
        "chat template{}: {what}{}",
        place.unwrap_or_default(),
        cause.unwrap_or_default()
    ))
}
