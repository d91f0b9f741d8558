//! The question for permission: what a call would do, to the letter, and what may be
//! answered. Nothing but a key that is named allows anything: Enter answers only once
//! an answer was moved to, and what is typed on from before is not heard.

use std::time::Instant;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::answers::Answers;
use super::diff::diff_lines;
use super::field::Field;
use super::frame::{self, Hint};
use super::guard::Guard;
use super::scroll::Scroll;
use crate::agent::{Approval, Question};
use crate::tools::Effect;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{fit, lines, styled, width};
use crate::tui::theme::{Role, Theme};

const COLUMNS: u16 = 110;
/// The share of the box that what would be done has whatever the answers take.
const SHARE: u16 = 3;
const WHY: &str = "why not: ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Yes,
    Edits,
    Always,
    Beginning,
    No,
    Because,
    Stop,
    Next,
    Previous,
    Take,
}

const fn binding(keys: &'static [Key], action: Act, help: &'static str) -> Binding<Act> {
    Binding { keys, action, help }
}

pub const KEYS: &[Binding<Act>] = &[
    binding(&[Key::char('y')], Act::Yes, "yes"),
    binding(
        &[Key::char('e')],
        Act::Edits,
        "yes, and to all edits from now on",
    ),
    binding(&[Key::char('a')], Act::Always, "always, exactly this"),
    binding(
        &[Key::char('p')],
        Act::Beginning,
        "always, what begins like it",
    ),
    binding(&[Key::char('n')], Act::No, "no"),
    binding(&[Key::char('r')], Act::Because, "no, and say why"),
    binding(
        &[Key::new(KeyCode::Esc), Key::ctrl('c')],
        Act::Stop,
        "stop the turn",
    ),
    binding(
        &[Key::new(KeyCode::Right), Key::new(KeyCode::Tab)],
        Act::Next,
        "next answer",
    ),
    binding(
        &[Key::new(KeyCode::Left), Key::new(KeyCode::BackTab)],
        Act::Previous,
        "answer before",
    ),
    binding(
        &[Key::new(KeyCode::Enter)],
        Act::Take,
        "give the marked answer",
    ),
];

pub struct ApprovalDialog {
    question: Question,
    answers: Answers,
    /// The reason that is being typed.
    reason: Option<Field>,
    preview: Scroll,
    guard: Guard,
}

impl ApprovalDialog {
    /// `since` is when it opened.
    pub fn new(question: Question, since: Instant, theme: Theme) -> Self {
        let preview = match question.effect {
            Effect::Write => diff_lines(&question.preview, theme),
            Effect::Read | Effect::Run => lines(&question.preview)
                .into_iter()
                .map(|line| styled(line, theme.style(Role::Text)))
                .collect(),
        };
        Self {
            answers: Answers::to(&question),
            question,
            reason: None,
            preview: Scroll::new(preview),
            guard: Guard::new(since),
        }
    }

    pub fn question(&self) -> &Question {
        &self.question
    }

    pub fn title(&self) -> String {
        let what = match self.question.effect {
            Effect::Read => "Read this?",
            Effect::Write => "Change this file?",
            Effect::Run => "Run this command?",
        };
        format!("{what} ({})", fit(&self.question.name, 40))
    }

    pub fn key(&mut self, key: Key, now: Instant) -> Option<Approval> {
        if !self.guard.lets_pass(key, now) {
            return None;
        }
        if let Some(reason) = &mut self.reason {
            return match bound(KEYS, key) {
                Some(Act::Take) => Some(no_because(reason.text())),
                Some(Act::Stop) if key.code == KeyCode::Esc => {
                    self.reason = None;
                    None
                }
                Some(Act::Stop) => Some(Approval::Stop),
                _ => {
                    reason.key(key);
                    None
                }
            };
        }
        match bound(KEYS, key) {
            Some(action) => self.act(action),
            None => {
                self.preview.key(key);
                None
            }
        }
    }

    /// Text for the reason; it is no answer.
    pub fn paste(&mut self, text: &str) {
        if let Some(reason) = &mut self.reason {
            reason.insert(text);
        }
    }

    fn act(&mut self, action: Act) -> Option<Approval> {
        match action {
            Act::Next => {
                self.answers.mark_next();
                None
            }
            Act::Previous => {
                self.answers.mark_before();
                None
            }
            Act::Take => self.answer(self.answers.marked()?),
            answer => self.answer(answer),
        }
    }

    fn answer(&mut self, answer: Act) -> Option<Approval> {
        if !self.answers.has(answer) {
            return None;
        }
        match answer {
            Act::Yes => Some(Approval::Yes),
            Act::Edits => Some(Approval::AcceptEdits),
            Act::Always => self.answers.exact().cloned().map(Approval::Always),
            Act::Beginning => self.answers.beginning().cloned().map(Approval::Always),
            Act::No => Some(Approval::No),
            Act::Because => {
                self.reason = Some(Field::default());
                None
            }
            Act::Stop => Some(Approval::Stop),
            Act::Next | Act::Previous | Act::Take => None,
        }
    }

    fn place(&self, screen: Rect, rows: usize) -> Rect {
        let rows = u16::try_from(rows.saturating_add(2)).unwrap_or(u16::MAX);
        frame::place(screen, COLUMNS, rows)
    }

    pub fn layout(&mut self, screen: Rect) {
        let columns = frame::inner(self.place(screen, usize::MAX)).width;
        self.preview.rows_at(columns);
        let (preview, _) = self.split(screen);
        self.preview.layout(preview.width, preview.height);
    }

    /// The whole box.
    fn area(&self, screen: Rect) -> Rect {
        let columns = frame::inner(self.place(screen, usize::MAX)).width;
        let answers = self.answers.rows(columns, Theme::Plain).len();
        self.place(screen, self.preview.rows() + 1 + answers)
    }

    /// Where the preview goes, and the answers below it.
    fn split(&self, screen: Rect) -> (Rect, Rect) {
        let inner = frame::inner(self.area(screen));
        let rows = self.answers.rows(inner.width, Theme::Plain).len();
        let wanted = u16::try_from(rows).unwrap_or(u16::MAX);
        let least = (inner.height / SHARE).max(1);
        let answers = wanted.min(inner.height.saturating_sub(least));
        // A blank row between them where there is room for all and that.
        let blank = u16::from(inner.height > answers + least);
        let height = inner.height - answers - blank;
        (
            Rect { height, ..inner },
            Rect {
                y: inner.y + height + blank,
                height: answers,
                ..inner
            },
        )
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let area = self.area(screen);
        frame::draw(area, buf, theme, &self.title(), &self.hints());
        let (preview, answers) = self.split(screen);
        self.preview.render(preview, buf);
        match &self.reason {
            Some(reason) => {
                frame::write(answers, 0, WHY, theme.style(Role::Hint), buf);
                reason.render(reason_place(answers), buf, theme.style(Role::Text));
            }
            None => {
                let rows = self.answers.rows(answers.width, theme);
                for (row, line) in (0..answers.height).zip(&rows) {
                    frame::put(answers, row, line, buf);
                }
            }
        }
    }

    fn hints(&self) -> Vec<Hint> {
        let mut hints: Vec<Hint> = self.preview.hint().into_iter().collect();
        if self.reason.is_some() {
            let named = [(Act::Take, "send"), (Act::Stop, "back")];
            hints.extend(named.iter().filter_map(|(act, help)| {
                let (key, _) = frame::hint(KEYS, act)?;
                Some((key, (*help).to_owned()))
            }));
        } else if self.answers.marked().is_some() {
            hints.extend(frame::hint(KEYS, &Act::Take));
        }
        hints
    }

    pub fn cursor(&self, screen: Rect) -> Option<Position> {
        let (_, answers) = self.split(screen);
        self.reason.as_ref()?.cursor(reason_place(answers))
    }
}

fn reason_place(answers: Rect) -> Rect {
    let before = u16::try_from(width(WHY)).unwrap_or(0).min(answers.width);
    Rect::new(
        answers.x + before,
        answers.y,
        answers.width - before,
        answers.height.min(1),
    )
}

fn no_because(why: &str) -> Approval {
    match why.trim() {
        "" => Approval::No,
        why => Approval::NoBecause(why.to_owned()),
    }
}
