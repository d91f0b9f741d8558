//! The blocks of one fingerprint, for one process: finding those of a prompt, loading
//! them with every doubt, and handing new ones to the thread that writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::block::{self, Block, Fault, file_len};
use super::folder::About;
use super::key::Key;
use super::limit::Limit;
use super::writer::{Job, Shared, Writer};
use super::{BLOCK, files};

/// Whose caches these are, and their measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the bundle, for people.
    pub bundle: String,
    pub fingerprint: String,
    /// What decides the bits of what is computed.
    pub numerics: String,
    /// Bytes of the rows of one position.
    pub row_len: usize,
    /// Bytes of a state.
    pub state_len: usize,
}

/// Where some of a prompt's tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub key: Key,
    /// The key of what comes before.
    pub before: Key,
    pub position: usize,
    /// Number of tokens.
    pub len: usize,
}

impl Place {
    /// Position after its last token.
    pub fn end(&self) -> usize {
        self.position + self.len
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    Rows,
    RowsAndState,
}

/// What became of a block that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    Yes,
    /// Too much is waiting already: try again later.
    Full,
}

/// Clones are the same store. The last one to go waits until all is written.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    root: Key,
    row_len: usize,
    state_len: usize,
    shared: Arc<Shared>,
    /// `None` when the store goes away.
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(thread) = self.thread.take() {
            // It has said what there is to say.
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Opens the blocks of this identity below `root`, the folder of all of them.
    ///
    /// # Errors
    /// If the folder can't be made, or the system refuses a thread.
    pub fn open(root: &Path, identity: &Identity, limit: Limit) -> io::Result<Self> {
        let key = Key::root(&identity.fingerprint, &identity.numerics);
        let folder = root.join(key.name());
        files::make_folder(&folder)?;
        About::of(identity).keep_in(&folder)?;
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            folder: folder.clone(),
            root: key,
            limit,
            shared: Arc::clone(&shared),
        };
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("cairn-cache".into())
            .spawn(move || writer.run(&queue))?;
        Ok(Self(Arc::new(Inner {
            folder,
            root: key,
            row_len: identity.row_len,
            state_len: identity.state_len,
            shared,
            jobs: Mutex::new(Some(jobs)),
            thread: Some(thread),
        })))
    }

    /// The key of no tokens.
    pub fn root(&self) -> Key {
        self.0.root
    }

    /// A write has failed: nothing more is kept.
    pub fn stopped(&self) -> bool {
        self.0.shared.stopped()
    }

    /// What the user should hear, once.
    pub fn take_warning(&self) -> Option<String> {
        self.0.shared.warning().take()
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.folder.join(key.name())
    }

    fn len_of(&self, tokens: usize, state: Option<usize>) -> u64 {
        file_len(tokens, tokens * self.0.row_len, state)
    }

    /// Whether there is a file for a block of so many tokens that holds this.
    pub fn has(&self, key: &Key, tokens: usize, parts: Parts) -> bool {
        let state = match parts {
            Parts::Rows => None,
            Parts::RowsAndState => Some(self.0.state_len),
        };
        let least = self.len_of(tokens, state);
        let there = self.path(key).symlink_metadata();
        there.is_ok_and(|there| there.is_file() && there.len() >= least)
    }

    /// Where the longest beginning of `tokens` is: whole blocks, then perhaps a
    /// shorter one.
    pub fn find(&self, tokens: &[u32]) -> Vec<Place> {
        let mut places = Vec::new();
        let (mut before, mut position) = (self.0.root, 0);
        let mut place = |before: Key, position: usize, len: usize| {
            let key = before.then(&tokens[position..position + len]);
            let there = self.path(&key).symlink_metadata();
            there.is_ok_and(|there| there.is_file()).then(|| {
                places.push(Place {
                    key,
                    before,
                    position,
                    len,
                });
                key
            })
        };
        while position + BLOCK <= tokens.len() {
            let Some(key) = place(before, position, BLOCK) else {
                break;
            };
            before = key;
            position += BLOCK;
        }
        let most = (tokens.len() - position).min(BLOCK - 1);
        let _ = (1..=most)
            .rev()
            .find_map(|len| place(before, position, len));
        places
    }

    /// The block at a place that [`Store::find`] found for these tokens; `None` if it
    /// has gone since. One that is not what it has to be is removed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self, place: &Place, tokens: &[u32]) -> Result<Option<Block>, Fault> {
        let loaded = self.read(place, &tokens[place.position..place.end()]);
        if loaded.is_err() {
            self.refuse(place);
        }
        loaded
    }

    /// Removes a block that can't be used.
    pub fn refuse(&self, place: &Place) {
        // If it stays, it is refused again.
        let _ = std::fs::remove_file(self.path(&place.key));
    }

    fn read(&self, place: &Place, tokens: &[u32]) -> Result<Option<Block>, Fault> {
        let file = match files::open(&self.path(&place.key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::Unreadable(error)),
        };
        let metadata = file.metadata().map_err(Fault::Unreadable)?;
        let lengths = [None, Some(self.0.state_len)].map(|state| self.len_of(place.len, state));
        if !lengths.contains(&metadata.len()) {
            return Err(Fault::Length);
        }
        let bytes = files::read(file, metadata.len()).map_err(Fault::Unreadable)?;
        let block = block::decode(bytes, &self.0.root, &place.before, place.position, tokens)?;
        let state = block.state.as_ref().map(Vec::len);
        match block.rows.len() == place.len * self.0.row_len
            && state.is_none_or(|state| state == self.0.state_len)
        {
            true => Ok(Some(block)),
            false => Err(Fault::Length),
        }
    }

    /// Has a block written, unless it is there; `done` is set when it is on the disk.
    pub fn save(&self, block: Block, done: Arc<AtomicBool>) -> Queued {
        if !self.0.shared.reserve(&block) {
            return Queued::Full;
        }
        self.send(Job::Write { block, done });
        Queued::Yes
    }

    /// These were used now, in order of position: they are kept longer.
    pub fn touch(&self, keys: Vec<Key>) {
        self.send(Job::Touch(keys));
    }

    /// Waits until everything that was given before is written.
    pub fn flush(&self) {
        let (answer, done) = channel();
        self.send(Job::Flush(answer));
        // A thread that is gone has nothing left to write.
        let _ = done.recv();
    }

    fn send(&self, job: Job) {
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = &*jobs {
            // The thread lives as long as the sender.
            let _ = jobs.send(job);
        }
    }
}
