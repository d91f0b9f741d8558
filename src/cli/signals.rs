//! Ctrl-C and its relatives: the first one stops the turn, so that tools are
//! killed and the record is closed; the next one ends the program at once.

use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::agent::present::Style;
use crate::agent::{Exit, Stop, Stopped};

/// Time a turn has to kill its tools and to close its record when the program
/// is told to end, or told a second time.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What a stop means to a front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The program is one run: it ends with it, and with its `done`.
    Run,
    /// Turns come from a script; between them there is nothing to close.
    Script,
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
    // A line editor may have changed the terminal when a signal comes.
    let terminal = tcgetattr(io::stdin()).ok();
    let interactive = io::stdin().is_terminal();
    let thread = std::thread::Builder::new().name("cairn-signals".into());
    let spawned = thread.spawn(move || {
        for signal in signals.forever() {
            let stopped = match manner {
                Manner::Run => stop.stop_run(),
                Manner::Script | Manner::Conversation => stop.stop_turn(),
            };
            match (manner, stopped) {
                (Manner::Run, Stopped::Turn | Stopped::Idle) => {}
                (Manner::Script, Stopped::Turn) => {}
                (Manner::Conversation, Stopped::Turn) if signal == SIGINT => {}
                // Pressed a moment after the turn had ended.
                (Manner::Conversation, _) if signal == SIGINT && interactive => {}
                (_, Stopped::Idle) => leave(terminal.as_ref(), manner),
                (_, Stopped::Turn | Stopped::Again) => {
                    // A run that ends by itself meanwhile ends the program.
                    std::thread::sleep(LAST_WORDS);
                    leave(terminal.as_ref(), manner);
                }
            }
        }
    });
    spawned
        .map(drop)
        .map_err(|e| format!("the signal thread can't be started: {e}"))
}

fn leave(terminal: Option<&Termios>, manner: Manner) -> ! {
    if let Some(state) = terminal
        && manner == Manner::Conversation
        && in_foreground()
    {
        // The terminal may be what went away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, state);
        if Style::of(&io::stdout()) == Style::Ansi {
            // The editor had asked for marked pastes; and its line is unfinished.
            // Past the lock, which a thread that writes may hold.
            let _ = rustix::io::write(io::stdout(), b"\x1b[?2004l\n");
        }
    }
    std::process::exit(i32::from(Exit::Interrupted.code()))
}

/// In the background, a process that touches its terminal is stopped.
fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}
