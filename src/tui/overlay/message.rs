//! A text with a title, such as what a slash command printed.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Close;
use super::frame::{self, Hint};
use super::scroll::Scroll;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{lines, styled};
use crate::tui::theme::{Role, Theme};

const COLUMNS: u16 = 110;

pub const KEYS: &[Binding<Close>] = &[Binding {
    keys: &[
        Key::new(KeyCode::Esc),
        Key::char('q'),
        Key::new(KeyCode::Enter),
        Key::ctrl('c'),
    ],
    action: Close,
    help: "close",
}];

pub struct Message {
    title: String,
    scroll: Scroll,
}

impl Message {
    pub fn new(title: impl Into<String>, text: &str, theme: Theme) -> Self {
        let style = theme.style(Role::Text);
        let lines = lines(text).into_iter();
        Self {
            title: title.into(),
            scroll: Scroll::new(lines.map(|line| styled(line, style)).collect()),
        }
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn key(&mut self, key: Key) -> Option<Close> {
        let close = bound(KEYS, key);
        if close.is_none() {
            self.scroll.key(key);
        }
        close
    }

    fn place(screen: Rect, rows: usize) -> Rect {
        let rows = u16::try_from(rows.saturating_add(2)).unwrap_or(u16::MAX);
        frame::place(screen, COLUMNS, rows.max(3))
    }

    pub fn layout(&mut self, screen: Rect) {
        let columns = frame::inner(Self::place(screen, usize::MAX)).width;
        let rows = self.scroll.rows_at(columns);
        let inner = frame::inner(Self::place(screen, rows));
        self.scroll.layout(inner.width, inner.height);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let area = Self::place(screen, self.scroll.rows());
        let close = frame::hint(KEYS, &Close);
        let hints: Vec<Hint> = close.into_iter().chain(self.scroll.hint()).collect();
        frame::draw(area, buf, theme, &self.title, &hints);
        self.scroll.render(frame::inner(area), buf);
    }
}
