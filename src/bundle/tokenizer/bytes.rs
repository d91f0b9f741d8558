//! The bytes of every token in one arena, so that decoding a token is a slice.

use super::parse::{Decoder, Parts};

pub(super) struct TokenBytes {
    arena: Vec<u8>,
    /// Start and length by id; a length of [`NONE`] marks an unused id.
    spans: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

impl TokenBytes {
    pub(super) fn new(parts: &Parts) -> Result<Self, String> {
        let count = parts.vocab.len();
        let largest = parts.vocab.values().copied().max();
        let size = largest.map_or(0, |id| id as usize + 1);
        // A single absurd id must not decide how much is allocated.
        if size > 4 * count + 65_536 {
            return Err(format!(
                "its ids go up to {}, with {count} tokens",
                size - 1
            ));
        }
        let mut seen = vec![false; size];
        let twice = |id: &&u32| std::mem::replace(&mut seen[**id as usize], true);
        // The smallest, as the order of the vocabulary is arbitrary.
        if let Some(id) = parts.vocab.values().filter(twice).min() {
            return Err(format!("two of its tokens have id {id}"));
        }
        let total: usize = parts.vocab.keys().map(String::len).sum();
        let mut bytes = Self {
            arena: Vec::with_capacity(total),
            spans: vec![(0, NONE); size],
        };
        let table = byte_level_table();
        // Added tokens first: they stand for themselves, whatever the decoder.
        let added = parts.added.iter().map(|t| (t.content.as_str(), t.id, true));
        let model = parts
            .vocab
            .iter()
            .map(|(text, id)| (text.as_str(), *id, false));
        for (text, id, verbatim) in added.chain(model) {
            let start = bytes.arena.len();
            let span = &mut bytes.spans[id as usize];
            if span.1 != NONE {
                continue;
            }
            push(&mut bytes.arena, text, parts.decoder, verbatim, &table);
            *span = (start as u32, (bytes.arena.len() - start) as u32);
        }
        bytes.arena.shrink_to_fit();
        Ok(bytes)
    }

    pub(super) fn get(&self, id: u32) -> Option<&[u8]> {
        let (start, len) = *self.spans.get(id as usize)?;
        (len != NONE).then(|| &self.arena[start as usize..][..len as usize])
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

fn push(arena: &mut Vec<u8>, text: &str, decoder: Decoder, verbatim: bool, table: &[u16; 512]) {
    if decoder.byte_level && !verbatim {
        let start = arena.len();
        for c in text.chars() {
            match table.get(c as usize) {
                Some(byte) if *byte < 256 => arena.push(*byte as u8),
                _ => {
                    // Not of the alphabet: the token is plain text.
                    arena.truncate(start);
                    arena.extend_from_slice(text.as_bytes());
                    return;
                }
            }
        }
        return;
    }
    if decoder.byte_fallback
        && let Some(byte) = fallback_byte(text)
    {
        arena.push(byte);
        return;
    }
    if !decoder.underline_is_space {
        arena.extend_from_slice(text.as_bytes());
        return;
    }
    for (i, piece) in text.split('▁').enumerate() {
        if i > 0 {
            arena.push(b' ');
        }
        arena.extend_from_slice(piece.as_bytes());
    }
}

/// The byte of `<0xHH>`.
fn fallback_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    // `from_str_radix` would also take a sign.
    if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// GPT-2's alphabet, reversed: the byte of each character below U+0200, or
/// 256. Printable Latin-1 stands for itself, the rest counts up from U+0100.
fn byte_level_table() -> [u16; 512] {
    let mut table = [256; 512];
    let mut next = 256;
    for byte in 0..=255u8 {
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let c = if printable {
            usize::from(byte)
        } else {
            next += 1;
            next - 1
        };
        table[c] = u16::from(byte);
    }
    table
}
