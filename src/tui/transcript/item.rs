//! One item of the transcript, with the rows that it has for a width.

use std::time::Instant;

use super::body::{Answer, User, Writing};
use super::card::Card;
use super::said::{Said, Tone};
use crate::tui::text::Row;
use crate::tui::text::highlight::Highlighter;
use crate::tui::theme::Theme;

/// What rows are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct For {
    pub columns: usize,
    pub theme: Theme,
    pub now: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Folded,
    Open,
}

pub(super) enum Body {
    User(User),
    Answer(Answer),
    Call(Card),
    Said(Said),
}

/// What an item's rows depend on besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    columns: usize,
    theme: Theme,
    generation: usize,
    /// Seconds that are shown.
    seconds: u64,
}

pub(super) struct Item {
    pub body: Body,
    fold: Fold,
    /// `None`: the rows are not those that there should be.
    stamp: Option<Stamp>,
    /// All rows, or those before the text of an answer.
    rows: Vec<Row>,
    /// How often it was laid out.
    #[cfg(test)]
    pub layouts: usize,
}

impl Item {
    pub fn new(body: Body) -> Self {
        Self {
            body,
            fold: Fold::Folded,
            stamp: None,
            rows: Vec::new(),
            #[cfg(test)]
            layouts: 0,
        }
    }

    /// Something about it changed.
    pub fn touch(&mut self) {
        self.stamp = None;
    }

    pub fn fold(&self) -> Fold {
        self.fold
    }

    pub fn set_fold(&mut self, fold: Fold) {
        if self.fold != fold {
            self.fold = fold;
            self.touch();
        }
    }

    /// Whether folding makes a difference.
    pub fn folds(&self) -> bool {
        matches!(self.body, Body::Call(_) | Body::User(_))
    }

    /// Whether a turn begins with it.
    pub fn is_message(&self) -> bool {
        matches!(self.body, Body::User(_))
    }

    pub fn is_running(&self) -> bool {
        matches!(&self.body, Body::Call(card) if card.is_running())
    }

    /// Nothing about it will change.
    pub fn is_final(&self) -> bool {
        match &self.body {
            Body::User(_) | Body::Said(_) => true,
            Body::Answer(answer) => answer.state == Writing::Ended,
            Body::Call(card) => card.is_final(),
        }
    }

    /// Whether it goes right below that one.
    pub fn joins(&self, above: &Self) -> bool {
        let tone = |item: &Self| match &item.body {
            Body::Said(said) => Some(said.tone),
            Body::User(_) | Body::Answer(_) | Body::Call(_) => None,
        };
        matches!(
            (tone(self), tone(above)),
            (Some(Tone::Notice), Some(Tone::Notice)) | (Some(Tone::Error), Some(Tone::Error))
        )
    }

    /// Makes its rows, unless they are as they should be.
    pub fn lay_out(&mut self, target: For, highlighter: &Highlighter) {
        if let Body::Call(card) = &mut self.body {
            card.started(target.now);
        }
        let stamp = Stamp {
            columns: target.columns,
            theme: target.theme,
            // Only code waits for colours.
            generation: match &self.body {
                Body::Answer(answer) if !answer.markdown.is_settled() => highlighter.generation(),
                Body::Answer(_) | Body::User(_) | Body::Call(_) | Body::Said(_) => 0,
            },
            seconds: match &self.body {
                Body::Call(card) => card.seconds(target.now),
                Body::User(_) | Body::Answer(_) | Body::Said(_) => 0,
            },
        };
        if self.stamp == Some(stamp) {
            return;
        }
        self.stamp = Some(stamp);
        #[cfg(test)]
        {
            self.layouts += 1;
        }
        self.rows = match &mut self.body {
            Body::User(user) => user.rows(target, self.fold),
            Body::Call(card) => card.rows(target, self.fold),
            Body::Said(said) => said.rows(target),
            Body::Answer(answer) => {
                let markdown = &mut answer.markdown;
                markdown.lay_out(target.columns, target.theme, highlighter);
                answer.stub(target)
            }
        };
    }

    /// Rows, or about how many there will be.
    pub fn height(&self, columns: usize) -> usize {
        match (&self.stamp, &self.body) {
            (Some(_), _) => self.rows.len() + self.text_rows().len(),
            (None, Body::User(user)) => about(&user.text, columns),
            (None, Body::Answer(answer)) => about(answer.markdown.source(), columns),
            (None, Body::Call(card)) => card.about(self.fold),
            (None, Body::Said(said)) => about(&said.text, columns),
        }
    }

    pub fn row(&self, row: usize) -> Option<&Row> {
        match row.checked_sub(self.rows.len()) {
            None => self.rows.get(row),
            Some(row) => self.text_rows().get(row),
        }
    }

    /// Rows before those of an answer's text.
    pub fn head(&self) -> usize {
        self.rows.len()
    }

    fn text_rows(&self) -> &[Row] {
        match &self.body {
            Body::Answer(answer) => answer.markdown.rows(),
            Body::User(_) | Body::Call(_) | Body::Said(_) => &[],
        }
    }

    /// What copying it gives.
    pub fn source(&self) -> String {
        match &self.body {
            Body::User(user) => user.text.clone(),
            Body::Answer(answer) => answer.markdown.source().trim().to_owned(),
            Body::Call(card) => card.source(),
            Body::Said(said) => said.text.clone(),
        }
    }
}

/// Rows that a text will have, about.
fn about(text: &str, columns: usize) -> usize {
    text.lines().map(|line| line.len() / columns + 1).sum()
}
