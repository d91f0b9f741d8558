//! Keys that work wherever the user is, but for what is open over the screen.

use crossterm::event::{KeyCode, KeyModifiers};

use super::keys::{Binding, Key};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Help,
    Palette,
    NextPane,
    ToggleReasoning,
    FullReasoning,
    Grow,
    Shrink,
    PageUp,
    PageDown,
    LineUp,
    LineDown,
    Bottom,
    Sessions,
    Mouse,
    Redraw,
    Suspend,
    Interrupt,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::F(1))],
        action: Act::Help,
        help: "all keys and commands (so does ? where nothing is typed)",
    },
    Binding {
        keys: &[Key::ctrl('p')],
        action: Act::Palette,
        help: "find a command or a key by its name",
    },
    Binding {
        keys: &[Key::new(KeyCode::F(2))],
        action: Act::ToggleReasoning,
        help: "show or hide the reasoning",
    },
    Binding {
        keys: &[Key::new(KeyCode::F(3))],
        action: Act::FullReasoning,
        help: "the reasoning on the whole screen, and back",
    },
    Binding {
        keys: &[Key::new(KeyCode::F(6)), Key::ctrl('t')],
        action: Act::NextPane,
        help: "to the next pane: message, reasoning, conversation",
    },
    Binding {
        keys: &[Key::alt('='), Key::alt('+')],
        action: Act::Grow,
        help: "more room for the reasoning",
    },
    Binding {
        keys: &[Key::alt('-')],
        action: Act::Shrink,
        help: "less room for the reasoning",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageUp)],
        action: Act::PageUp,
        help: "a page up in the conversation",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageDown)],
        action: Act::PageDown,
        help: "a page down",
    },
    Binding {
        keys: &[Key::new(KeyCode::Up).with(KeyModifiers::SHIFT)],
        action: Act::LineUp,
        help: "a line up in the conversation",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down).with(KeyModifiers::SHIFT)],
        action: Act::LineDown,
        help: "a line down",
    },
    Binding {
        keys: &[Key::new(KeyCode::End).with(KeyModifiers::CONTROL)],
        action: Act::Bottom,
        help: "to the end of the conversation, and follow it",
    },
    Binding {
        keys: &[Key::ctrl('s')],
        action: Act::Sessions,
        help: "go on with another session",
    },
    Binding {
        keys: &[Key::new(KeyCode::F(4))],
        action: Act::Mouse,
        help: "give the mouse to the terminal, and take it back",
    },
    Binding {
        keys: &[Key::ctrl('l')],
        action: Act::Redraw,
        help: "draw the screen anew",
    },
    Binding {
        keys: &[Key::ctrl('z')],
        action: Act::Suspend,
        help: "into the background (fg comes back)",
    },
    Binding {
        keys: &[Key::ctrl('c')],
        action: Act::Interrupt,
        help: "stop the turn or clear the message; twice within 2 s leaves",
    },
];
