//! Two traces beside each other: what both have once, then either's own from the first
//! token that differs.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::detail::{percent, quoted};
use super::draw::{Paint, put};
use super::heat::Measure;
use super::rows::Rows;
use super::shelf::{Shelf, TraceId};
use super::store::Trace;
use super::vocabulary::Vocabulary;
use crate::tui::keys::{Binding, Key};
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

/// From this width on they are side by side, else above each other.
const WIDE: usize = 50;
const NAME: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Parting,
    Heat,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::char('k')],
        action: Act::Up,
        help: "scroll up",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: Act::Down,
        help: "scroll down",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageUp)],
        action: Act::PageUp,
        help: "a page up",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageDown), Key::char(' ')],
        action: Act::PageDown,
        help: "a page down",
    },
    Binding {
        keys: &[Key::char('g'), Key::new(KeyCode::Home)],
        action: Act::First,
        help: "the beginning",
    },
    Binding {
        keys: &[Key::char('G'), Key::new(KeyCode::End)],
        action: Act::Last,
        help: "the end",
    },
    Binding {
        keys: &[Key::char('p'), Key::char('n')],
        action: Act::Parting,
        help: "where they part",
    },
    Binding {
        keys: &[Key::char('h')],
        action: Act::Heat,
        help: "heat by entropy or by surprise",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('q')],
        action: Act::Close,
        help: "close the comparison",
    },
];

/// The first token that differs; the length of the shorter one where none does.
pub fn parting(left: &Trace, right: &Trace) -> usize {
    let both = left.len().min(right.len());
    let differs = |token: &usize| left.id(*token) != right.id(*token);
    (0..both).find(differs).unwrap_or(both)
}

/// A comparison at a width.
#[derive(Clone, Debug)]
pub struct Compare {
    left: TraceId,
    right: TraceId,
    parted: usize,
    /// What both have; its rows are as wide as the pane.
    common: Rows,
    own: [Rows; 2],
    columns: usize,
    height: usize,
    top: usize,
    /// Whether it was laid out, so that its place is the user's.
    placed: bool,
}

impl Compare {
    pub fn new(left: TraceId, right: TraceId, shelf: &Shelf) -> Self {
        let (a, b) = (shelf.get(left), shelf.get(right));
        let parted = parting(a, b);
        Self {
            left,
            right,
            parted,
            common: Rows::default(),
            own: [a, b].map(|trace| Rows::starting(trace.start(parted))),
            columns: 0,
            height: 0,
            top: 0,
            placed: false,
        }
    }

    /// The traces that are compared.
    pub fn sides(&self) -> [TraceId; 2] {
        [self.left, self.right]
    }

    fn is_wide(&self) -> bool {
        self.columns >= WIDE
    }

    /// Columns of either's own rows.
    fn half(&self) -> usize {
        match self.is_wide() {
            true => self.columns.saturating_sub(1) / 2,
            false => self.columns,
        }
    }

    pub fn layout(&mut self, shelf: &Shelf, columns: usize, height: usize) {
        (self.columns, self.height) = (columns, height);
        let traces = self.sides().map(|side| shelf.get(side));
        let start = traces[0].start(self.parted);
        let text = traces[0].text().get(..start).unwrap_or_default();
        // A column is left for spaces that hang over a row's end.
        self.common.layout(text, columns.saturating_sub(1));
        let half = self.half().saturating_sub(1);
        for (rows, trace) in self.own.iter_mut().zip(traces) {
            rows.layout(trace.text(), half);
        }
        if !self.placed {
            self.placed = true;
            self.top = self.shared().saturating_sub(2);
        }
        self.top = self.top.min(self.last_top());
    }

    /// Rows that both share.
    fn shared(&self) -> usize {
        match self.parted {
            0 => 0,
            _ => self.common.len(),
        }
    }

    /// All rows, that of the parting included.
    fn total(&self) -> usize {
        self.shared() + 1 + self.own.iter().map(Rows::len).max().unwrap_or(0)
    }

    fn last_top(&self) -> usize {
        let shown = match self.is_wide() {
            true => self.height.saturating_sub(1),
            // The lower one has half of the rows.
            false => self.height.saturating_sub(2) / 2,
        };
        self.total().saturating_sub(shown.max(1))
    }

    pub fn scroll(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by).min(self.last_top());
    }

    /// Moves; closing and heat are the explorer's.
    pub fn act(&mut self, act: Act) {
        let page = self.height.saturating_sub(2).max(1) as isize;
        match act {
            Act::Up => self.scroll(-1),
            Act::Down => self.scroll(1),
            Act::PageUp => self.scroll(-page),
            Act::PageDown => self.scroll(page),
            Act::First => self.top = 0,
            Act::Last => self.top = self.last_top(),
            Act::Parting => {
                self.top = self.shared().saturating_sub(2).min(self.last_top());
            }
            Act::Heat | Act::Close => {}
        }
    }

    /// Draws it: a title, then the rows.
    pub fn render(
        &self,
        shelf: &Shelf,
        measure: Measure,
        area: Rect,
        buf: &mut Buffer,
        theme: Theme,
    ) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let traces = self.sides().map(|side| shelf.get(side));
        let line = |y: usize| Rect {
            y: area.y.saturating_add(y as u16),
            height: 1,
            ..area
        };
        let height = usize::from(area.height);
        self.title(traces, line(0), buf, theme);
        let is_parting = |place: super::draw::Place| {
            let is = place.token == self.parted;
            is.then_some(Role::Found)
        };
        let paint = |side: usize| Paint {
            trace: traces[side],
            rows: &self.own[side],
            measure,
            theme,
            lit: None,
            over: &is_parting,
        };
        let shared = Paint {
            trace: traces[0],
            rows: &self.common,
            measure,
            theme,
            lit: None,
            over: &|_| None,
        };
        let mut y = 1;
        let mut row = self.top;
        while y < height && row <= self.shared() {
            match row < self.shared() {
                true => shared.row(row, line(y), buf),
                false => {
                    let text = self.parted_line(traces, shelf.words());
                    let text = fit(&text, usize::from(area.width));
                    put(buf, line(y), 0, &text, theme.style(Role::Warning));
                }
            }
            y += 1;
            row += 1;
        }
        let first = row.saturating_sub(self.shared() + 1);
        if self.is_wide() {
            let half = self.half() as u16;
            for (at, y) in (first..).zip(y..height) {
                let left = Rect {
                    width: half,
                    ..line(y)
                };
                let right = Rect {
                    x: area.x + half + 1,
                    ..left
                };
                paint(0).row(at, left, buf);
                put(buf, line(y), usize::from(half), "│", theme.style(Role::Dim));
                paint(1).row(at, right.intersection(area), buf);
            }
            return;
        }
        let rest = height.saturating_sub(y);
        let upper = rest.saturating_sub(1).div_ceil(2);
        for at in 0..upper {
            paint(0).row(first + at, line(y + at), buf);
        }
        if rest > 0 {
            let rule = "─".repeat(usize::from(area.width));
            put(buf, line(y + upper), 0, &rule, theme.style(Role::Dim));
        }
        for at in 0..rest.saturating_sub(upper + 1) {
            paint(1).row(first + at, line(y + upper + 1 + at), buf);
        }
    }

    fn title(&self, traces: [&Trace; 2], line: Rect, buf: &mut Buffer, theme: Theme) {
        let style = theme.style(Role::Heading);
        let [left, right] = traces.map(|trace| {
            let tokens = trace.len();
            match trace.entry() {
                Some(entry) => format!("entry {entry}: {tokens} tokens"),
                None => format!("live: {tokens} tokens"),
            }
        });
        if self.is_wide() {
            let half = self.half();
            put(buf, line, 0, &fit(&left, half), style);
            put(buf, line, half, "│", theme.style(Role::Dim));
            put(buf, line, half + 1, &fit(&right, half), style);
        } else {
            let text = format!("{left} / {right}");
            put(buf, line, 0, &fit(&text, self.columns), style);
        }
    }

    /// Names the first difference.
    fn parted_line(&self, traces: [&Trace; 2], words: &Vocabulary) -> String {
        let token = self.parted;
        let [left, right] = traces.map(|trace| match token < trace.len() {
            true => {
                let name = quoted(words.bytes(trace.id(token)), NAME);
                format!("{name} {}", percent(trace.logprob(token)))
            }
            false => "the end".to_owned(),
        });
        if traces.iter().all(|trace| trace.len() == token) {
            return "── they are the same".into();
        }
        let text = format!("── token {}: {left} or {right} ", token + 1);
        let rule = self.columns.saturating_sub(width(&text));
        text + &"─".repeat(rule)
    }
}

/// Blanks an area.
pub fn clear(area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    let blank = " ".repeat(usize::from(area.width));
    for y in area.top()..area.bottom() {
        buf.set_string(area.x, y, &blank, Style::reset());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    #[test]
    fn traces_part_at_the_first_token_that_differs() {
        let tokens = |text: &[&str]| trace(text).0;
        let one = tokens(&["a", " b", " c", " d"]);
        assert_eq!(parting(&one, &tokens(&["a", " b", " x", " d"])), 2);
        assert_eq!(parting(&one, &tokens(&["x", " b", " c", " d"])), 0);
        assert_eq!(parting(&one, &tokens(&["a", " b"])), 2);
        assert_eq!(parting(&one, &one), 4);
    }
}
