//! A question with yes and no. Enter does nothing: it is pressed too easily.

use std::time::Instant;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame::{self, Hint};
use super::guard::Guard;
use super::scroll::Scroll;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{lines, styled};
use crate::tui::theme::{Role, Theme};

const COLUMNS: u16 = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

pub const KEYS: &[Binding<Answer>] = &[
    Binding {
        keys: &[Key::char('y')],
        action: Answer::Yes,
        help: "yes",
    },
    Binding {
        keys: &[Key::char('n'), Key::new(KeyCode::Esc), Key::ctrl('c')],
        action: Answer::No,
        help: "no",
    },
];

pub struct Confirm {
    question: String,
    scroll: Scroll,
    guard: Guard,
}

impl Confirm {
    /// A question, and what there is to know before it is answered. What is typed on
    /// from before `since` is no answer.
    pub fn new(question: impl Into<String>, about: &str, since: Instant, theme: Theme) -> Self {
        let question = question.into();
        let style_of = |role, text: &str| {
            let lines = lines(text).into_iter();
            lines.map(move |line| styled(line, theme.style(role)))
        };
        let asked = style_of(Role::Heading, &question);
        let rows = asked.chain(style_of(Role::Text, about)).collect();
        Self {
            question,
            scroll: Scroll::new(rows),
            guard: Guard::new(since),
        }
    }

    pub fn title(&self) -> &str {
        &self.question
    }

    pub fn key(&mut self, key: Key, now: Instant) -> Option<Answer> {
        let passes = self.guard.lets_pass(key, now);
        if let Some(answer) = bound(KEYS, key) {
            return passes.then_some(answer);
        }
        self.scroll.key(key);
        None
    }

    fn place(&self, screen: Rect, rows: usize) -> Rect {
        let rows = u16::try_from(rows.saturating_add(2)).unwrap_or(u16::MAX);
        frame::place(screen, COLUMNS, rows.max(3))
    }

    pub fn layout(&mut self, screen: Rect) {
        let columns = frame::inner(self.place(screen, usize::MAX)).width;
        let rows = self.scroll.rows_at(columns);
        let inner = frame::inner(self.place(screen, rows));
        self.scroll.layout(inner.width, inner.height);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let area = self.place(screen, self.scroll.rows());
        let hints: Vec<Hint> = [Answer::Yes, Answer::No]
            .iter()
            .filter_map(|answer| frame::hint(KEYS, answer))
            .chain(self.scroll.hint())
            .collect();
        frame::draw(area, buf, theme, "Question", &hints);
        self.scroll.render(frame::inner(area), buf);
    }
}
