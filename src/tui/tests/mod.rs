//! The whole screen without a terminal: keys and reports go in, states, effects and
//! pictures come out.

mod approvals;
mod leaving;
mod messages;
mod panes;
mod world;
