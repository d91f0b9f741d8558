//! Names of sessions.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits for the seconds, and digits that are random.
const SECONDS: u32 = 7;
const RANDOM: u32 = 5;

/// Twelve characters: seconds since 1970, then randomness, both in base 32, so
/// that ids sort by age.
pub fn draw() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let random = hasher.finish();
    let digit = |value: u64, place: u32| char::from(DIGITS[(value >> (5 * place)) as usize % 32]);
    let places = |value, count: u32| (0..count).rev().map(move |place| digit(value, place));
    places(seconds, SECONDS)
        .chain(places(random, RANDOM))
        .collect()
}

/// Whether this could be the beginning of an id.
pub fn is_prefix(text: &str) -> bool {
    let digit = |byte| DIGITS.contains(&byte);
    (1..=(SECONDS + RANDOM) as usize).contains(&text.len()) && text.bytes().all(digit)
}

/// Whether this could be an id.
pub fn is_id(text: &str) -> bool {
    is_prefix(text) && text.len() == (SECONDS + RANDOM) as usize
}
