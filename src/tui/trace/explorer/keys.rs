//! The keys of the reasoning pane.

use crossterm::event::KeyCode;

use crate::tui::keys::{Binding, Key, rows};
use crate::tui::trace::{branches, compare, fork};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    WordBack,
    WordForward,
    StepBack,
    StepForward,
    ParagraphBack,
    ParagraphForward,
    TenthBack,
    TenthForward,
    First,
    Last,
    NextUncertain,
    PreviousUncertain,
    Search,
    NextFound,
    PreviousFound,
    Fold,
    FoldAll,
    Bookmark,
    NextBookmark,
    Span,
    Copy,
    Heat,
    Routes,
    Numbers,
    Fork,
    Branches,
    Answers,
    PreviousAnswer,
    NextAnswer,
    Live,
    Export,
    CloseThinking,
    MoreThinking,
    Widen,
    Narrow,
    Leave,
}

const fn row(action: Act, help: &'static str, keys: &'static [Key]) -> Binding<Act> {
    Binding { keys, action, help }
}

/// Keys while a trace is walked.
pub const KEYS: &[Binding<Act>] = &[
    row(Act::Left, "a token back", &[Key::new(KeyCode::Left)]),
    row(Act::Right, "a token on", &[Key::new(KeyCode::Right)]),
    row(
        Act::Up,
        "a row up",
        &[Key::new(KeyCode::Up), Key::char('k')],
    ),
    row(
        Act::Down,
        "a row down",
        &[Key::new(KeyCode::Down), Key::char('j')],
    ),
    row(Act::PageUp, "a page up", &[Key::new(KeyCode::PageUp)]),
    row(
        Act::PageDown,
        "a page down",
        &[Key::new(KeyCode::PageDown), Key::char(' ')],
    ),
    row(Act::WordBack, "a word back", &[Key::char('b')]),
    row(Act::WordForward, "a word on", &[Key::char('w')]),
    row(
        Act::StepBack,
        "a step back: a sentence, a line or a call",
        &[Key::char('(')],
    ),
    row(Act::StepForward, "a step on", &[Key::char(')')]),
    row(Act::ParagraphBack, "a paragraph back", &[Key::char('{')]),
    row(Act::ParagraphForward, "a paragraph on", &[Key::char('}')]),
    row(
        Act::TenthBack,
        "a tenth of the trace back",
        &[Key::char('K')],
    ),
    row(
        Act::TenthForward,
        "a tenth of the trace on",
        &[Key::char('J')],
    ),
    row(
        Act::First,
        "the first token",
        &[Key::char('g'), Key::new(KeyCode::Home)],
    ),
    row(
        Act::Last,
        "the last token; new ones are followed",
        &[Key::char('G'), Key::new(KeyCode::End)],
    ),
    row(
        Act::NextUncertain,
        "the next uncertain token",
        &[Key::char('n')],
    ),
    row(
        Act::PreviousUncertain,
        "the uncertain token before",
        &[Key::char('N')],
    ),
    row(Act::Search, "search", &[Key::char('/')]),
    row(
        Act::NextFound,
        "the next place that was found",
        &[Key::char(';')],
    ),
    row(
        Act::PreviousFound,
        "the place before that was found",
        &[Key::char(',')],
    ),
    row(Act::Fold, "fold or unfold the paragraph", &[Key::char('z')]),
    row(
        Act::FoldAll,
        "fold or unfold all paragraphs",
        &[Key::char('Z')],
    ),
    row(Act::Bookmark, "set or clear a bookmark", &[Key::char('m')]),
    row(Act::NextBookmark, "the next bookmark", &[Key::char('\'')]),
    row(Act::Span, "begin or end a span", &[Key::char('v')]),
    row(Act::Copy, "copy the span, or the token", &[Key::char('y')]),
    row(
        Act::Heat,
        "heat by entropy or by surprise",
        &[Key::char('h')],
    ),
    row(
        Act::Routes,
        "the experts that the token and the span took",
        &[Key::char('r')],
    ),
    row(
        Act::Numbers,
        "tokens, time, entropy and repeats",
        &[Key::char('i')],
    ),
    row(
        Act::Fork,
        "go on differently from this token",
        &[Key::char('f'), Key::new(KeyCode::Enter)],
    ),
    row(Act::Branches, "the session's branches", &[Key::char('B')]),
    row(Act::Answers, "the session's answers", &[Key::char('a')]),
    row(Act::PreviousAnswer, "the answer before", &[Key::char('[')]),
    row(Act::NextAnswer, "the next answer", &[Key::char(']')]),
    row(Act::Live, "back to the live answer", &[Key::char('F')]),
    row(Act::Export, "write the trace to a file", &[Key::char('X')]),
    row(
        Act::CloseThinking,
        "let the model stop thinking and answer",
        &[Key::char('x')],
    ),
    row(
        Act::MoreThinking,
        "let it think for 512 more tokens",
        &[Key::char('+')],
    ),
    row(Act::Widen, "a wider pane", &[Key::char('>')]),
    row(Act::Narrow, "a narrower pane", &[Key::char('<')]),
    row(
        Act::Leave,
        "close what is open, or leave the pane",
        &[Key::new(KeyCode::Esc)],
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchAct {
    Next,
    Previous,
    Erase,
    Done,
}

/// Keys while a search is typed.
pub const SEARCH_KEYS: &[Binding<SearchAct>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Enter), Key::new(KeyCode::Down)],
        action: SearchAct::Next,
        help: "the next place",
    },
    Binding {
        keys: &[Key::new(KeyCode::Up)],
        action: SearchAct::Previous,
        help: "the place before",
    },
    Binding {
        keys: &[Key::new(KeyCode::Backspace)],
        action: SearchAct::Erase,
        help: "take back a letter",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc)],
        action: SearchAct::Done,
        help: "go on from here",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAct {
    Up,
    Down,
    Open,
    Close,
}

/// Keys in the list of answers.
pub const LIST_KEYS: &[Binding<ListAct>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::char('k')],
        action: ListAct::Up,
        help: "the answer above",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: ListAct::Down,
        help: "the answer below",
    },
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: ListAct::Open,
        help: "look at its trace",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('a'), Key::char('q')],
        action: ListAct::Close,
        help: "close the list",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportAct {
    Json,
    Markdown,
    Close,
}

/// Keys while the form of an export is asked for.
pub const EXPORT_KEYS: &[Binding<ExportAct>] = &[
    Binding {
        keys: &[Key::char('j')],
        action: ExportAct::Json,
        help: "JSON with everything",
    },
    Binding {
        keys: &[Key::char('m')],
        action: ExportAct::Markdown,
        help: "Markdown for people",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('q')],
        action: ExportAct::Close,
        help: "don't",
    },
];

/// All tables with their titles, for help.
pub fn help() -> Vec<(&'static str, Vec<(String, &'static str)>)> {
    vec![
        ("Reasoning", rows(KEYS)),
        ("Search in the reasoning", rows(SEARCH_KEYS)),
        ("Fork at a token", rows(fork::KEYS)),
        ("Branches", rows(branches::KEYS)),
        ("Comparison", rows(compare::KEYS)),
        ("Answers", rows(LIST_KEYS)),
        ("Export of a trace", rows(EXPORT_KEYS)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_unambiguous<A>(table: &[Binding<A>]) {
        let keys: Vec<Key> = table.iter().flat_map(|one| one.keys).copied().collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{}", key.name());
        }
    }

    #[test]
    fn a_key_does_one_thing_in_a_place() {
        is_unambiguous(KEYS);
        is_unambiguous(SEARCH_KEYS);
        is_unambiguous(LIST_KEYS);
        is_unambiguous(EXPORT_KEYS);
        is_unambiguous(fork::KEYS);
        is_unambiguous(branches::KEYS);
        is_unambiguous(compare::KEYS);
        let rows: usize = help().iter().map(|(_, rows)| rows.len()).sum();
        assert!(rows > KEYS.len());
    }
}
