//! Which session a conversation begins with: a new one, or what `--continue`,
//! `--resume` or `--fork` name.

use std::path::{Path, PathBuf};

use super::args::RunArgs;
use super::folders;
use super::setup::Failure;
use crate::agent::session::{Forked, Header, Opened, SessionError, Sessions};
use crate::agent::{Agent, Reason, Settings};

pub enum Begin {
    New,
    Opened(Box<Opened>),
    Forked(Box<Forked>),
}

/// `<state folder>/sessions`.
///
/// # Errors
/// Without a home folder.
pub fn sessions() -> Result<Sessions, String> {
    let state = folders::state();
    let state = state.ok_or("there is no home folder to keep sessions in")?;
    Ok(Sessions::at(state.join("sessions")))
}

impl Begin {
    /// # Errors
    /// When there is no such session, or it can't be used.
    pub fn of(run: &RunArgs) -> Result<Self, Failure> {
        let wanted = run.continue_last || run.resume.is_some() || run.fork.is_some();
        if !wanted {
            return Ok(Self::New);
        }
        let sessions = sessions().map_err(|why| Failure::new(Reason::Usage, why))?;
        if let Some(fork) = &run.fork {
            let id = sessions.find(&fork.session).map_err(failure)?;
            let forked = sessions.fork(&id, fork.entry).map_err(failure)?;
            return Ok(Self::Forked(Box::new(forked)));
        }
        let id = match &run.resume {
            Some(prefix) => sessions.find(prefix).map_err(failure)?,
            None => last(&sessions, run.workspace.as_deref())?,
        };
        let opened = sessions.open(&id).map_err(failure)?;
        Ok(Self::Opened(Box::new(opened)))
    }

    fn header(&self) -> Option<&Header> {
        match self {
            Self::New => None,
            Self::Opened(opened) => Some(&opened.header),
            Self::Forked(forked) => Some(&forked.header),
        }
    }

    /// Where the session's tools worked.
    pub fn workspace(&self) -> Option<PathBuf> {
        self.header().map(|header| header.workspace.clone())
    }

    /// The session's bundle: `Some(None)` is the one that comes along.
    pub fn model(&self) -> Option<Option<PathBuf>> {
        self.header().map(|header| header.bundle.path.clone())
    }

    /// Lets an agent take it up; `typed` beats what it says.
    ///
    /// # Errors
    /// When the session belongs to another bundle, or can't be written.
    pub fn take_up(self, agent: &mut Agent, typed: &Settings) -> Result<(), Failure> {
        let taken = match self {
            Self::New => Ok(Vec::new()),
            Self::Opened(opened) => agent.resume(*opened, typed),
            Self::Forked(forked) => agent.fork(&forked, typed),
        };
        let notices = taken.map_err(|why| Failure::new(Reason::Usage, why))?;
        agent.warn(notices);
        Ok(())
    }
}

fn last(sessions: &Sessions, workspace: Option<&Path>) -> Result<String, Failure> {
    let folder = workspace.unwrap_or(Path::new("."));
    let root = folder.canonicalize().map_err(|error| {
        let place = folder.display();
        Failure::new(Reason::Usage, format!("--workspace {place}: {error}"))
    })?;
    let last = sessions.last_in(&root).map_err(failure)?;
    last.ok_or_else(|| {
        let place = root.display();
        let why = format!("there is no session in {place} to continue; leave out --continue");
        Failure::new(Reason::Usage, why)
    })
}

fn failure(error: SessionError) -> Failure {
    Failure::new(Reason::Usage, error.to_string())
}
