//! What may be answered to a question for permission, in the order in which it is shown,
//! and how it looks.

use ratatui::text::{Line, Span};

use super::approval::{Act, KEYS};
use super::frame;
use super::item::Mark;
use crate::agent::Question;
use crate::sandbox::{Rule, sanitize};
use crate::tools::Effect;
use crate::tui::text::{fit, line_width, styled, wrap};
use crate::tui::theme::{Role, Theme};

/// Rows of one answer; a rule may be long.
const ANSWER_ROWS: usize = 3;
const BETWEEN: &str = "  ";

pub struct Answers {
    all: Vec<Act>,
    /// The one that was moved to.
    marked: Option<usize>,
    rules: Vec<Rule>,
}

impl Answers {
    pub fn to(question: &Question) -> Self {
        Self {
            all: answers(question),
            marked: None,
            rules: question.always.clone(),
        }
    }

    pub fn has(&self, answer: Act) -> bool {
        self.all.contains(&answer)
    }

    /// The rule about exactly this.
    pub fn exact(&self) -> Option<&Rule> {
        exact(&self.rules)
    }

    /// The rule about all that begins like it.
    pub fn beginning(&self) -> Option<&Rule> {
        beginning(&self.rules)
    }

    pub fn marked(&self) -> Option<Act> {
        self.all.get(self.marked?).copied()
    }

    pub fn mark_next(&mut self) {
        let last = self.all.len().saturating_sub(1);
        self.marked = Some(self.marked.map_or(0, |at| (at + 1).min(last)));
    }

    pub fn mark_before(&mut self) {
        let last = self.all.len().saturating_sub(1);
        self.marked = Some(self.marked.map_or(last, |at| at.saturating_sub(1)));
    }

    /// The answers with their keys, side by side as far as they fit.
    pub fn rows(&self, columns: u16, theme: Theme) -> Vec<Line<'static>> {
        let columns = usize::from(columns).max(1);
        let mut rows: Vec<Line<'static>> = Vec::new();
        for (at, answer) in self.all.iter().enumerate() {
            let mark = match self.marked == Some(at) {
                true => Mark::Selected,
                false => Mark::None,
            };
            let line = self.line(*answer, mark, theme);
            match rows.last_mut() {
                Some(row) if line_width(row) + BETWEEN.len() + line_width(&line) <= columns => {
                    row.spans.push(Span::raw(BETWEEN));
                    row.spans.extend(line.spans);
                }
                _ => rows.extend(bounded(wrap(&line, columns, 2), columns)),
            }
        }
        rows
    }

    fn line(&self, answer: Act, mark: Mark, theme: Theme) -> Line<'static> {
        let key = frame::hint(KEYS, &answer).map_or(String::new(), |(key, _)| key);
        let label = match answer {
            Act::Yes => "yes".to_owned(),
            Act::Edits => "all edits".to_owned(),
            Act::Always => match self.exact() {
                Some(Rule::RunExact(_)) | None => "always this".to_owned(),
                Some(rule) => format!("always {}", sanitize::for_line(&rule.to_string())),
            },
            Act::Beginning => match self.beginning() {
                Some(rule) => format!("always {}", sanitize::for_line(&rule.to_string())),
                None => String::new(),
            },
            Act::No => "no".to_owned(),
            Act::Because => "no, because".to_owned(),
            Act::Stop => "stop".to_owned(),
            Act::Next | Act::Previous | Act::Take => String::new(),
        };
        let style = |role| match mark {
            Mark::Selected => theme.style(Role::Selected),
            Mark::None => theme.style(role),
        };
        // Reversed colours alone say too little.
        let sign = match mark {
            Mark::Selected => ">",
            Mark::None => "",
        };
        Line::from(vec![
            Span::styled(format!("{sign}[{key}]"), style(Role::Hint)),
            Span::styled(format!(" {label}"), style(Role::Text)),
        ])
    }
}

/// The first rows of an answer, `…` at the end of the last where there are more.
fn bounded(mut rows: Vec<Line<'static>>, columns: usize) -> Vec<Line<'static>> {
    if rows.len() > ANSWER_ROWS {
        rows.truncate(ANSWER_ROWS);
        if let Some(last) = rows.last_mut() {
            let style = last.spans.last().map_or(last.style, |span| span.style);
            *last = styled(fit(&format!("{last}…"), columns), style);
        }
    }
    rows
}

fn answers(question: &Question) -> Vec<Act> {
    let mut answers = vec![Act::Yes];
    if question.effect == Effect::Write {
        answers.push(Act::Edits);
    }
    answers.extend([Act::No, Act::Because, Act::Stop]);
    // Last, as rules may be so long that there is no room for more.
    if exact(&question.always).is_some() {
        answers.push(Act::Always);
    }
    if beginning(&question.always).is_some() {
        answers.push(Act::Beginning);
    }
    answers
}

fn is_beginning(rule: &Rule) -> bool {
    matches!(rule, Rule::RunPrefix(_))
}

fn exact(rules: &[Rule]) -> Option<&Rule> {
    rules.iter().find(|rule| !is_beginning(rule))
}

fn beginning(rules: &[Rule]) -> Option<&Rule> {
    rules.iter().find(|rule| is_beginning(rule))
}
