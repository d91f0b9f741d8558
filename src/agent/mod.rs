//! The turn loop: a pure state machine whose journal is the session log, a
//! driver that performs what the machine asks for, and the event stream that
//! every front end reads. No front end has logic of its own.

mod about;
mod attach;
mod branch;
#[cfg(test)]
mod branch_tests;
mod branches;
mod calls;
mod collector;
mod compact;
#[cfg(test)]
mod compact_tests;
mod context;
mod conversation;
mod driver;
mod effect;
mod entry;
mod event;
mod exit;
mod live;
mod machine;
#[cfg(test)]
mod machine_tests;
mod memory;
mod model;
mod notes;
mod opening;
mod pins;
pub mod present;
mod replay;
mod restore;
mod resume;
pub mod session;
mod settings;
mod shell;
pub mod slash;
mod steer;
#[cfg(test)]
mod steer_tests;
mod stop;
mod system;

pub use crate::chat::{Owner, Thinking};
pub use crate::generate::{Nudge, ThinkingKey, ThinkingKeys};
pub use about::Glance;
pub use branch::{ForkAt, With};
pub use branches::{Branch, Parted, branches};
pub use context::Meter;
pub use conversation::Pinnable;
pub use driver::Agent;
pub use effect::Effect;
pub use entry::{
    Answer, Compaction, Entry, FileText, Finish, How, Kind, Opening, Restored, Shell, Shortened,
    ToolResult, Verdict,
};
pub use event::{Approval, Done, Event, Front, Question};
pub use exit::{Exit, Reason};
pub use machine::{Limits, Machine, Rules, UNKNOWN_OUTCOME};
pub use model::Stats;
pub use replay::{Difference, Replayed, Results, Side};
pub use session::{Journal, Session, Sessions};
pub use settings::{Calls, Settings, THINKING_BUDGET};
pub use steer::Steer;
pub use stop::{Stop, Stopped};
