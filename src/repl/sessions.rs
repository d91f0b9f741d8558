//! A conversation that goes on, and `/edit`: another turn that it could have taken.

use super::Repl;
use crate::agent::present::one_line;

/// Characters of a message in a list, and messages shown of a session that goes on.
const TITLE: usize = 60;
const RECENT: usize = 3;

impl Repl {
    /// Shows what was said last, and finishes a turn that was cut off.
    pub(super) fn recall(&mut self) {
        let messages = self.agent.said();
        if messages.is_empty() {
            return;
        }
        let line = format!("session {} goes on", self.agent.session_id());
        self.front.screen.dim(&line);
        let skipped = messages.len().saturating_sub(RECENT);
        for (number, text) in messages.iter().enumerate().skip(skipped) {
            let line = format!("{}: {}", number + 1, one_line(text, TITLE));
            self.front.screen.dim(&line);
        }
        if self.agent.unfinished().is_some() {
            self.front
                .screen
                .dim("the last turn was cut off and is finished now");
            self.agent.go_on(&mut self.front);
        }
    }

    pub(super) fn edit(&mut self, what: &str) {
        let (number, text) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
        let text = text.trim();
        let Ok(number) = number.parse() else {
            for (number, text) in self.agent.said().iter().enumerate() {
                let line = format!("{}: {}", number + 1, one_line(text, TITLE));
                self.front.screen.say(&line);
            }
            self.front
                .screen
                .say("/edit N TEXT says TEXT instead of the N-th of these");
            return;
        };
        if text.is_empty() {
            self.front.screen.say("/edit N TEXT: there is no text");
            return;
        }
        match self.agent.go_back(number, &mut self.front) {
            Ok(()) => {
                let line = "a new branch; files stay as they are (/undo takes changes back)";
                self.front.screen.dim(line);
                self.agent.turn(text, &mut self.front);
            }
            Err(why) => self.front.screen.say(&why),
        }
    }
}
