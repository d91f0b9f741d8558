//! Colours for code. Finding them takes longer than a frame may, so a thread does it,
//! line by line; until it has, code is plain. The grammars are loaded there as well, when
//! code is first seen.

mod grammars;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ratatui::text::Span;
use xxhash_rust::xxh3::xxh3_64;

use grammars::{Grammars, Place, parse};

use crate::tui::theme::{Role, Theme};

/// How often it is told that there is more, while there is much to do.
const TOLD_EVERY: Duration = Duration::from_millis(100);
/// Lines of a block beyond which code is plain.
const BLOCK_LINES: usize = 2_000;

/// A handle on the thread; copies share it.
#[derive(Clone)]
pub struct Highlighter {
    /// `None`: there is no thread, and code stays plain.
    jobs: Arc<OnceLock<Option<Sender<Job>>>>,
    generation: Arc<AtomicUsize>,
    ready: Arc<dyn Fn() + Send + Sync>,
}

impl Highlighter {
    /// `ready` is called on the other thread whenever there are more colours: what waits
    /// for some is to be laid out again then.
    pub fn new(ready: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            jobs: Arc::default(),
            generation: Arc::default(),
            ready: Arc::new(ready),
        }
    }

    /// One that leaves all code plain.
    pub fn off() -> Self {
        Self {
            jobs: Arc::new(OnceLock::from(None)),
            ..Self::new(|| {})
        }
    }

    /// Grows whenever there are more colours.
    pub fn generation(&self) -> usize {
        self.generation.load(Ordering::Acquire)
    }

    fn jobs(&self) -> Option<&Sender<Job>> {
        let jobs = self.jobs.get_or_init(|| {
            let (sender, receiver) = channel();
            let (generation, ready) = (Arc::clone(&self.generation), Arc::clone(&self.ready));
            let thread = std::thread::Builder::new().name("highlight".into());
            match thread.spawn(move || work(receiver, &generation, &*ready)) {
                Ok(_) => Some(sender),
                Err(error) => {
                    tracing::warn!("code stays plain, as there is no thread for it: {error}");
                    None
                }
            }
        });
        jobs.as_ref()
    }
}

/// The next line of a block.
struct Job {
    block: Arc<Shared>,
    text: String,
}

/// A block, as both threads see it.
#[derive(Default)]
struct Shared {
    language: String,
    /// Only the thread that parses takes this.
    place: Mutex<Option<Place>>,
    lines: Mutex<Vec<Vec<Piece>>>,
}

/// Until nobody has more to parse.
fn work(jobs: Receiver<Job>, generation: &AtomicUsize, ready: &(dyn Fn() + Send + Sync)) {
    let grammars = Grammars::load();
    let mut told = Instant::now();
    let mut next = jobs.recv().ok();
    while let Some(Job { block, text }) = next.take() {
        let number = lock(&block.lines).len();
        let mut place = lock(&block.place);
        if number == 0 {
            *place = grammars.find(&block.language).map(Place::first);
        }
        let pieces = match &mut *place {
            Some(place) => parse(place, &grammars, &text),
            None => plain(&text),
        };
        lock(&block.lines).push(pieces);
        generation.fetch_add(1, Ordering::Release);
        next = jobs.try_recv().ok();
        if next.is_none() || told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            ready();
        }
        if next.is_none() {
            next = jobs.recv().ok();
        }
    }
}

/// Nothing that is locked can be left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stretch of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: usize,
    pub role: Role,
}

/// The colours of one block of code.
pub struct Code {
    block: Arc<Shared>,
    /// A hash of each line that was given to the thread.
    sent: Vec<u64>,
}

/// Whether a text's last line may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    Open,
    Closed,
}

impl Code {
    pub fn new(language: &str) -> Self {
        let block = Shared {
            language: language.to_owned(),
            ..Shared::default()
        };
        Self {
            block: Arc::new(block),
            sent: Vec::new(),
        }
    }

    pub fn language(&self) -> &str {
        &self.block.language
    }

    /// Colours of all lines, each `None` until they are known. Lines of earlier calls
    /// are not parsed again as long as others were only added.
    pub fn all(
        &mut self,
        highlighter: &Highlighter,
        lines: &[String],
        last: Last,
    ) -> Vec<Option<Vec<Piece>>> {
        let settled = match last {
            Last::Closed => lines.len(),
            Last::Open => lines.len().saturating_sub(1),
        };
        let (settled, open) = lines.split_at(settled);
        let same = |(hash, line): (&u64, &String)| *hash == xxh3_64(line.as_bytes());
        if self.sent.len() > settled.len() || !self.sent.iter().zip(settled).all(same) {
            *self = Self::new(self.language());
        }
        let settled = settled.iter().enumerate();
        let settled = settled.map(|(at, line)| self.line(highlighter, at, line));
        let mut pieces: Vec<Option<Vec<Piece>>> = settled.collect();
        pieces.extend(open.iter().map(|_| None));
        pieces
    }

    /// Colours of the line with this number, counted from 0; it and all before it have
    /// come to their end, and were asked for. `None` until they are known.
    pub fn line(
        &mut self,
        highlighter: &Highlighter,
        number: usize,
        text: &str,
    ) -> Option<Vec<Piece>> {
        if number >= BLOCK_LINES || self.language().is_empty() {
            return Some(plain(text));
        }
        let Some(jobs) = highlighter.jobs() else {
            return Some(plain(text));
        };
        if number == self.sent.len() {
            let block = Arc::clone(&self.block);
            let text = text.to_owned();
            self.sent.push(xxh3_64(text.as_bytes()));
            if jobs.send(Job { block, text }).is_err() {
                tracing::warn!("code stays plain, as the thread for it has ended");
            }
        }
        lock(&self.block.lines).get(number).cloned()
    }
}

/// A line without colours.
pub fn plain(text: &str) -> Vec<Piece> {
    vec![Piece {
        bytes: text.len(),
        role: Role::Text,
    }]
}

/// A line in its colours.
pub fn spans(text: &str, pieces: &[Piece], theme: Theme) -> Vec<Span<'static>> {
    let mut at = 0;
    let mut spans = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if let Some(part) = text.get(at..at + piece.bytes) {
            spans.push(Span::styled(part.to_owned(), theme.style(piece.role)));
        }
        at += piece.bytes;
    }
    spans
}
