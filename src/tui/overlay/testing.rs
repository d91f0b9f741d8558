//! Help for tests of widgets: keys from a text, and what a screen shows.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::keys::Key;

/// Keys from a text: characters as they are (spaces are none), `<Enter>`, `<Space>`,
/// `<C-a>`, `<A-b>`, `<A-Enter>`, `<F1>`.
pub fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = rest.find('>').filter(|_| c == '<');
        match end {
            Some(end) => {
                keys.push(named(&rest[1..end]));
                rest = &rest[end + 1..];
            }
            None => {
                if c != ' ' {
                    keys.push(Key::char(c));
                }
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    keys
}

fn named(name: &str) -> Key {
    use crossterm::event::KeyModifiers;
    if let Some(name) = name.strip_prefix("C-") {
        return named(name).with(KeyModifiers::CONTROL);
    }
    if let Some(name) = name.strip_prefix("A-") {
        return named(name).with(KeyModifiers::ALT);
    }
    if let Some(name) = name.strip_prefix("S-") {
        return named(name).with(KeyModifiers::SHIFT);
    }
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "BS" => KeyCode::Backspace,
        "Del" => KeyCode::Delete,
        "Space" => KeyCode::Char(' '),
        name if name.len() > 1 && name.starts_with('F') => KeyCode::F(name[1..].parse().unwrap()),
        name => {
            let mut chars = name.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => KeyCode::Char(c),
                _ => panic!("no key <{name}>"),
            }
        }
    };
    Key::new(code)
}

/// What is on a screen of this size: rows without spaces at their ends.
pub fn screen(width: u16, height: u16, draw: impl FnOnce(Rect, &mut Buffer)) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    draw(area, &mut buf);
    rows(&buf)
}

/// The rows of a buffer; the cell that a wide character covers is left out.
pub fn rows(buf: &Buffer) -> Vec<String> {
    let area = buf.area;
    (area.top()..area.bottom())
        .map(|y| {
            let mut row = String::new();
            let mut x = area.left();
            while x < area.right() {
                let symbol = buf[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(crate::tui::text::width(symbol).max(1)).unwrap();
            }
            row.trim_end().to_owned()
        })
        .collect()
}
