//! Keys and what they do, as tables: each widget has its own, and dispatch, the help
//! overlay and the README's list are read from them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with the modifiers that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub code: KeyCode,
    pub modifiers: KeyModifiers,
}

impl Key {
    pub const fn new(code: KeyCode) -> Self {
        Self {
            code,
            modifiers: KeyModifiers::NONE,
        }
    }

    pub const fn char(c: char) -> Self {
        Self::new(KeyCode::Char(c))
    }

    pub const fn ctrl(c: char) -> Self {
        Self::new(KeyCode::Char(c)).with(KeyModifiers::CONTROL)
    }

    pub const fn alt(c: char) -> Self {
        Self::new(KeyCode::Char(c)).with(KeyModifiers::ALT)
    }

    pub const fn with(self, modifiers: KeyModifiers) -> Self {
        Self {
            code: self.code,
            modifiers: self.modifiers.union(modifiers),
        }
    }

    /// What was pressed. Shift is in the character where there is one; terminals
    /// differ in whether they say it once more.
    pub fn pressed(event: &KeyEvent) -> Self {
        let modifiers = match event.code {
            KeyCode::Char(_) => event.modifiers.difference(KeyModifiers::SHIFT),
            _ => event.modifiers,
        };
        Self {
            code: event.code,
            modifiers,
        }
    }

    /// As people write it: `Ctrl-C`, `Alt-Enter`, `F2`, `n`.
    pub fn name(self) -> String {
        let control = self.modifiers.contains(KeyModifiers::CONTROL);
        let held = [
            (KeyModifiers::CONTROL, "Ctrl-"),
            (KeyModifiers::ALT, "Alt-"),
            (KeyModifiers::SHIFT, "Shift-"),
        ];
        let mut name: String = held
            .iter()
            .filter(|(modifier, _)| self.modifiers.contains(*modifier))
            .map(|(_, name)| *name)
            .collect();
        match self.code {
            KeyCode::Char(' ') => name.push_str("Space"),
            KeyCode::Char(c) if control => name.extend(c.to_uppercase()),
            KeyCode::Char(c) => name.push(c),
            KeyCode::F(n) => name.push_str(&format!("F{n}")),
            KeyCode::PageUp => name.push_str("PgUp"),
            KeyCode::PageDown => name.push_str("PgDn"),
            KeyCode::BackTab => name.push_str("Shift-Tab"),
            other => name.push_str(&other.to_string()),
        }
        name
    }
}

/// Whether a pane has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    Focused,
    Unfocused,
}

/// What one or several keys do in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<A> {
    /// All that do it; the first is the one that hints name.
    pub keys: &'static [Key],
    pub action: A,
    /// In a few words, as a line of help.
    pub help: &'static str,
}

/// What a key does by a table.
pub fn bound<A: Copy>(bindings: &[Binding<A>], key: Key) -> Option<A> {
    let binding = bindings.iter().find(|one| one.keys.contains(&key));
    binding.map(|binding| binding.action)
}

/// A table's rows for readers: the keys, and what they do.
pub fn rows<A>(bindings: &[Binding<A>]) -> Vec<(String, &'static str)> {
    let row = |one: &Binding<A>| {
        let names: Vec<String> = one.keys.iter().map(|key| key.name()).collect();
        (names.join(", "), one.help)
    };
    bindings.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_names_that_people_write() {
        let names = [
            (Key::ctrl('c'), "Ctrl-C"),
            (
                Key::new(KeyCode::Enter).with(KeyModifiers::ALT),
                "Alt-Enter",
            ),
            (Key::new(KeyCode::F(2)), "F2"),
            (Key::char('n'), "n"),
            (Key::char('N'), "N"),
            (Key::char(' '), "Space"),
            (Key::new(KeyCode::PageUp), "PgUp"),
            (Key::new(KeyCode::BackTab), "Shift-Tab"),
        ];
        for (key, name) in names {
            assert_eq!(key.name(), name);
        }
    }

    #[test]
    fn shift_is_in_the_character() {
        let event = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(Key::pressed(&event), Key::char('N'));
        let event = KeyEvent::new(KeyCode::Up, KeyModifiers::SHIFT);
        let up = Key::new(KeyCode::Up).with(KeyModifiers::SHIFT);
        assert_eq!(Key::pressed(&event), up);
    }
}
