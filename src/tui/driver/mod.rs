//! Everything around the pure part: the terminal, the threads and the clock. One queue
//! brings what happens; what follows from it is done here; and a frame is drawn when
//! something changed, sixty times a second at most.

mod agent;
mod chores;
mod clipboard;
mod history;
mod inbox;
mod inline;
mod input;
mod run;
mod signals;
mod surface;
mod terminal;

pub use agent::{Job, Load, Make, Opened, Report, Rest};
pub use chores::{Chore, Finished};
pub use run::{Look, Start, run};
pub use surface::Place;
pub use terminal::restore;

/// What comes through the queue.
enum Incoming {
    Terminal(crossterm::event::Event),
    /// The terminal can't be read any more, and why.
    TerminalGone(Option<String>),
    Agent(Report),
    Chore(Finished),
    Signal(signals::Signal),
    /// Something can be shown better than before.
    Improved,
}
