//! A stored session's answers, so that its traces can be walked without a model: what
//! `cairn trace SESSION[@turn]` names, and the list to choose from.

use crate::agent::present::{self, thousands};
use crate::agent::session::{Log, path_to};
use crate::agent::{Entry, Finish, Kind};

/// Characters of what was asked.
const TITLE: usize = 60;

/// Which session, and which turn of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A session's id, or its beginning.
    pub session: String,
    /// Counts from 1.
    pub turn: Option<usize>,
}

impl Wanted {
    /// Of `ID` or `ID@3`.
    ///
    /// # Errors
    /// When it is neither: what it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (session, turn) = match text.split_once('@') {
            None => (text, None),
            Some((session, turn)) => (session, Some(turn)),
        };
        let turn = turn.map(|turn| turn.parse().ok().filter(|turn| *turn > 0));
        match turn {
            _ if session.is_empty() => Err(format!("{text:?} names no session")),
            Some(None) => Err(format!(
                "{text:?}: after @ comes the number of a turn, counted from 1"
            )),
            turn => Ok(Self {
                session: session.to_owned(),
                turn: turn.flatten(),
            }),
        }
    }
}

/// An answer that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRef {
    /// Counts from 1.
    pub turn: usize,
    /// Its entry in the log.
    pub entry: u64,
    /// What was asked; safe for a terminal.
    pub title: String,
    /// Its number within the turn, from 1.
    pub number: usize,
    pub tokens: usize,
}

impl AnswerRef {
    /// `turn 3: what was asked / answer 2: 412 tokens`.
    pub fn line(&self) -> String {
        let Self {
            turn,
            title,
            number,
            tokens,
            ..
        } = self;
        let tokens = thousands(*tokens);
        format!("turn {turn}: {title} / answer {number}: {tokens} tokens")
    }
}

/// The answers on the path to a session's head.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    answers: Vec<AnswerRef>,
}

impl Stored {
    pub fn new(log: &Log) -> Self {
        Self::of(&log.entries)
    }

    /// Of a log's entries, in the order of their ids.
    pub fn of(entries: &[Entry]) -> Self {
        let head = entries.last().map(|entry| entry.id);
        let mut stored = Self::default();
        let (mut turn, mut title, mut number) = (0, String::new(), 0);
        for entry in path_to(entries, head) {
            match &entry.kind {
                Kind::User { text, .. } => {
                    turn += 1;
                    title = present::title(text, TITLE);
                    number = 0;
                }
                Kind::Assistant(answer) => {
                    number += 1;
                    // A stop id ends the ids, and is no token of the trace.
                    let stop = usize::from(answer.finish == Finish::Stop);
                    stored.answers.push(AnswerRef {
                        turn,
                        entry: entry.id,
                        title: title.clone(),
                        number,
                        tokens: answer.ids.len().saturating_sub(stop),
                    });
                }
                _ => {}
            }
        }
        stored
    }

    /// All of them, in order.
    pub fn answers(&self) -> &[AnswerRef] {
        &self.answers
    }

    /// The answer to begin with: the first of a turn, or the session's last.
    ///
    /// # Errors
    /// When there is none: what there is.
    pub fn first(&self, turn: Option<usize>) -> Result<&AnswerRef, String> {
        let last = self.answers.last().ok_or("the session has no answers")?;
        match turn {
            None => Ok(last),
            Some(turn) => self
                .answers
                .iter()
                .find(|one| one.turn == turn)
                .ok_or_else(|| {
                    format!(
                        "turn {turn} has no answer; the last that has one is {}",
                        last.turn
                    )
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Answer;

    #[test]
    fn what_is_wanted_is_read() {
        let wanted = |session: &str, turn| {
            Ok(Wanted {
                session: session.into(),
                turn,
            })
        };
        assert_eq!(Wanted::parse("k3f"), wanted("k3f", None));
        assert_eq!(Wanted::parse("k3f@12"), wanted("k3f", Some(12)));
        for text in ["", "@3", "k3f@", "k3f@0", "k3f@x", "k3f@1@2"] {
            assert!(Wanted::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_are_those_of_the_path_by_turn() {
        let user = |text: &str| Kind::User {
            text: text.into(),
            attached: Vec::new(),
        };
        let answer = |ids: usize| {
            Kind::Assistant(Answer {
                ids: vec![1; ids],
                ..Answer::default()
            })
        };
        let kinds = [
            (None, user("a\u{1b}[2J")),
            (Some(1), answer(1200)),
            (Some(2), answer(2)),
            (Some(3), user("left")),
            (Some(4), answer(9)),
            (
                Some(3),
                Kind::Fork {
                    from: 5,
                    opening: None,
                },
            ),
            (Some(6), user("b")),
            (Some(7), answer(3)),
        ];
        let entries: Vec<Entry> = (1..)
            .zip(kinds)
            .map(|(id, (parent, kind))| Entry { id, parent, kind })
            .collect();
        let stored = Stored::of(&entries);
        let lines: Vec<String> = stored.answers().iter().map(AnswerRef::line).collect();
        assert_eq!(
            lines,
            [
                "turn 1: a␛[2J / answer 1: 1,199 tokens",
                "turn 1: a␛[2J / answer 2: 1 tokens",
                "turn 2: b / answer 1: 2 tokens",
            ]
        );
        let first = |turn| stored.first(turn).map(|one| one.entry);
        assert_eq!((first(None), first(Some(1))), (Ok(8), Ok(2)));
        assert!(first(Some(3)).is_err());
        assert!(Stored::of(&[]).first(None).is_err());
    }
}
