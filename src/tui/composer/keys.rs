//! The composer's keys.

use crossterm::event::{KeyCode, KeyModifiers};

use crate::tui::keys::{Binding, Key};

/// What a key does while one writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Send,
    Queue,
    NewLine,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Start,
    End,
    Backspace,
    Delete,
    DeleteWord,
    DeleteNextWord,
    DeleteToStart,
    DeleteToEnd,
    Yank,
    Undo,
    Redo,
    Search,
    External,
    Escape,
}

/// What a key does while a list of files or commands is open; others go on typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuAct {
    Up,
    Down,
    PageUp,
    PageDown,
    Complete,
    Take,
    Close,
}

/// What a key does while the history is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchAct {
    Older,
    Newer,
    Take,
    Leave,
    Backspace,
    Clear,
}

const fn binding<A>(keys: &'static [Key], action: A, help: &'static str) -> Binding<A> {
    Binding { keys, action, help }
}

const fn code(code: KeyCode) -> Key {
    Key::new(code)
}

const CONTROL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

pub const KEYS: &[Binding<Act>] = &[
    binding(&[code(KeyCode::Enter)], Act::Send, "send"),
    binding(
        &[code(KeyCode::Tab)],
        Act::Queue,
        "queue for after the turn",
    ),
    binding(
        &[
            code(KeyCode::Enter).with(ALT),
            code(KeyCode::Enter).with(SHIFT),
            Key::ctrl('j'),
        ],
        Act::NewLine,
        "new line",
    ),
    binding(
        &[code(KeyCode::Up)],
        Act::Up,
        "a row up; at the first, older messages",
    ),
    binding(
        &[code(KeyCode::Down)],
        Act::Down,
        "a row down; at the last, newer messages",
    ),
    binding(
        &[code(KeyCode::Left), Key::ctrl('b')],
        Act::Left,
        "a character left",
    ),
    binding(
        &[code(KeyCode::Right), Key::ctrl('f')],
        Act::Right,
        "a character right",
    ),
    binding(
        &[
            Key::alt('b'),
            code(KeyCode::Left).with(ALT),
            code(KeyCode::Left).with(CONTROL),
        ],
        Act::WordLeft,
        "a word left",
    ),
    binding(
        &[
            Key::alt('f'),
            code(KeyCode::Right).with(ALT),
            code(KeyCode::Right).with(CONTROL),
        ],
        Act::WordRight,
        "a word right",
    ),
    binding(
        &[Key::ctrl('a'), code(KeyCode::Home)],
        Act::LineStart,
        "to the line's start",
    ),
    binding(
        &[Key::ctrl('e'), code(KeyCode::End)],
        Act::LineEnd,
        "to the line's end",
    ),
    binding(
        &[Key::alt('<'), code(KeyCode::Home).with(CONTROL)],
        Act::Start,
        "to the text's start",
    ),
    // Ctrl-End is the conversation's, wherever one is.
    binding(&[Key::alt('>')], Act::End, "to the text's end"),
    binding(
        &[
            code(KeyCode::Backspace),
            Key::ctrl('h'),
            code(KeyCode::Backspace).with(SHIFT),
        ],
        Act::Backspace,
        "delete the character before",
    ),
    binding(
        &[code(KeyCode::Delete), Key::ctrl('d')],
        Act::Delete,
        "delete the character after",
    ),
    binding(
        &[
            Key::ctrl('w'),
            code(KeyCode::Backspace).with(ALT),
            code(KeyCode::Backspace).with(CONTROL),
        ],
        Act::DeleteWord,
        "delete the word before",
    ),
    binding(
        &[
            Key::alt('d'),
            code(KeyCode::Delete).with(ALT),
            code(KeyCode::Delete).with(CONTROL),
        ],
        Act::DeleteNextWord,
        "delete the word after",
    ),
    binding(
        &[Key::ctrl('u')],
        Act::DeleteToStart,
        "delete to the line's start",
    ),
    binding(
        &[Key::ctrl('k')],
        Act::DeleteToEnd,
        "delete to the line's end",
    ),
    binding(
        &[Key::ctrl('y')],
        Act::Yank,
        "bring back what was deleted last",
    ),
    // Terminals send Ctrl-_ and Ctrl-/ as Ctrl-7.
    binding(
        &[Key::ctrl('_'), Key::ctrl('/'), Key::ctrl('7')],
        Act::Undo,
        "undo",
    ),
    binding(&[Key::alt('_'), Key::alt('/')], Act::Redo, "redo"),
    binding(&[Key::ctrl('r')], Act::Search, "search older messages"),
    binding(&[Key::ctrl('g')], Act::External, "write it in your editor"),
    binding(
        &[code(KeyCode::Esc)],
        Act::Escape,
        "twice on nothing: edit an earlier message",
    ),
];

pub const MENU_KEYS: &[Binding<MenuAct>] = &[
    binding(&[code(KeyCode::Up), Key::ctrl('p')], MenuAct::Up, "up"),
    binding(
        &[code(KeyCode::Down), Key::ctrl('n')],
        MenuAct::Down,
        "down",
    ),
    binding(&[code(KeyCode::PageUp)], MenuAct::PageUp, "a page up"),
    binding(&[code(KeyCode::PageDown)], MenuAct::PageDown, "a page down"),
    binding(&[code(KeyCode::Tab)], MenuAct::Complete, "insert"),
    binding(&[code(KeyCode::Enter)], MenuAct::Take, "take"),
    binding(&[code(KeyCode::Esc)], MenuAct::Close, "close"),
];

pub const SEARCH_KEYS: &[Binding<SearchAct>] = &[
    binding(
        &[Key::ctrl('r'), code(KeyCode::Up)],
        SearchAct::Older,
        "older",
    ),
    binding(
        &[Key::ctrl('s'), code(KeyCode::Down)],
        SearchAct::Newer,
        "newer",
    ),
    binding(
        &[
            code(KeyCode::Enter),
            code(KeyCode::Tab),
            code(KeyCode::Right),
        ],
        SearchAct::Take,
        "take",
    ),
    binding(
        &[code(KeyCode::Esc), Key::ctrl('g')],
        SearchAct::Leave,
        "back",
    ),
    binding(
        &[code(KeyCode::Backspace), Key::ctrl('h')],
        SearchAct::Backspace,
        "delete a character",
    ),
    binding(&[Key::ctrl('u')], SearchAct::Clear, "delete all"),
];
