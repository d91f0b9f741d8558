//! Small work that reads or writes a disk, on a thread of its own: neither the screen
//! nor the agent waits for it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::SystemTime;

use super::Incoming;
use super::history::History;
use super::inbox::Outbox;
use crate::agent::session::{Noted, Sessions, Span, Summary};
use crate::sandbox::{Workspace, sanitize};

/// Sessions that the picker shows, and files that the one for `@` does.
const SESSIONS: usize = 500;
const FILES: usize = 100_000;

#[derive(Debug)]
pub enum Chore {
    /// The tokens of the answer that was logged as this entry.
    Tokens {
        sessions: Sessions,
        session: String,
        entry: u64,
        span: Span,
    },
    Sessions(Sessions, PathBuf),
    Files(Arc<Workspace>),
    /// A message for the history.
    Remember(String),
    /// A file that must not be there yet.
    Write(PathBuf, String),
}

pub enum Finished {
    Tokens(u64, Vec<Noted>),
    /// And when that was.
    Sessions(Result<(Vec<Summary>, SystemTime), String>),
    Files(Vec<String>),
    Wrote(Result<PathBuf, String>),
}

/// The way to that thread.
pub struct Chores(Sender<Chore>);

impl Chores {
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(outbox: Outbox, mut history: History) -> std::io::Result<Self> {
        let (send, todo): (_, Receiver<Chore>) = mpsc::channel();
        let thread = std::thread::Builder::new().name("cairn-chores".into());
        thread.spawn(move || {
            while let Ok(chore) = todo.recv() {
                if let Some(finished) = perform(chore, &mut history)
                    && !outbox.send(Incoming::Chore(finished))
                {
                    return;
                }
            }
        })?;
        Ok(Self(send))
    }

    pub fn give(&self, chore: Chore) {
        // A thread that is gone has panicked, which was reported.
        let _ = self.0.send(chore);
    }
}

fn perform(chore: Chore, history: &mut History) -> Option<Finished> {
    Some(match chore {
        Chore::Tokens {
            sessions,
            session,
            entry,
            span,
        } => Finished::Tokens(entry, sessions.tokens(&session, span)),
        Chore::Sessions(sessions, root) => {
            let found = sessions.of_workspace(&root, SESSIONS);
            let found = found.map(|found| (found, SystemTime::now()));
            Finished::Sessions(found.map_err(|error| error.to_string()))
        }
        Chore::Files(workspace) => Finished::Files(files(&workspace)),
        Chore::Remember(message) => {
            history.add(&message);
            return None;
        }
        Chore::Write(path, text) => {
            let written = write_new(&path, &text);
            Finished::Wrote(match written {
                Ok(()) => Ok(path),
                Err(error) => Err(format!("{}: {error}", path.display())),
            })
        }
    })
}

/// Paths that a message can name with `@`, sorted.
fn files(workspace: &Workspace) -> Vec<String> {
    let mut found = Vec::new();
    // A folder that can't be read has no files to offer.
    let _ = workspace.walk(".", &mut |path: &Path, _| {
        let path = path.to_string_lossy();
        if !path.contains('"') && !path.chars().any(sanitize::is_hidden) {
            found.push(path.into_owned());
        }
        match found.len() < FILES {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    found
}

/// A file that is there whole, or not at all.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is what counts.
        let _ = fs::remove_file(path);
    }
    written
}
