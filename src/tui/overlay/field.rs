//! A text of one line that is typed: filters and reasons. Keys act on characters as a
//! reader sees them; what is wider than its place scrolls sideways.

use std::borrow::Cow;

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use super::frame;
use crate::sandbox::sanitize;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::width;

/// Most bytes of it.
const MOST: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Left,
    Right,
    Start,
    End,
    Backspace,
    Delete,
    DeleteWord,
    DeleteToStart,
    DeleteToEnd,
}

const fn binding(keys: &'static [Key], action: Act, help: &'static str) -> Binding<Act> {
    Binding { keys, action, help }
}

pub const KEYS: &[Binding<Act>] = &[
    binding(&[Key::new(KeyCode::Left)], Act::Left, "a character left"),
    binding(&[Key::new(KeyCode::Right)], Act::Right, "a character right"),
    binding(
        &[Key::new(KeyCode::Home), Key::ctrl('a')],
        Act::Start,
        "to the start",
    ),
    binding(
        &[Key::new(KeyCode::End), Key::ctrl('e')],
        Act::End,
        "to the end",
    ),
    binding(
        &[Key::new(KeyCode::Backspace), Key::ctrl('h')],
        Act::Backspace,
        "delete the character before",
    ),
    binding(
        &[Key::new(KeyCode::Delete), Key::ctrl('d')],
        Act::Delete,
        "delete the character after",
    ),
    binding(&[Key::ctrl('w')], Act::DeleteWord, "delete the word before"),
    binding(&[Key::ctrl('u')], Act::DeleteToStart, "delete all before"),
    binding(&[Key::ctrl('k')], Act::DeleteToEnd, "delete all after"),
];

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The text is another one.
    Changed,
    /// At most the cursor moved.
    Moved,
    /// Not a key for a text.
    Ignored,
}

#[derive(Clone, Debug, Default)]
pub struct Field {
    text: String,
    /// Byte of the text.
    cursor: usize,
}

impl Field {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn key(&mut self, key: Key) -> Typed {
        if let Some(action) = bound(KEYS, key) {
            return self.act(action);
        }
        match key.code {
            KeyCode::Char(c) if key.modifiers == KeyModifiers::NONE => {
                self.insert(c.encode_utf8(&mut [0; 4]))
            }
            _ => Typed::Ignored,
        }
    }

    /// Inserts a text; line ends become spaces.
    pub fn insert(&mut self, text: &str) -> Typed {
        let line = text.trim_end_matches(['\n', '\r']);
        let line = line.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
        if line.is_empty() || self.text.len() + line.len() > MOST {
            return Typed::Moved;
        }
        self.text.insert_str(self.cursor, &line);
        self.cursor += line.len();
        Typed::Changed
    }

    fn act(&mut self, action: Act) -> Typed {
        let (before, after) = self.text.split_at(self.cursor);
        let last = before.graphemes(true).next_back().map_or(0, str::len);
        let next = after.graphemes(true).next().map_or(0, str::len);
        let (from, to) = match action {
            Act::Left => return self.go(self.cursor - last),
            Act::Right => return self.go(self.cursor + next),
            Act::Start => return self.go(0),
            Act::End => return self.go(self.text.len()),
            Act::Backspace => (self.cursor - last, self.cursor),
            Act::Delete => (self.cursor, self.cursor + next),
            Act::DeleteWord => (word_before(before), self.cursor),
            Act::DeleteToStart => (0, self.cursor),
            Act::DeleteToEnd => (self.cursor, self.text.len()),
        };
        if from == to {
            return Typed::Moved;
        }
        self.text.replace_range(from..to, "");
        self.cursor = from;
        Typed::Changed
    }

    fn go(&mut self, to: usize) -> Typed {
        self.cursor = to;
        Typed::Moved
    }

    /// Where the part that is shown begins, and the column of the cursor in it.
    fn window(&self, columns: usize) -> (usize, usize) {
        let room = columns.saturating_sub(1);
        let (mut start, mut used) = (self.cursor, 0);
        for (at, grapheme) in self.text[..self.cursor].grapheme_indices(true).rev() {
            let wide = width(&shown(grapheme));
            if used + wide > room {
                break;
            }
            (start, used) = (at, used + wide);
        }
        (start, used)
    }

    pub fn render(&self, area: Rect, buf: &mut Buffer, style: Style) {
        let (start, _) = self.window(area.width.into());
        let text: String = self.text[start..].graphemes(true).map(shown).collect();
        frame::write(area, 0, &text, style, buf);
    }

    /// Where the terminal's cursor belongs.
    pub fn cursor(&self, area: Rect) -> Option<Position> {
        if area.is_empty() {
            return None;
        }
        let (_, column) = self.window(area.width.into());
        let column = u16::try_from(column).unwrap_or(u16::MAX);
        Some(Position::new(area.x + column.min(area.width - 1), area.y))
    }
}

/// A character as it is put on the screen.
pub fn shown(grapheme: &str) -> Cow<'_, str> {
    sanitize::for_line(grapheme)
}

/// Where the last word of a text begins.
fn word_before(text: &str) -> usize {
    let words = text.trim_end();
    let space = words.rfind(char::is_whitespace);
    space.map_or(0, |at| {
        at + words[at..].chars().next().map_or(0, char::len_utf8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::overlay::testing::{keys, screen};

    fn typed(text: &str) -> Field {
        let mut field = Field::default();
        for key in keys(text) {
            field.key(key);
        }
        field
    }

    #[test]
    fn keys_change_the_text() {
        for (pressed, text) in [
            ("abc<BS>d", "abd"),
            ("ab<Left><Left>x<Right>y<Del>", "xay"),
            ("one<Space>two<Space><C-w>", "one "),
            ("abc<Home>x<End>y", "xabcy"),
            ("abc<Left><C-u>", "c"),
            ("abc<C-a><Right><C-k>", "a"),
            ("a👩‍💻e\u{301}<BS><BS>", "a"),
            ("a<C-x><A-b><F1><Tab><Up>", "a"),
        ] {
            assert_eq!(typed(pressed).text(), text, "{pressed}");
        }
    }

    #[test]
    fn the_cursor_stays_in_sight() {
        let field = typed("abcdef字g\u{202e}");
        let area = Rect::new(0, 0, 8, 1);
        let shown = |field: &Field| {
            screen(8, 1, |area, buf| field.render(area, buf, Style::new())).remove(0)
        };
        assert_eq!(shown(&field), "");
        assert_eq!(field.cursor(area), Some(Position::new(0, 0)));
        let field = typed("abcdef字g");
        assert_eq!(shown(&field), "cdef字g");
        assert_eq!(field.cursor(area), Some(Position::new(7, 0)));
        let field = typed("abcdef字g<Home>");
        assert_eq!(shown(&field), "abcdef字");
        assert_eq!(field.cursor(area), Some(Position::new(0, 0)));
    }
}
