//! All keys by place, and the slash commands. What it shows is read from the tables
//! that keys are dispatched by, so it can't be wrong.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::Close;
use super::field::{Field, Typed};
use super::frame::{self, Hint};
use super::scroll::Scroll;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{fit, styled, width};
use crate::tui::theme::{Role, Theme};

const COLUMNS: u16 = 90;
/// Columns that the keys take at most before what they do is said in a row below.
const MOST_KEYS: usize = 30;
const FILTER: &str = "find ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Filter,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::char('/')],
        action: Act::Filter,
        help: "find",
    },
    Binding {
        keys: &[
            Key::new(KeyCode::Esc),
            Key::char('q'),
            Key::char('?'),
            Key::new(KeyCode::F(1)),
            Key::ctrl('c'),
        ],
        action: Act::Close,
        help: "close",
    },
];

/// A place's name, with its keys and what they do.
pub type Section = (String, Vec<(String, &'static str)>);

/// Who gets the letters that are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Reading,
    Filtering,
}

pub struct Help {
    sections: Vec<Section>,
    filter: Field,
    mode: Mode,
    scroll: Scroll,
    theme: Theme,
}

impl Help {
    pub fn new(sections: Vec<Section>, theme: Theme) -> Self {
        let mut help = Self {
            sections,
            filter: Field::default(),
            mode: Mode::Reading,
            scroll: Scroll::default(),
            theme,
        };
        help.filter();
        help
    }

    pub fn key(&mut self, key: Key) -> Option<Close> {
        if self.mode == Mode::Filtering {
            self.filter_key(key);
            return None;
        }
        match bound(KEYS, key) {
            Some(Act::Close) if key.code == KeyCode::Esc && !self.filter.text().is_empty() => {
                self.filter.clear();
                self.filter();
                None
            }
            Some(Act::Close) => Some(Close),
            Some(Act::Filter) => {
                self.mode = Mode::Filtering;
                None
            }
            None => {
                self.scroll.key(key);
                None
            }
        }
    }

    fn filter_key(&mut self, key: Key) {
        match key.code {
            KeyCode::Enter => self.mode = Mode::Reading,
            KeyCode::Esc => {
                self.mode = Mode::Reading;
                self.filter.clear();
                self.filter();
            }
            _ => {
                if self.filter.key(key) == Typed::Changed {
                    self.filter();
                } else if !matches!(key.code, KeyCode::Char(_)) {
                    self.scroll.key(key);
                }
            }
        }
    }

    pub fn paste(&mut self, text: &str) {
        if self.mode == Mode::Filtering && self.filter.insert(text) == Typed::Changed {
            self.filter();
        }
    }

    /// Puts together what the filter leaves.
    fn filter(&mut self) {
        let wanted = self.filter.text().trim().to_lowercase();
        let matches = |text: &str| text.to_lowercase().contains(&wanted);
        let keys = self.sections.iter().flat_map(|(_, rows)| rows);
        let widest = keys.map(|(keys, _)| width(keys)).max().unwrap_or(0);
        let column = widest.min(MOST_KEYS) + 2;
        let mut lines: Vec<Line<'static>> = Vec::new();
        for (title, rows) in &self.sections {
            let rows: Vec<_> = rows
                .iter()
                .filter(|(keys, help)| matches(title) || matches(keys) || matches(help))
                .collect();
            if rows.is_empty() {
                continue;
            }
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            let title = fit(title, COLUMNS.into());
            lines.push(styled(title, self.theme.style(Role::Heading)));
            for (keys, help) in rows {
                lines.extend(self.row(keys, help, column));
            }
        }
        if lines.is_empty() {
            let style = self.theme.style(Role::Dim);
            lines.push(styled("nothing matches", style));
        }
        self.scroll = Scroll::new(lines);
    }

    /// Keys and what they do, side by side where the keys are short.
    fn row(&self, keys: &str, help: &str, column: usize) -> Vec<Line<'static>> {
        let keys = fit(keys, COLUMNS.into());
        let used = width(&keys) + 2;
        let key_style = self.theme.style(Role::Hint);
        let help = Span::styled(help.to_owned(), self.theme.style(Role::Text));
        let indent = Span::raw("  ");
        if used > column {
            return vec![
                Line::from(vec![indent, Span::styled(keys, key_style)]),
                Line::from(vec![Span::raw(" ".repeat(column + 2)), help]),
            ];
        }
        let gap = Span::raw(" ".repeat(column - width(&keys)));
        vec![Line::from(vec![
            indent,
            Span::styled(keys, key_style),
            gap,
            help,
        ])]
    }

    fn place(screen: Rect) -> Rect {
        frame::place(screen, COLUMNS, u16::MAX)
    }

    /// Where the filter is, if it is shown, and the text.
    fn split(&self, screen: Rect) -> (Option<Rect>, Rect) {
        let inner = frame::inner(Self::place(screen));
        let hidden = self.mode == Mode::Reading && self.filter.text().is_empty();
        if hidden || inner.height < 2 {
            return (None, inner);
        }
        let field = Rect { height: 1, ..inner };
        let text = Rect {
            y: inner.y + 1,
            height: inner.height - 1,
            ..inner
        };
        (Some(field), text)
    }

    pub fn layout(&mut self, screen: Rect) {
        let (_, text) = self.split(screen);
        self.scroll.layout(text.width, text.height);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let of = |act| frame::hint(KEYS, &act);
        let hints: Vec<Hint> = match self.mode {
            Mode::Reading => [of(Act::Close), of(Act::Filter), self.scroll.hint()]
                .into_iter()
                .flatten()
                .collect(),
            Mode::Filtering => vec![
                ("Enter".to_owned(), "keep".to_owned()),
                ("Esc".to_owned(), "all".to_owned()),
            ],
        };
        frame::draw(Self::place(screen), buf, theme, "Help", &hints);
        let (field, text) = self.split(screen);
        if let Some(field) = field {
            frame::write(field, 0, FILTER, theme.style(Role::Dim), buf);
            let style = theme.style(Role::Text);
            self.filter.render(after_prompt(field), buf, style);
        }
        self.scroll.render(text, buf);
    }

    pub fn cursor(&self, screen: Rect) -> Option<Position> {
        match self.mode {
            Mode::Reading => None,
            Mode::Filtering => {
                let (field, _) = self.split(screen);
                self.filter.cursor(after_prompt(field?))
            }
        }
    }
}

fn after_prompt(field: Rect) -> Rect {
    let prompt = u16::try_from(FILTER.len()).unwrap_or(0).min(field.width);
    Rect {
        x: field.x + prompt,
        width: field.width - prompt,
        ..field
    }
}
