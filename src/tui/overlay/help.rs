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
use crate::sandbox::sanitize;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{fit, styled, width, wrap};
use crate::tui::theme::{Role, Theme};

const COLUMNS: u16 = 90;
/// Columns that the keys take at most before what they do is said in a row below.
const MOST_KEYS: usize = 26;
const FILTER: &str = "find ";
const INDENT: &str = "  ";

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

/// What a key does while the filter is typed, besides what it does in any field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterAct {
    Keep,
    Leave,
}

pub const FILTER_KEYS: &[Binding<FilterAct>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: FilterAct::Keep,
        help: "keep",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::ctrl('c')],
        action: FilterAct::Leave,
        help: "all keys",
    },
];

/// A place's name, with its keys and what they do.
pub type Section = (String, Vec<(String, &'static str)>);

/// Tables of the same place as one, and keys that do the same in one row.
pub fn merged(tables: Vec<Section>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (place, rows) in tables {
        let known = sections.iter().position(|(known, _)| *known == place);
        let at = known.unwrap_or_else(|| {
            sections.push((place, Vec::new()));
            sections.len() - 1
        });
        let (_, all) = &mut sections[at];
        for (keys, help) in rows {
            match all.last_mut() {
                Some((before, same)) if *same == help => {
                    before.push_str(", ");
                    before.push_str(&keys);
                }
                _ => all.push((keys, help)),
            }
        }
    }
    sections
}

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
    /// The width that it was put together for; `None` once the filter is another one.
    columns: Option<u16>,
    theme: Theme,
}

impl Help {
    pub fn new(sections: Vec<Section>, theme: Theme) -> Self {
        Self {
            sections,
            filter: Field::default(),
            mode: Mode::Reading,
            scroll: Scroll::default(),
            columns: None,
            theme,
        }
    }

    pub fn key(&mut self, key: Key) -> Option<Close> {
        if self.mode == Mode::Filtering {
            self.filter_key(key);
            return None;
        }
        match bound(KEYS, key) {
            Some(Act::Close) if key.code == KeyCode::Esc && !self.filter.text().is_empty() => {
                self.filter.clear();
                self.columns = None;
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
        match bound(FILTER_KEYS, key) {
            Some(FilterAct::Keep) => self.mode = Mode::Reading,
            Some(FilterAct::Leave) => {
                self.mode = Mode::Reading;
                self.filter.clear();
                self.columns = None;
            }
            None => match self.filter.key(key) {
                Typed::Changed => self.columns = None,
                Typed::Moved => {}
                Typed::Ignored => {
                    self.scroll.key(key);
                }
            },
        }
    }

    pub fn paste(&mut self, text: &str) {
        if self.mode == Mode::Filtering && self.filter.insert(text) == Typed::Changed {
            self.columns = None;
        }
    }

    /// Puts together what the filter leaves.
    fn lines(&self, columns: usize) -> Vec<Line<'static>> {
        let wanted = self.filter.text().trim().to_lowercase();
        let matches = |text: &str| text.to_lowercase().contains(&wanted);
        let most = MOST_KEYS.min(columns / 2);
        let keys = self.sections.iter().flat_map(|(_, rows)| rows);
        let widths = keys.map(|(keys, _)| width(keys));
        let widest = widths.filter(|columns| *columns <= most).max();
        let column = widest.unwrap_or(0) + 2 * INDENT.len();
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
            let title = fit(title, columns);
            lines.push(styled(title, self.theme.style(Role::Heading)));
            for (keys, help) in rows {
                lines.extend(self.row(keys, help, column, columns));
            }
        }
        if lines.is_empty() {
            let style = self.theme.style(Role::Dim);
            lines.push(styled("nothing matches", style));
        }
        lines
    }

    /// Keys and, from a column on, what they do; in a row below where the keys are long.
    fn row(&self, keys: &str, help: &str, column: usize, columns: usize) -> Vec<Line<'static>> {
        let keys = format!("{INDENT}{}", sanitize::for_line(keys));
        let used = width(&keys) + INDENT.len();
        let mut line = styled(keys, self.theme.style(Role::Hint));
        let mut rows = Vec::new();
        let mut gap = column.saturating_sub(used) + INDENT.len();
        if used > column {
            rows.extend(wrap(&line, columns, INDENT.len()));
            line = Line::default();
            gap = column;
        }
        line.push_span(Span::raw(" ".repeat(gap)));
        let style = self.theme.style(Role::Text);
        line.push_span(Span::styled(help.to_owned(), style));
        rows.extend(wrap(&line, columns, column));
        rows
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
        if self.columns != Some(text.width) {
            self.scroll = Scroll::new(self.lines(text.width.into()));
            self.columns = Some(text.width);
        }
        self.scroll.layout(text.width, text.height);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let of = |act| frame::hint(KEYS, &act);
        let hints: Vec<Hint> = match self.mode {
            Mode::Reading => [of(Act::Close), of(Act::Filter), self.scroll.hint()]
                .into_iter()
                .flatten()
                .collect(),
            Mode::Filtering => [FilterAct::Keep, FilterAct::Leave]
                .iter()
                .filter_map(|act| frame::hint(FILTER_KEYS, act))
                .collect(),
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
