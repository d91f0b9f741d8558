//! A block as a file: header, tokens, rows, state, and a checksum of all of it.

use std::fmt;
use std::io;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::key::Key;

const MAGIC: [u8; 8] = *b"cairn-kv";
/// Written in this machine's byte order, as all numbers of a file are: another
/// order's files have another version.
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 8 + 32 + 32 + 8 + 8;
const CHECKSUM: usize = 16;

/// Positions of a sequence as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What comes before: the key of all tokens up to here.
    pub before: Key,
    /// Number of tokens before.
    pub position: usize,
    pub tokens: Vec<u32>,
    pub rows: Vec<u8>,
    /// The convolution state after the last token.
    pub state: Option<Vec<u8>>,
}

impl Block {
    pub fn key(&self) -> Key {
        self.before.then(&self.tokens)
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Fault {
    /// It is longer or shorter than such a block is.
    Length,
    /// Not a block, or one of another version of cairn.
    Format,
    Fingerprint,
    /// Its tokens, or those before it, are not those that it is named after.
    Tokens,
    Checksum,
    /// It has numbers that no model computes.
    Numbers,
    Unreadable(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "its length is wrong",
            Self::Format => "it is not one, or of another version",
            Self::Fingerprint => "it belongs to another bundle or another way of computing",
            Self::Tokens => "it holds other tokens",
            Self::Checksum => "its checksum differs",
            Self::Numbers => "it holds numbers that can't be",
            Self::Unreadable(error) => return write!(f, "it can't be read: {error}"),
        })
    }
}

/// Length of a file.
pub(super) fn file_len(tokens: usize, rows: usize, state: Option<usize>) -> u64 {
    (HEADER + 4 * tokens + rows + state.unwrap_or(0) + CHECKSUM) as u64
}

pub(super) fn encode(root: &Key, block: &Block) -> Vec<u8> {
    let state = block.state.as_deref().unwrap_or_default();
    let len = file_len(block.tokens.len(), block.rows.len(), Some(state.len()));
    let mut bytes = Vec::with_capacity(len as usize);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_ne_bytes());
    bytes.extend((block.tokens.len() as u32).to_ne_bytes());
    bytes.extend((block.position as u64).to_ne_bytes());
    bytes.extend(root.0);
    bytes.extend(block.before.0);
    bytes.extend((block.rows.len() as u64).to_ne_bytes());
    bytes.extend((state.len() as u64).to_ne_bytes());
    for token in &block.tokens {
        bytes.extend(token.to_ne_bytes());
    }
    bytes.extend_from_slice(&block.rows);
    bytes.extend_from_slice(state);
    let checksum = xxh3_128(&bytes);
    bytes.extend(checksum.to_ne_bytes());
    bytes
}

/// What a header says.
struct Header {
    root: Key,
    before: Key,
    position: u64,
    tokens: u64,
    rows: u64,
    state: u64,
}

/// Takes numbers off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Fault::Length)?;
        self.0 = rest;
        Ok(*field)
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields(bytes);
        let magic = fields.take::<8>()?;
        let version = u32::from_ne_bytes(fields.take()?);
        if magic != MAGIC || version != VERSION {
            return Err(Fault::Format);
        }
        Ok(Self {
            tokens: u32::from_ne_bytes(fields.take()?).into(),
            position: u64::from_ne_bytes(fields.take()?),
            root: Key(fields.take()?),
            before: Key(fields.take()?),
            rows: u64::from_ne_bytes(fields.take()?),
            state: u64::from_ne_bytes(fields.take()?),
        })
    }

    /// The length of a file with this header; `None` if there is no such length.
    fn file_len(&self) -> Option<u64> {
        let rest = (HEADER + CHECKSUM) as u64 + 4 * self.tokens;
        rest.checked_add(self.rows)?.checked_add(self.state)
    }
}

/// The block in these bytes, if it is what it has to be. That a state is there, and
/// that rows and state have the right size, is the caller's to compare.
pub(super) fn decode(
    mut bytes: Vec<u8>,
    root: &Key,
    before: &Key,
    position: usize,
    tokens: &[u32],
) -> Result<Block, Fault> {
    let header = Header::read(&bytes)?;
    if header.file_len() != Some(bytes.len() as u64) {
        return Err(Fault::Length);
    }
    let end = bytes.len() - CHECKSUM;
    if xxh3_128(&bytes[..end]).to_ne_bytes() != bytes[end..] {
        return Err(Fault::Checksum);
    }
    if header.root != *root {
        return Err(Fault::Fingerprint);
    }
    let (words, _) = bytes[HEADER..HEADER + 4 * header.tokens as usize].as_chunks::<4>();
    let same = words
        .iter()
        .copied()
        .map(u32::from_ne_bytes)
        .eq(tokens.iter().copied());
    if header.before != *before || header.position != position as u64 || !same {
        return Err(Fault::Tokens);
    }
    bytes.truncate(end);
    let state = bytes.split_off(end - header.state as usize);
    let rows = bytes.split_off(HEADER + 4 * tokens.len());
    Ok(Block {
        before: *before,
        position,
        tokens: tokens.to_vec(),
        rows,
        state: (!state.is_empty()).then_some(state),
    })
}

/// Whether a file of this name is whole, whatever it holds. Memory stays flat.
pub(super) fn check(
    file: &mut impl io::Read,
    len: u64,
    root: &Key,
    name: &Key,
) -> Result<(), Fault> {
    const MOST_TOKENS: u64 = super::BLOCK as u64;
    let mut fixed = [0; HEADER];
    if len < (HEADER + CHECKSUM) as u64 {
        return Err(Fault::Length);
    }
    file.read_exact(&mut fixed).map_err(Fault::Unreadable)?;
    let header = Header::read(&fixed)?;
    if header.file_len() != Some(len) || header.tokens > MOST_TOKENS {
        return Err(Fault::Length);
    }
    let mut hasher = Xxh3::new();
    hasher.update(&fixed);
    let mut words = vec![0; 4 * header.tokens as usize];
    file.read_exact(&mut words).map_err(Fault::Unreadable)?;
    hasher.update(&words);
    let mut left = header.rows + header.state;
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let part = &mut buffer[..left.min(1 << 16) as usize];
        file.read_exact(part).map_err(Fault::Unreadable)?;
        hasher.update(part);
        left -= part.len() as u64;
    }
    let mut checksum = [0; CHECKSUM];
    file.read_exact(&mut checksum).map_err(Fault::Unreadable)?;
    if hasher.digest128().to_ne_bytes() != checksum {
        return Err(Fault::Checksum);
    }
    if header.root != *root {
        return Err(Fault::Fingerprint);
    }
    let (words, _) = words.as_chunks::<4>();
    let tokens: Vec<u32> = words.iter().copied().map(u32::from_ne_bytes).collect();
    match header.before.then(&tokens) == *name {
        true => Ok(()),
        false => Err(Fault::Tokens),
    }
}
