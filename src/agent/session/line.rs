//! One line of a session's log: a JSON object that ends with the time it was
//! written and a checksum of everything before that, so that a line that was
//! changed on disk is never taken for what was written.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

const SUM: &[u8] = b",\"sum\":\"";
/// What follows [`SUM`]: 16 digits, a quote, a brace.
const TAIL: usize = 18;

/// The line of an object, its end included.
///
/// # Errors
/// When `object` is no JSON object.
pub(super) fn write(object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(object)?;
    line.pop();
    line.extend_from_slice(format!(",\"at\":{}", now()).as_bytes());
    let sum = xxh3_64(&line);
    line.extend_from_slice(SUM);
    line.extend_from_slice(format!("{sum:016x}\"}}\n").as_bytes());
    Ok(line)
}

/// The object of a line without its end.
///
/// # Errors
/// With what is wrong.
pub(super) fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let split = line.len().checked_sub(SUM.len() + TAIL);
    let (text, sum) = split
        .map(|at| line.split_at(at))
        .ok_or("not a line of a session")?;
    let expected = format!("{:016x}\"}}", xxh3_64(text));
    if sum.strip_prefix(SUM) != Some(expected.as_bytes()) {
        return Err("its checksum is wrong".into());
    }
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// Milliseconds since 1970.
pub(in crate::agent) fn now() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn any_changed_byte_is_noticed() {
        let object = json!({"type": "user", "text": "a \"sum\":\" b", "n": 1.5});
        let line = write(&object).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        let back: Value = read(line).unwrap();
        assert_eq!(back["text"], object["text"]);
        assert!(back["at"].as_u64().unwrap() > 1_500_000_000_000);
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.to_vec();
                other[at] ^= 1 << bit;
                assert!(read::<Value>(&other).is_err(), "byte {at}, bit {bit}");
            }
            assert!(read::<Value>(&line[..at]).is_err());
        }
    }
}
