//! `/undo` and `/redo`: what was brought back is named; where that would overwrite
//! what somebody else changed, those files are named first, to be asked about.

use super::obey::Obeyed;
use crate::undo::{Answer, Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Back,
    Forth,
}

impl Way {
    pub fn word(self) -> &'static str {
        match self {
            Self::Back => "undo",
            Self::Forth => "redo",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Back => Self::Forth,
            Self::Forth => Self::Back,
        }
    }
}

pub(super) fn told(way: Way, answer: Result<Answer, String>) -> Obeyed {
    let word = way.word();
    Obeyed::Said(match answer {
        Ok(Answer::Done(report)) => summary(way, &report),
        Ok(Answer::Nothing) => format!("there is nothing to {word}"),
        Ok(Answer::Conflicts(report)) => {
            let text = format!(
                "{word} would overwrite what the turn did not leave so:\n{}",
                report.conflict_lines().join("\n")
            );
            return Obeyed::Asks(way, text);
        }
        Err(message) => format!("error: {message}"),
    })
}

fn summary(way: Way, report: &Report) -> String {
    let word = match way {
        Way::Back => "undone",
        Way::Forth => "redone",
    };
    let mut lines = vec![format!("{word}: {}", report.label)];
    lines.extend(report.lines());
    if !report.conflicts.is_empty() {
        let other = way.other().word();
        lines.push(format!("what was overwritten comes back with /{other}"));
    }
    if lines.len() == 1 {
        lines.push("  everything was so already".into());
    }
    lines.join("\n")
}
