//! A session's log, read: the header and as many entries as are whole. Ids count
//! lines and parents come before children, so that lines that are missing or out
//! of place are noticed, too.

use std::fs::File;
use std::io::{self, Read as _};

use serde::Deserialize;

use super::header::{Header, VERSION};
use super::line;
use crate::agent::entry::Entry;

/// Beyond this a file is no log of ours.
const MAX_BYTES: u64 = 1 << 30;

/// What a log holds.
#[derive(Debug)]
pub struct Log {
    pub header: Header,
    pub entries: Vec<Entry>,
    /// When each was written, in milliseconds since 1970.
    pub times: Vec<u64>,
    /// Bytes of the lines that are whole.
    pub end: u64,
    pub damage: Option<Damage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The last line is not whole: its writer was cut off.
    Torn,
    /// A line with others after it can't be used.
    Line { number: usize, why: String },
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its first line can't be used: {0}")]
    Header(String),
    #[error("it was written by a newer cairn (format {0}, this one knows {VERSION})")]
    Newer(u32),
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Timed {
    #[serde(default)]
    at: u64,
    #[serde(flatten)]
    entry: Entry,
}

/// # Errors
/// When the file can't be read, or its header can't.
pub fn read(file: &File) -> Result<Log, Error> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("more than {MAX_BYTES} bytes")).into());
    }
    parse(&bytes)
}

/// # Errors
/// When the header can't be used.
pub fn parse(bytes: &[u8]) -> Result<Log, Error> {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut log = Log {
        header: header(first)?,
        entries: Vec::new(),
        times: Vec::new(),
        end: first.len() as u64,
        damage: None,
    };
    for line in lines {
        match entry(line, log.entries.len() as u64) {
            Ok(Timed { at, entry }) => {
                log.entries.push(entry);
                log.times.push(at);
                log.end += line.len() as u64;
            }
            Err(why) => {
                let last = log.end as usize + line.len() == bytes.len();
                log.damage = Some(match last {
                    true => Damage::Torn,
                    false => Damage::Line {
                        number: log.entries.len() + 2,
                        why,
                    },
                });
                break;
            }
        }
    }
    Ok(log)
}

fn header(line: &[u8]) -> Result<Header, Error> {
    let whole = line.strip_suffix(b"\n");
    let line = whole.ok_or_else(|| Error::Header("it is cut off".into()))?;
    let Version { v } = line::read(line).map_err(Error::Header)?;
    match v {
        0 => Err(Error::Header("it has version 0".into())),
        1..=VERSION => line::read(line).map_err(Error::Header),
        newer => Err(Error::Newer(newer)),
    }
}

/// The entry of a line that has `before` entries before it.
fn entry(line: &[u8], before: u64) -> Result<Timed, String> {
    let line = line.strip_suffix(b"\n").ok_or("it is cut off")?;
    let timed: Timed = line::read(line)?;
    let Entry { id, parent, .. } = &timed.entry;
    if *id != before + 1 {
        return Err(format!("it is entry {id}, where {} belongs", before + 1));
    }
    match parent {
        Some(parent) if !(1..*id).contains(parent) => {
            Err("it follows an entry that does not come before it".into())
        }
        _ => Ok(timed),
    }
}
