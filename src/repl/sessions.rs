//! `/sessions`, `/resume`, `/fork` and `/edit`: other conversations, and other
//! turns that this one could have taken.

use super::Repl;
use crate::agent::present::one_line;
use crate::agent::session::{SessionError, Sessions};
use crate::agent::{Kind, Session, Settings};

/// Characters of a message in a list, and messages shown of a session that goes on.
const TITLE: usize = 60;
const RECENT: usize = 3;
/// Sessions listed.
const LISTED: usize = 20;

impl Repl {
    /// Shows what was said last, and finishes a turn that was cut off.
    pub(super) fn recall(&mut self) {
        let messages = messages(self.agent.session());
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

    pub(super) fn sessions(&mut self) {
        match self.listed() {
            Ok(lines) if lines.is_empty() => self.front.screen.say("no other sessions"),
            Ok(lines) => lines.iter().for_each(|line| self.front.screen.say(line)),
            Err(error) => self.front.screen.say(&format!("error: {error}")),
        }
    }

    /// Those of this workspace, the newest first.
    fn listed(&self) -> Result<Vec<String>, SessionError> {
        let Some(sessions) = self.agent.sessions() else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        for id in sessions.ids()? {
            let Ok(summary) = sessions.summary(&id) else {
                continue;
            };
            if summary.header.workspace != self.agent.workspace().root() {
                continue;
            }
            let here = match id == self.agent.session_id() {
                true => " (this one)",
                false => "",
            };
            let turns = summary.turns;
            lines.push(format!(
                "{id}  {turns:>3} turns  {}{here}",
                one_line(&summary.title, TITLE)
            ));
            if lines.len() == LISTED {
                lines.push("... (`cairn sessions` lists all)".to_owned());
                break;
            }
        }
        Ok(lines)
    }

    pub(super) fn resume(&mut self, prefix: &str) {
        let opened = self.folder().and_then(|sessions| {
            let id = sessions.find(prefix).map_err(|error| error.to_string())?;
            match id == self.agent.session_id() {
                true => Err("that is this session".to_owned()),
                false => sessions.open(&id).map_err(|error| error.to_string()),
            }
        });
        let resumed = opened.and_then(|opened| self.agent.resume(opened, &Settings::default()));
        self.begun(resumed);
    }

    pub(super) fn fork(&mut self, what: &str) {
        let (id, entry) = what.split_once('@').unwrap_or((what, ""));
        let id = match id.trim() {
            "" => self.agent.session_id().to_owned(),
            id => id.to_owned(),
        };
        let entry = match entry.trim() {
            "" => Ok(None),
            number => number
                .parse()
                .map(Some)
                .map_err(|_| format!("{number:?} is no number of an entry")),
        };
        let forked = entry.and_then(|entry| {
            let sessions = self.folder()?;
            let id = sessions.find(&id).map_err(|error| error.to_string())?;
            sessions.fork(&id, entry).map_err(|error| error.to_string())
        });
        let begun = forked.and_then(|forked| self.agent.fork(&forked, &Settings::default()));
        self.begun(begun);
    }

    /// Another session than before, or why not.
    fn begun(&mut self, begun: Result<Vec<String>, String>) {
        match begun {
            Ok(notices) => {
                for notice in notices {
                    self.front.screen.dim(&notice);
                }
                self.recall();
            }
            Err(why) => self.front.screen.say(&format!("error: {why}")),
        }
    }

    pub(super) fn edit(&mut self, what: &str) {
        let (number, text) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
        let text = text.trim();
        let Ok(number) = number.parse() else {
            let messages = messages(self.agent.session());
            for (number, text) in messages.iter().enumerate() {
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

    fn folder(&self) -> Result<Sessions, String> {
        let sessions = self.agent.sessions().cloned();
        sessions.ok_or_else(|| "sessions are not kept".to_owned())
    }
}

/// What the user said on the way to here.
fn messages(session: &Session) -> Vec<String> {
    let path = session.journal().path();
    let texts = path.iter().filter_map(|entry| match &entry.kind {
        Kind::User { text, .. } => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}
