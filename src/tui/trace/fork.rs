//! What comes instead of a token: an alternative, typed text, or another draw.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::text::Line;

use super::detail::{percent, quoted};
use super::store::{Choice, Trace};
use super::vocabulary::Vocabulary;
use crate::sandbox::sanitize;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::styled;
use crate::tui::theme::{Role, Theme};

/// Characters that can be typed.
const MOST: usize = 2000;
const NAME: usize = 24;

/// What an answer goes on with from a token on.
#[derive(Clone, Debug, PartialEq)]
pub enum With {
    /// This id in its place.
    Token(u32),
    /// This text in its place.
    Text(String),
    /// What comes of other sampling; `None` is drawn, or stays as it is.
    Resample {
        seed: Option<u64>,
        temperature: Option<f32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    /// The alternative of this number.
    Pick(usize),
    Accept,
    Type,
    Resample,
    Temperature,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::char('k')],
        action: Act::Up,
        help: "the alternative above",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: Act::Down,
        help: "the alternative below",
    },
    pick(&[Key::char('1')], 0),
    pick(&[Key::char('2')], 1),
    pick(&[Key::char('3')], 2),
    pick(&[Key::char('4')], 3),
    pick(&[Key::char('5')], 4),
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: Act::Accept,
        help: "go on with the chosen alternative, or with what was typed",
    },
    Binding {
        keys: &[Key::char('t')],
        action: Act::Type,
        help: "type what comes instead",
    },
    Binding {
        keys: &[Key::char('s')],
        action: Act::Resample,
        help: "draw again with another seed",
    },
    Binding {
        keys: &[Key::char('T')],
        action: Act::Temperature,
        help: "draw again at another temperature",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('q')],
        action: Act::Close,
        help: "leave the answer as it is",
    },
];

const fn pick(keys: &'static [Key], at: usize) -> Binding<Act> {
    Binding {
        keys,
        action: Act::Pick(at),
        help: "go on with the alternative of this number",
    }
}

/// What is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Nothing,
    Text(String),
    Temperature(String),
}

/// What a key did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Open,
    Close,
    Fork(With),
    /// It can't be done, and why.
    Refused(String),
}

/// The panel.
#[derive(Clone, Debug)]
pub struct Fork {
    token: usize,
    choices: Vec<Choice>,
    chosen: usize,
    input: Input,
}

impl Fork {
    /// At a token. The first alternative that was not taken is chosen.
    pub fn at(trace: &Trace, token: usize) -> Self {
        let choices = trace.choices(token);
        let other = choices.iter().position(|one| one.id != trace.id(token));
        Self {
            token,
            chosen: other.unwrap_or(0),
            choices,
            input: Input::Nothing,
        }
    }

    pub fn token(&self) -> usize {
        self.token
    }

    pub fn key(&mut self, key: Key) -> Outcome {
        if self.input != Input::Nothing {
            return self.typed(key);
        }
        let Some(act) = bound(KEYS, key) else {
            return Outcome::Open;
        };
        match act {
            Act::Up => self.chosen = self.chosen.saturating_sub(1),
            Act::Down => {
                let last = self.choices.len().saturating_sub(1);
                self.chosen = (self.chosen + 1).min(last);
            }
            Act::Pick(at) => return self.pick(at),
            Act::Accept => return self.pick(self.chosen),
            Act::Type => self.input = Input::Text(String::new()),
            Act::Temperature => self.input = Input::Temperature(String::new()),
            Act::Resample => {
                return Outcome::Fork(With::Resample {
                    seed: None,
                    temperature: None,
                });
            }
            Act::Close => return Outcome::Close,
        }
        Outcome::Open
    }

    fn pick(&self, at: usize) -> Outcome {
        match self.choices.get(at) {
            Some(choice) => Outcome::Fork(With::Token(choice.id)),
            None => Outcome::Refused(format!("there is no alternative {}", at + 1)),
        }
    }

    /// A key while something is typed.
    fn typed(&mut self, key: Key) -> Outcome {
        let (Input::Text(text) | Input::Temperature(text)) = &mut self.input else {
            return Outcome::Open;
        };
        let held = key.modifiers.difference(KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Esc => self.input = Input::Nothing,
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Enter => return self.accept(),
            KeyCode::Char(c) if held.is_empty() && text.len() < MOST => text.push(c),
            _ => {}
        }
        Outcome::Open
    }

    /// Whether something is typed.
    pub fn takes_text(&self) -> bool {
        self.input != Input::Nothing
    }

    /// Text that was pasted.
    pub fn paste(&mut self, pasted: &str) {
        if let Input::Text(text) | Input::Temperature(text) = &mut self.input {
            let room = MOST.saturating_sub(text.len());
            text.extend(pasted.chars().take(room));
        }
    }

    fn accept(&self) -> Outcome {
        match &self.input {
            Input::Nothing => self.pick(self.chosen),
            Input::Text(text) if text.is_empty() => {
                Outcome::Refused("there is no text to go on with".into())
            }
            Input::Text(text) => Outcome::Fork(With::Text(text.clone())),
            Input::Temperature(text) => match text.trim().parse::<f32>() {
                Ok(temperature) if (0.0..=10.0).contains(&temperature) => {
                    Outcome::Fork(With::Resample {
                        seed: None,
                        temperature: Some(temperature),
                    })
                }
                _ => Outcome::Refused("a temperature is a number from 0 to 10".into()),
            },
        }
    }

    /// Which of the lines is the chosen alternative's.
    pub fn chosen_line(&self) -> usize {
        self.chosen + 1
    }

    /// The panel's lines: a title, the alternatives, and what is typed.
    pub fn lines(&self, trace: &Trace, words: &Vocabulary, theme: Theme) -> Vec<Line<'static>> {
        let name = quoted(words.bytes(trace.id(self.token)), NAME);
        let title = format!("Instead of {name}, token {}:", self.token + 1);
        let mut lines = vec![styled(title, theme.style(Role::Heading))];
        for (at, one) in self.choices.iter().enumerate() {
            let is_chosen = at == self.chosen && self.input == Input::Nothing;
            let mark = if is_chosen { '›' } else { ' ' };
            let taken = if one.id == trace.id(self.token) {
                " (taken)"
            } else {
                ""
            };
            let name = quoted(words.bytes(one.id), NAME);
            let text = format!("{mark}{} {:>6} {name}{taken}", at + 1, percent(one.logprob));
            let role = if is_chosen {
                Role::Selected
            } else {
                Role::Text
            };
            lines.push(styled(text, theme.style(role)));
        }
        let hint = match &self.input {
            Input::Nothing => "1-5 t text s seed T temp Esc".to_owned(),
            Input::Text(text) => format!("text: {}▏", tail(text)),
            Input::Temperature(text) => format!("temperature: {}▏", tail(text)),
        };
        lines.push(styled(hint, theme.style(Role::Hint)));
        lines
    }
}

/// The end of what is typed, which is where it goes on.
pub fn tail(text: &str) -> String {
    const SHOWN: usize = 20;
    let skipped = text.chars().count().saturating_sub(SHOWN);
    let end: String = text.chars().skip(skipped).collect();
    let cut = if skipped > 0 { "…" } else { "" };
    format!("{cut}{}", sanitize::for_line(&end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    fn keys(fork: &mut Fork, text: &str) -> Outcome {
        let mut last = Outcome::Open;
        for c in text.chars() {
            last = fork.key(match c {
                '⏎' => Key::new(KeyCode::Enter),
                '⎋' => Key::new(KeyCode::Esc),
                '⌫' => Key::new(KeyCode::Backspace),
                c => Key::char(c),
            });
        }
        last
    }

    #[test]
    fn every_way_to_go_on_can_be_said() {
        let (trace, words) = trace(&["a", " b"]);
        let open = || Fork::at(&trace, 1);
        let resample = |temperature| {
            Outcome::Fork(With::Resample {
                seed: None,
                temperature,
            })
        };
        let token = |id| Outcome::Fork(With::Token(id));
        assert_eq!(keys(&mut open(), "⏎"), token(501));
        assert_eq!(keys(&mut open(), "j⏎"), token(502));
        assert_eq!(keys(&mut open(), "5"), token(504));
        assert_eq!(keys(&mut open(), "s"), resample(None));
        assert_eq!(keys(&mut open(), "T0.7⏎"), resample(Some(0.7)));
        assert_eq!(
            keys(&mut open(), "tno!⌫ 5⏎"),
            Outcome::Fork(With::Text("no 5".into()))
        );
        assert_eq!(keys(&mut open(), "tx⎋⎋"), Outcome::Close);
        for refused in ["T11⏎", "TNaN⏎", "Tx⏎", "t⏎"] {
            assert!(
                matches!(keys(&mut open(), refused), Outcome::Refused(_)),
                "{refused}"
            );
        }
        let mut fork = open();
        keys(&mut fork, "t");
        fork.paste("a\nb");
        let lines = fork.lines(&trace, &words, Theme::Plain);
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "Instead of \"␣b\", token 2:",
                " 1  74.1% \"␣b\" (taken)",
                " 2  13.5% \"␣alt1\"",
                " 3   5.0% \"␣alt2\"",
                " 4   1.8% \"␣alt3\"",
                " 5   0.7% \"␣alt4\"",
                "text: a␊b▏",
            ]
        );
    }
}
