//! Ctrl-C and its relatives: the first one stops the turn, so that tools are
//! killed and the record is closed; the next one ends the program at once.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::agent::{Exit, Stop, Stopped};

/// What a stop means to a front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The program is the run: it ends with it.
    Run,
    /// Ctrl-C ends a turn, not the program.
    Conversation,
}

/// Handles signals on a thread of its own from here on.
///
/// # Errors
/// When the handlers can't be installed.
pub fn install(stop: Stop, manner: Manner) -> Result<(), String> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|e| format!("signal handlers: {e}"))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let ends = signal != SIGINT || manner == Manner::Run;
            match (stop.request(), ends) {
                // The turn's end is the program's end.
                (Stopped::Turn | Stopped::Early, true) if manner == Manner::Run => {}
                (Stopped::Turn, false) => {}
                (Stopped::Again, false) => {}
                _ => std::process::exit(i32::from(Exit::Interrupted.code())),
            }
        }
    });
    Ok(())
}
