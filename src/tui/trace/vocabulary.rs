//! What the tokens of a session say, each id once: alternatives name their bytes by id.

use std::collections::BTreeMap;

/// Ids below this are looked up in a table; no vocabulary has more, but a damaged file
/// may.
const TABLE: u32 = 1 << 20;
/// Entries and bytes by which the tables grow.
const STEP: usize = 16 << 10;
const NONE: u32 = u32::MAX;

/// The bytes of ids, as they were first seen.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Where an id's text begins in `texts`: its length, and the bytes.
    table: Vec<u32>,
    others: BTreeMap<u32, u32>,
    texts: Vec<u8>,
}

impl Vocabulary {
    /// Keeps what an id says, at most 255 bytes of it.
    pub fn note(&mut self, id: u32, bytes: &[u8]) {
        if self.place(id).is_some() {
            return;
        }
        let Ok(place) = u32::try_from(self.texts.len()) else {
            return;
        };
        let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        let bytes = &bytes[..usize::from(len)];
        grow(&mut self.texts, bytes.len() + 1);
        self.texts.push(len);
        self.texts.extend(bytes);
        if id >= TABLE {
            self.others.insert(id, place);
            return;
        }
        let missing = (id as usize + 1).saturating_sub(self.table.len());
        grow(&mut self.table, missing);
        let len = self.table.len() + missing;
        self.table.resize(len, NONE);
        self.table[id as usize] = place;
    }

    /// What an id says; empty for one that was never seen.
    pub fn bytes(&self, id: u32) -> &[u8] {
        let text = self.place(id).and_then(|place| {
            let (len, rest) = self.texts.get(place as usize..)?.split_first()?;
            rest.get(..usize::from(*len))
        });
        text.unwrap_or_default()
    }

    /// Memory that it has, in bytes; that of ids beyond any vocabulary is estimated.
    pub fn memory(&self) -> usize {
        const NODE: usize = 2 * size_of::<(u32, u32)>();
        self.table.capacity() * size_of::<u32>() + self.texts.capacity() + self.others.len() * NODE
    }

    fn place(&self, id: u32) -> Option<u32> {
        let place = match id {
            0..TABLE => self.table.get(id as usize),
            _ => self.others.get(&id),
        };
        place.copied().filter(|place| *place != NONE)
    }
}

/// Room for `more`, in steps instead of twice as much.
fn grow<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.next_multiple_of(STEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_they_said_first() {
        let mut vocabulary = Vocabulary::default();
        vocabulary.note(7, b" seven");
        vocabulary.note(7, b"other");
        vocabulary.note(u32::MAX, b"\xff");
        vocabulary.note(0, b"");
        vocabulary.note(3, &[b'x'; 300]);
        let said = [7, u32::MAX, 0, 1, 99_999].map(|id| vocabulary.bytes(id));
        assert_eq!(said, [b" seven".as_slice(), b"\xff", b"", b"", b""]);
        assert_eq!(vocabulary.bytes(3), [b'x'; 255]);
    }
}
