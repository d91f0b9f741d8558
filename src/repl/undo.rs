//! `/undo` and `/redo`: what was brought back is named; where that would overwrite
//! what somebody else changed, those files are named first and it is asked.

use super::{Input, Line, Repl};
use crate::undo::{Answer, Force, Report};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Back,
    Forth,
}

impl Repl {
    pub(super) fn undo(&mut self, way: Way) {
        let word = match way {
            Way::Back => "undo",
            Way::Forth => "redo",
        };
        let answer = match self.try_undo(way, Force::No) {
            Ok(Answer::Conflicts(report)) => {
                let text = format!(
                    "{word} would overwrite what the turn did not leave so:\n{}",
                    report.conflict_lines().join("\n")
                );
                self.front.screen.say(&text);
                if !agrees(&mut self.front.input) {
                    self.front.screen.say("nothing was changed");
                    return;
                }
                self.try_undo(way, Force::Yes)
            }
            other => other,
        };
        let text = match answer {
            Ok(Answer::Done(report)) => summary(way, &report),
            Ok(Answer::Nothing) => format!("there is nothing to {word}"),
            Ok(Answer::Conflicts(_)) => "nothing was changed".into(),
            Err(message) => format!("error: {message}"),
        };
        self.front.screen.say(&text);
    }

    fn try_undo(&mut self, way: Way, force: Force) -> Result<Answer, String> {
        match way {
            Way::Back => self.agent.undo(force, &mut self.front),
            Way::Forth => self.agent.redo(force, &mut self.front),
        }
    }
}

/// Anything but a yes is a no.
fn agrees(input: &mut Input) -> bool {
    let answer = match input.line("overwrite? [y]es / [N]o: ") {
        Ok(Line::Text(answer)) => answer.trim().to_ascii_lowercase(),
        _ => return false,
    };
    matches!(answer.as_str(), "y" | "yes")
}

fn summary(way: Way, report: &Report) -> String {
    let word = match way {
        Way::Back => "undone",
        Way::Forth => "redone",
    };
    let mut lines = vec![format!("{word}: {}", report.label)];
    lines.extend(report.lines());
    if !report.conflicts.is_empty() {
        let other = match way {
            Way::Back => "redo",
            Way::Forth => "undo",
        };
        lines.push(format!("what was overwritten comes back with /{other}"));
    }
    if lines.len() == 1 {
        lines.push("  everything was so already".into());
    }
    lines.join("\n")
}
