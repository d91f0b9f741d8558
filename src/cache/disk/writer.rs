//! The thread that writes blocks, so that no token waits for a disk. When a write
//! fails it says so once and writes no more.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::block::{Block, encode, file_len};
use super::evict::Bounds;
use super::key::Key;
use super::{files, limit::Limit};

/// Bytes that may wait to be written.
const WAITING: usize = 256 << 20;
/// Files whose names are put on the disk together.
const TOGETHER: usize = 32;

pub(super) enum Job {
    /// `done` is set when the block is on the disk.
    Write { block: Block, done: Arc<AtomicBool> },
    /// These were used now, in order of position.
    Touch(Vec<Key>),
    /// Answers when everything before it is done.
    Flush(Sender<()>),
}

/// What the thread and those who give it work both see.
#[derive(Default)]
pub(super) struct Shared {
    stopped: AtomicBool,
    waiting: AtomicUsize,
    warning: Mutex<Option<String>>,
}

impl Shared {
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub fn warning(&self) -> MutexGuard<'_, Option<String>> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a block will wait, if there is room.
    pub fn reserve(&self, block: &Block) -> bool {
        let size = size(block);
        let room =
            |waiting: usize| (waiting == 0 || waiting + size <= WAITING).then(|| waiting + size);
        let order = Ordering::AcqRel;
        self.waiting
            .fetch_update(order, Ordering::Acquire, room)
            .is_ok()
    }

    fn stop(&self, error: &io::Error) {
        *self.warning() = Some(format!(
            "the cache on disk can't be written, going on without: {error}"
        ));
        self.stopped.store(true, Ordering::Release);
    }
}

fn size(block: &Block) -> usize {
    block.rows.len() + block.state.as_ref().map_or(0, Vec::len)
}

pub(super) struct Writer {
    pub folder: PathBuf,
    pub root: Key,
    pub limit: Limit,
    pub shared: Arc<Shared>,
}

impl Writer {
    pub fn run(self, jobs: &Receiver<Job>) {
        let mut bounds = Bounds::new(&self.folder, self.limit);
        let mut written: Vec<Arc<AtomicBool>> = Vec::new();
        loop {
            let job = match jobs.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.settle(&mut written);
                    match jobs.recv() {
                        Ok(job) => job,
                        Err(_) => break,
                    }
                }
            };
            match job {
                Job::Write { block, done } => {
                    let size = size(&block);
                    if !self.shared.stopped() {
                        match self.write(&block, &mut bounds) {
                            Ok(()) => written.push(done),
                            Err(error) => self.shared.stop(&error),
                        }
                    }
                    self.shared.waiting.fetch_sub(size, Ordering::AcqRel);
                    if written.len() >= TOGETHER {
                        self.settle(&mut written);
                    }
                }
                Job::Touch(keys) => self.touch(&keys),
                Job::Flush(answer) => {
                    self.settle(&mut written);
                    // Who does not wait any more needs no answer.
                    let _ = answer.send(());
                }
            }
        }
        self.settle(&mut written);
    }

    /// What was written is there after a power cut, too.
    fn settle(&self, written: &mut Vec<Arc<AtomicBool>>) {
        if written.is_empty() || self.shared.stopped() {
            return;
        }
        match files::sync_folder(&self.folder) {
            Ok(()) => written
                .drain(..)
                .for_each(|done| done.store(true, Ordering::Release)),
            Err(error) => self.shared.stop(&error),
        }
    }

    fn write(&self, block: &Block, bounds: &mut Bounds) -> io::Result<()> {
        let name = block.key().name();
        let state = block.state.as_ref().map(Vec::len);
        let len = file_len(block.tokens.len(), block.rows.len(), state);
        let there = self.folder.join(&name).symlink_metadata();
        // Another session's, perhaps, and perhaps with a state.
        if there.is_ok_and(|there| there.is_file() && there.len() >= len) {
            return Ok(());
        }
        if !bounds.admit(len) {
            return Ok(());
        }
        let bytes = encode(&self.root, block);
        files::write(&self.folder, &name, &bytes).or_else(|error| match error.kind() {
            // Somebody has removed the folder.
            io::ErrorKind::NotFound => {
                files::make_folder(&self.folder)?;
                files::write(&self.folder, &name, &bytes)
            }
            _ => Err(error),
        })
    }

    /// The later a block's tokens are, the earlier it seems to have been used: what
    /// is of no use without another block goes before that.
    fn touch(&self, keys: &[Key]) {
        let now = SystemTime::now();
        let mut step = Duration::ZERO;
        let mut marks = VecDeque::new();
        for key in keys {
            marks.push_front((key, now - step));
            step += Duration::from_micros(1);
        }
        for (key, time) in marks {
            files::touch(&self.folder.join(key.name()), time);
        }
    }
}
