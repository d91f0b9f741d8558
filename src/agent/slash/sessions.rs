//! `/sessions`, `/resume` and `/fork`: other conversations than this one.

use crate::agent::present::one_line;
use crate::agent::session::{SessionError, Sessions, Summary};
use crate::agent::{Agent, Kind, Settings};

/// Characters of a message in a list.
const TITLE: usize = 60;
/// Sessions listed.
const LISTED: usize = 20;

impl Agent {
    fn sessions_here(&self) -> Result<Vec<Summary>, SessionError> {
        match self.sessions() {
            Some(sessions) => sessions.of_workspace(self.workspace().root(), LISTED),
            None => Ok(Vec::new()),
        }
    }

    /// What the user said on the way to here, oldest first.
    pub fn said(&self) -> Vec<String> {
        let path = self.session().journal().path();
        let texts = path.iter().filter_map(|entry| match &entry.kind {
            Kind::User { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }

    pub(super) fn sessions_text(&self) -> String {
        let summaries = match self.sessions_here() {
            Ok(summaries) => summaries,
            Err(error) => return format!("error: {error}"),
        };
        let mut lines: Vec<String> = { summaries.iter() }.map(|one| self.listed(one)).collect();
        match lines.len() {
            0 => return "no other sessions".to_owned(),
            LISTED => lines.push("... (`cairn sessions` lists all)".to_owned()),
            _ => {}
        }
        lines.join("\n")
    }

    fn listed(&self, summary: &Summary) -> String {
        let id = &summary.header.id;
        let here = match id == self.session_id() {
            true => " (this one)",
            false => "",
        };
        let turns = summary.turns;
        let title = one_line(&summary.title, TITLE);
        format!("{id}  {turns:>3} turns  {title}{here}")
    }

    pub(super) fn resume_named(&mut self, prefix: &str) -> Result<Vec<String>, String> {
        let sessions = self.folder()?;
        let id = sessions.find(prefix).map_err(|error| error.to_string())?;
        if id == self.session_id() {
            return Err("that is this session".to_owned());
        }
        let opened = sessions.open(&id).map_err(|error| error.to_string())?;
        self.resume(opened, &Settings::default())
    }

    pub(super) fn fork_named(&mut self, what: &str) -> Result<Vec<String>, String> {
        let (id, entry) = what.split_once('@').unwrap_or((what, ""));
        let id = match id.trim() {
            "" => self.session_id().to_owned(),
            id => id.to_owned(),
        };
        let entry = match entry.trim() {
            "" => None,
            number => {
                let parsed = number.parse();
                Some(parsed.map_err(|_| format!("{number:?} is no number of an entry"))?)
            }
        };
        let sessions = self.folder()?;
        let id = sessions.find(&id).map_err(|error| error.to_string())?;
        let forked = sessions.fork(&id, entry);
        let forked = forked.map_err(|error| error.to_string())?;
        self.fork(&forked, &Settings::default())
    }

    fn folder(&self) -> Result<Sessions, String> {
        let sessions = self.sessions().cloned();
        sessions.ok_or_else(|| "sessions are not kept".to_owned())
    }
}
