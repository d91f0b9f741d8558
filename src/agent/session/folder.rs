//! The folder of sessions: one folder each, with the log and the side file of
//! tokens. A session that is open is locked by its log, for as long as the process
//! lives; a lock that is left behind by one that was killed is none.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::header::{ForkedFrom, Header};
use super::id;
use super::line;
use super::log::{Journal, Open, path_to};
use super::read::{self, Damage, Log};
use super::trace::{self, Span, Trace};
use crate::agent::entry::{Entry, Kind};

const LOG: &str = "log.jsonl";
const TRACE: &str = "tokens.bin";
/// Begins the name of a session that is being made.
const UNFINISHED: &str = ".new-";
/// Ids that are drawn before giving up.
const DRAWS: usize = 16;
/// How long a session that is open is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sessions named in an error.
const NAMED: usize = 5;

/// `<state folder>/sessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    folder: PathBuf,
}

/// Why a session can't be used; one line.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no session {0:?}; `cairn sessions` lists them")]
    Unknown(String),
    #[error("{0:?} is no id of a session; `cairn sessions` lists them")]
    NoId(String),
    #[error("{0:?} is the beginning of several sessions: {1}")]
    Ambiguous(String, String),
    #[error("session {0} is open in another cairn; `--fork {0}` goes on with a copy of it")]
    Busy(String),
    #[error(
        "session {id}: line {line} of its log is damaged ({why}); `--fork {id}@{last}` goes on from before that"
    )]
    Damaged {
        id: String,
        line: usize,
        why: String,
        last: u64,
    },
    #[error("session {0}: {1}")]
    Unreadable(String, read::Error),
    #[error("session {0} has no entry {1}; `cairn sessions show {0}` lists them")]
    NoEntry(String, u64),
    #[error("sessions in {0}: {1}")]
    Folder(PathBuf, io::Error),
}

/// A session of this process.
#[derive(Debug)]
pub struct Opened {
    pub header: Header,
    pub journal: Journal,
    /// What was repaired, a line each.
    pub notices: Vec<String>,
}

/// What a fork begins with.
#[derive(Debug)]
pub struct Forked {
    /// Of the session it comes from.
    pub header: Header,
    pub from: ForkedFrom,
    /// All up to the fork, other branches included: ids count lines.
    entries: Vec<Entry>,
    source: PathBuf,
}

/// A session as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub header: Header,
    pub entries: usize,
    pub turns: usize,
    /// The first user's message, or what there is of it in a list.
    pub title: String,
    pub used: SystemTime,
    /// Whether its last turn was not ended.
    pub unfinished: bool,
    pub bytes: u64,
}

impl Sessions {
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn of(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// Ids, the newest first.
    ///
    /// # Errors
    /// When the folder can't be read; that there is none is no error.
    pub fn ids(&self) -> Result<Vec<String>, SessionError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(SessionError::Folder(self.folder.clone(), error)),
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut ids: Vec<String> = names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| id::is_id(name))
            .collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The one session whose id begins so.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(&self, prefix: &str) -> Result<String, SessionError> {
        if !id::is_prefix(prefix) {
            return Err(SessionError::NoId(prefix.to_owned()));
        }
        let mut ids = self.ids()?;
        ids.retain(|id| id.starts_with(prefix));
        match ids.as_slice() {
            [] => Err(SessionError::Unknown(prefix.to_owned())),
            [id] => Ok(id.clone()),
            several => {
                let mut names = several[..several.len().min(NAMED)].join(", ");
                if several.len() > NAMED {
                    names.push_str(&format!(" and {} more", several.len() - NAMED));
                }
                Err(SessionError::Ambiguous(prefix.to_owned(), names))
            }
        }
    }

    /// The session of a workspace that was used last.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn last_in(&self, workspace: &Path) -> Result<Option<String>, SessionError> {
        let mut found: Option<(SystemTime, String)> = None;
        for id in self.ids()? {
            let Ok(used) = self.used(&id) else { continue };
            if found.as_ref().is_some_and(|(newest, _)| *newest >= used) {
                continue;
            }
            let header = self.read(&id).map(|log| log.header);
            if header.is_ok_and(|header| header.workspace == workspace) {
                found = Some((used, id));
            }
        }
        Ok(found.map(|(_, id)| id))
    }

    /// The newest sessions of a workspace, `most` of them.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn of_workspace(&self, root: &Path, most: usize) -> Result<Vec<Summary>, SessionError> {
        let ids = self.ids()?;
        let readable = ids.iter().filter_map(|id| self.summary(id).ok());
        let here = readable.filter(|summary| summary.header.workspace == root);
        Ok(here.take(most).collect())
    }

    fn used(&self, id: &str) -> io::Result<SystemTime> {
        fs::metadata(self.of(id).join(LOG))?.modified()
    }

    /// What a session's log holds, whoever writes it now.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, id: &str) -> Result<Log, SessionError> {
        let file = File::open(self.of(id).join(LOG)).map_err(|error| missing(id, error))?;
        read::read(&file).map_err(|error| SessionError::Unreadable(id.to_owned(), error))
    }

    /// # Errors
    /// When it can't be read.
    pub fn summary(&self, id: &str) -> Result<Summary, SessionError> {
        let log = self.read(id)?;
        let path = path_to(&log.entries, log.entries.last().map(|entry| entry.id));
        let messages = path.iter().filter_map(|entry| match &entry.kind {
            Kind::User { text, .. } => Some(text),
            _ => None,
        });
        let last = path.iter().rev().find_map(|entry| match entry.kind {
            Kind::User { .. } => Some(true),
            Kind::TurnEnded { .. } => Some(false),
            _ => None,
        });
        let bytes = [LOG, TRACE].map(|name| fs::metadata(self.of(id).join(name)));
        Ok(Summary {
            entries: log.entries.len(),
            turns: messages.clone().count(),
            title: messages.clone().next().cloned().unwrap_or_default(),
            used: self.used(id).unwrap_or(SystemTime::UNIX_EPOCH),
            unfinished: last.unwrap_or(false),
            bytes: bytes.iter().flatten().map(fs::Metadata::len).sum(),
            header: log.header,
        })
    }

    /// The tokens of an answer; none where the side file does not have them.
    pub fn tokens(&self, id: &str, span: Span) -> Vec<super::Noted> {
        let file = File::open(self.of(id).join(TRACE));
        let tokens = file.and_then(|file| trace::tokens(&file, span));
        tokens.map_or(Vec::new(), |(_, tokens)| tokens)
    }

    /// Opens a session to go on with it, and repairs a last line that was cut off.
    ///
    /// # Errors
    /// When another process has it open, or it is damaged.
    pub fn open(&self, id: &str) -> Result<Opened, SessionError> {
        let unreadable = |error: io::Error| SessionError::Unreadable(id.to_owned(), error.into());
        let folder = self.of(id);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(LOG))
            .map_err(|error| missing(id, error))?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SessionError::Busy(id.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        let log =
            read::read(&file).map_err(|error| SessionError::Unreadable(id.to_owned(), error))?;
        if log.header.id != id {
            let why = format!("its log is of session {:?}", log.header.id);
            return Err(unreadable(io::Error::other(why)));
        }
        let mut notices = Vec::new();
        match &log.damage {
            None => {}
            Some(Damage::Torn) => {
                file.set_len(log.end).map_err(unreadable)?;
                notices.push("the session's last entry was cut off and is left out".to_owned());
            }
            Some(Damage::Line { number, why }) => {
                return Err(SessionError::Damaged {
                    id: id.to_owned(),
                    line: *number,
                    why: why.clone(),
                    last: log.entries.len() as u64,
                });
            }
        }
        let trace = match side_file(&folder, &log.entries) {
            Ok(trace) => trace,
            Err(error) => {
                notices.push(format!("the session's tokens can't be kept: {error}"));
                Trace::nowhere()
            }
        };
        let open = Open { file, end: log.end };
        Ok(Opened {
            journal: Journal::opened(id.to_owned(), log.entries, open, trace),
            header: log.header,
            notices,
        })
    }

    /// What a fork of a session at an entry, or at its head, begins with. What is
    /// damaged after that entry does not matter.
    ///
    /// # Errors
    /// When there is no such session or entry.
    pub fn fork(&self, id: &str, at: Option<u64>) -> Result<Forked, SessionError> {
        let log = self.read(id)?;
        let last = log.entries.last().map_or(0, |entry| entry.id);
        let at = match (at, &log.damage) {
            (Some(at), _) if at == 0 || at > last => {
                return Err(SessionError::NoEntry(id.to_owned(), at));
            }
            (Some(at), _) => at,
            (None, Some(Damage::Line { number, why })) => {
                return Err(SessionError::Damaged {
                    id: id.to_owned(),
                    line: *number,
                    why: why.clone(),
                    last,
                });
            }
            (None, _) => last,
        };
        let mut entries = log.entries;
        entries.retain(|entry| entry.id <= at);
        Ok(Forked {
            entries,
            from: ForkedFrom {
                session: id.to_owned(),
                entry: at,
            },
            header: log.header,
            source: self.of(id),
        })
    }

    /// Makes the session of a fork, whole, and opens it. `header` is its own.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn create_fork(&self, header: &Header, forked: &Forked) -> Result<Opened, SessionError> {
        let failed = |error| SessionError::Folder(self.folder.clone(), error);
        let mut lines = Vec::new();
        for entry in &forked.entries {
            lines.extend(line::write(entry).map_err(|error| failed(error.into()))?);
        }
        let made = self.make(header, &lines, Some(&forked.source));
        made.map_err(failed)?;
        self.open(&header.id)
    }

    /// Makes a session without entries.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn create(&self, header: &Header) -> io::Result<(Open, Trace)> {
        self.make(header, &[], None)?;
        let folder = self.of(&header.id);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(LOG))?;
        file.try_lock()?;
        let end = file.metadata()?.len();
        Ok((Open { file, end }, side_file(&folder, &[])?))
    }

    /// Writes a session beside the others and gives it its name when it is whole.
    fn make(&self, header: &Header, lines: &[u8], tokens: Option<&Path>) -> io::Result<()> {
        let mut folders = DirBuilder::new();
        folders.mode(0o700);
        folders.recursive(true).create(&self.folder)?;
        let unfinished = self.folder.join(format!("{UNFINISHED}{}", header.id));
        folders.recursive(false).create(&unfinished)?;
        let made = fill(&unfinished, header, lines, tokens)
            .and_then(|()| fs::rename(&unfinished, self.of(&header.id)));
        if made.is_err() {
            // The first error is what counts.
            let _ = fs::remove_dir_all(&unfinished);
            return made;
        }
        // Some file systems can't sync a folder.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// An id that no session has.
    pub fn new_id(&self) -> String {
        let drawn = std::iter::repeat_with(id::draw).take(DRAWS);
        let mut free = drawn.filter(|id| !self.of(id).exists());
        free.next().unwrap_or_else(id::draw)
    }

    /// # Errors
    /// When a process has it open, or it can't be removed.
    pub fn remove(&self, id: &str) -> Result<(), SessionError> {
        let folder = self.of(id);
        let locked = File::open(folder.join(LOG)).map(|file| (file.try_lock(), file));
        if let Ok((Err(TryLockError::WouldBlock), _)) = locked {
            return Err(SessionError::Busy(id.to_owned()));
        }
        fs::remove_dir_all(&folder).map_err(|error| missing(id, error))
    }

    /// Removes what was left unfinished by processes that were killed an hour ago or
    /// more; how many there were.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn sweep(&self) -> Result<usize, SessionError> {
        const HOUR: Duration = Duration::from_secs(3600);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(SessionError::Folder(self.folder.clone(), error)),
        };
        let old = |entry: &fs::DirEntry| {
            let modified = entry.metadata().and_then(|data| data.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > HOUR))
        };
        let left = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(UNFINISHED) && old(entry)
        });
        Ok(left
            .filter(|entry| fs::remove_dir_all(entry.path()).is_ok())
            .count())
    }
}

/// A process that was killed has its lock until the system has taken its memory back,
/// which takes a while where that was a model's.
fn lock(file: &File) -> Result<(), TryLockError> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => {
                std::thread::sleep(PATIENCE / 50);
            }
            done => return done,
        }
    }
}

fn missing(id: &str, error: io::Error) -> SessionError {
    match error.kind() {
        io::ErrorKind::NotFound => SessionError::Unknown(id.to_owned()),
        _ => SessionError::Unreadable(id.to_owned(), error.into()),
    }
}

/// The side file of a session with these entries.
fn side_file(folder: &Path, entries: &[Entry]) -> io::Result<Trace> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(TRACE))?;
    let spans = entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Assistant(answer) => answer.trace,
        _ => None,
    });
    let known = spans
        .map(|span| span.offset.saturating_add(span.bytes))
        .max();
    let head = entries.last().map(|entry| entry.id);
    Trace::open(file, known.unwrap_or(0), head)
}

fn fill(folder: &Path, header: &Header, lines: &[u8], tokens: Option<&Path>) -> io::Result<()> {
    if let Some(source) = tokens {
        let from = File::open(source.join(TRACE));
        match from {
            Ok(mut from) => {
                let mut to = new_file(&folder.join(TRACE))?;
                io::copy(&mut from, &mut to)?;
                to.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut log = new_file(&folder.join(LOG))?;
    log.write_all(&line::write(header)?)?;
    log.write_all(lines)?;
    log.sync_all()
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
