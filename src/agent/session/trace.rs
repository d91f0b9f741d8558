//! The side file of a session: every generated token with what the model thought
//! of it, so that a trace can be looked at without a model, and an answer that was
//! cut off goes on where it stopped. Records are appended as tokens come; each has
//! a length and a checksum that counts its place in the file, so a torn or changed
//! record ends what is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::record::{Begin, Noted, Record};
use crate::bundle::Tokenizer;
use crate::generate::{Nudge, Token};

/// Beyond this many bytes a run is no answer of a model.
const MAX_RUN: u64 = 1 << 30;
/// Length and checksum of a record.
const FRAME: usize = 2 + 8;

/// Where an answer's tokens are in the side file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub offset: u64,
    pub bytes: u64,
}

/// The side file, open for appending. What can't be written to it is given up, as
/// the log has the ids.
#[derive(Debug)]
pub struct Trace {
    file: Option<File>,
    /// Where whole records end.
    end: u64,
    run: Option<Running>,
    /// The last run, if nothing in the log says what became of it.
    partial: Option<Partial>,
    /// Whether a failure was told to the user.
    told: bool,
}

#[derive(Debug)]
struct Running {
    offset: u64,
    since: Instant,
    /// Time that had passed before, in an answer that goes on.
    before: u32,
    /// Whether a token was written.
    begun: bool,
    /// Records that are not written yet, each with its token's position.
    held: Vec<(usize, Record)>,
}

/// An answer that was cut off.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub begin: Begin,
    pub tokens: Vec<Noted>,
    /// What the user did to its reasoning.
    pub nudges: Vec<Nudge>,
    span: Span,
}

impl Trace {
    pub fn nowhere() -> Self {
        Self {
            file: None,
            end: 0,
            run: None,
            partial: None,
            told: false,
        }
    }

    /// A file that ends, as far as the log knows, at `known`: what follows is the
    /// answer that was cut off after the entry `head`, or nothing of use.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn open(file: File, known: u64, head: Option<u64>) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut trace = Self {
            file: Some(file),
            end: known.min(len),
            run: None,
            partial: None,
            told: false,
        };
        let span = Span {
            offset: trace.end,
            bytes: len - trace.end,
        };
        let Some(file) = &trace.file else {
            return Ok(trace);
        };
        let kept = read(file, span)?;
        if let Some(begin) = kept.begin.filter(|begin| Some(begin.after) == head) {
            trace.partial = Some(Partial {
                begin,
                tokens: kept.tokens,
                nudges: kept.nudges,
                span: Span {
                    offset: trace.end,
                    bytes: kept.bytes,
                },
            });
        }
        Ok(trace)
    }

    /// Whether a failure is one that the user does not know of; once.
    pub fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// The answer that was cut off, if there is one; once.
    pub fn take_partial(&mut self) -> Option<Partial> {
        self.partial.take()
    }

    /// An answer begins.
    ///
    /// # Errors
    /// As [`Trace::flush`].
    pub fn begin(&mut self, begin: Begin) -> io::Result<()> {
        self.run = Some(Running {
            offset: self.end,
            since: Instant::now(),
            before: 0,
            begun: false,
            held: vec![(0, Record::Begin(begin))],
        });
        self.flush(usize::MAX)
    }

    /// An answer goes on after the tokens that were kept of it.
    pub fn go_on(&mut self, partial: &Partial) {
        self.end = partial.span.offset + partial.span.bytes;
        self.run = Some(Running {
            offset: partial.span.offset,
            since: Instant::now(),
            begun: !partial.tokens.is_empty(),
            before: partial.tokens.last().map_or(0, |token| token.millis),
            held: Vec::new(),
        });
    }

    /// Takes over tokens that another answer began with, after those that are here.
    pub fn keep(&mut self, tokens: &[Noted]) {
        if let Some(run) = &mut self.run {
            let records = tokens.iter().map(|token| {
                let position = token.position as usize;
                (position, Record::Token(token.clone()))
            });
            run.held.extend(records);
            // What comes is as much later.
            run.before = tokens.last().map_or(run.before, |last| last.millis);
        }
    }

    /// The tokens of an answer that is whole, as far as they can be read.
    pub fn tokens(&self, span: Span) -> Vec<Noted> {
        let found = self.file.as_ref().map(|file| tokens(file, span));
        found
            .and_then(Result::ok)
            .map_or(Vec::new(), |found| found.1)
    }

    /// Notes a token; it is written by a later [`Trace::flush`].
    pub fn push(&mut self, token: &Token, tokenizer: &Tokenizer) {
        if let Some(run) = &mut self.run {
            let passed = u32::try_from(run.since.elapsed().as_millis()).unwrap_or(u32::MAX);
            let noted = Noted::of(token, run.before.saturating_add(passed), tokenizer);
            run.held.push((token.position, Record::Token(noted)));
        }
    }

    /// Notes what the user did before the token of that position; written as tokens are.
    pub fn push_nudge(&mut self, nudge: Nudge, position: usize) {
        if let Some(run) = &mut self.run {
            run.held.push((position, Record::Nudge(nudge)));
        }
    }

    /// Writes the tokens of positions up to `position`.
    ///
    /// # Errors
    /// When that fails; the answer is then not kept here.
    pub fn flush(&mut self, position: usize) -> io::Result<()> {
        let (Some(file), Some(run)) = (&mut self.file, &mut self.run) else {
            return Ok(());
        };
        let due = run.held.partition_point(|(at, _)| *at <= position);
        if due == 0 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for (_, record) in run.held.drain(..due) {
            run.begun |= matches!(record, Record::Token(_));
            frame(&record, self.end + bytes.len() as u64, &mut bytes);
        }
        let written = file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| file.write_all(&bytes));
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            Err(_) => {
                // Nothing refers to it, and what follows goes in its place.
                self.end = run.offset;
                let _ = file.set_len(self.end);
                self.run = None;
            }
        }
        written
    }

    /// The answer is whole: where it lies, if it does. One without a token does not.
    ///
    /// # Errors
    /// When that can't be made safe.
    pub fn finish(&mut self) -> io::Result<Option<Span>> {
        self.flush(usize::MAX)?;
        let Some(run) = self.run.take() else {
            return Ok(None);
        };
        let Some(file) = &self.file else {
            return Ok(None);
        };
        if !run.begun {
            self.end = run.offset;
        }
        // What a longer run left that was given up.
        file.set_len(self.end)?;
        file.sync_data()?;
        Ok(run.begun.then_some(Span {
            offset: run.offset,
            bytes: self.end - run.offset,
        }))
    }
}

/// The tokens of an answer, as many as are whole.
///
/// # Errors
/// When the file can't be read.
pub fn tokens(file: &File, span: Span) -> io::Result<(Option<Begin>, Vec<Noted>)> {
    read(file, span).map(|kept| (kept.begin, kept.tokens))
}

/// What is kept of a run.
#[derive(Default)]
struct Kept {
    begin: Option<Begin>,
    tokens: Vec<Noted>,
    nudges: Vec<Nudge>,
    /// How many that is.
    bytes: u64,
}

fn read(mut file: &File, span: Span) -> io::Result<Kept> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(span.offset))?;
    file.take(span.bytes.min(MAX_RUN)).read_to_end(&mut bytes)?;
    let mut kept = Kept::default();
    let mut at = 0;
    while let Some((record, len)) = unframe(&bytes[at..], span.offset + at as u64) {
        match record {
            Record::Begin(first) if at == 0 => kept.begin = Some(first),
            Record::Token(token) if kept.begin.is_some() => kept.tokens.push(token),
            Record::Nudge(nudge) if kept.begin.is_some() => kept.nudges.push(nudge),
            // The next run, or none at all.
            _ => break,
        }
        at += len;
    }
    kept.bytes = at as u64;
    Ok(kept)
}

fn frame(record: &Record, place: u64, bytes: &mut Vec<u8>) {
    let payload = record.pack();
    // Bounded by what a record holds, see `record.rs`.
    let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    bytes.extend(len.to_le_bytes());
    bytes.extend(&payload);
    bytes.extend(xxh3_64_with_seed(&payload, place).to_le_bytes());
}

/// The record that `bytes` start with, and its length with the frame.
fn unframe(bytes: &[u8], place: u64) -> Option<(Record, usize)> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_le_bytes(*len));
    let payload = rest.get(..len)?;
    let sum = rest.get(len..)?.first_chunk::<8>()?;
    if xxh3_64_with_seed(payload, place) != u64::from_le_bytes(*sum) {
        return None;
    }
    Some((Record::unpack(payload)?, len + FRAME))
}
