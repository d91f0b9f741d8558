//! Everything that can happen, and everything that can come of it. Between the two is
//! `update`, which does neither.

use crossterm::event::{KeyEvent, MouseEvent};

use super::driver::{Chore, Finished, Job, Report};
use crate::agent::{Approval, Exit, Steer, ThinkingKeys};

/// Something that happened.
pub enum Event {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseEvent),
    /// The terminal has the user's attention, or has lost it.
    Focused,
    Unfocused,
    Agent(Report),
    Chore(Finished),
    /// What came back from the user's editor.
    Edited(Result<String, String>),
    /// Layers that are loaded, of how many.
    Loading(usize, usize),
    /// Something can be shown better than before.
    Improved,
    /// There is no shell to go back to.
    Alone,
    /// The system wants the program to end.
    Terminate,
    /// Nothing, but time has passed.
    Tick,
}

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    Job(Job),
    /// Open the bundle, and take the session up.
    Load,
    Chore(Chore),
    Answer(Approval),
    /// Stop the turn that runs.
    Stop,
    /// Say this to the turn that runs.
    Steer(Steer, String),
    /// Lets the model answer now, or think on for so many tokens.
    CloseThinking(ThinkingKeys),
    MoreThinking(ThinkingKeys, usize),
    /// To the clipboard.
    Copy(String),
    /// Into the user's editor.
    Edit(String),
    /// To the user, who looks elsewhere.
    Notify(String),
    /// Give the mouse to the terminal, or take it back.
    SwitchMouse,
    /// Into the background, as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
    Leave(Exit),
}
