//! A bound on the patterns of a tokenizer, because a short pattern can compile
//! into many megabytes: the compiler's own limit is far above any real use.

use serde_json::Value;

/// Measured bytes, at the peak of compiling, of a Unicode class, of a set that
/// contains some, and of anything else.
const CLASS: usize = 192 << 10;
const SET: usize = 384 << 10;
const CHARACTER: usize = 512;
/// Somewhat above GPT-4o's pattern, the largest in use.
const LIMIT: usize = 14 << 20;

/// Refuses a tokenizer whose `parts` have patterns that would together compile
/// into too much.
pub(super) fn check(parts: &[Value]) -> Result<(), String> {
    let total = parts.iter().map(total).fold(0, usize::saturating_add);
    match total > LIMIT {
        true => Err("its patterns are too large".to_owned()),
        false => Ok(()),
    }
}

/// The sum over all patterns in `part`.
fn total(part: &Value) -> usize {
    match part {
        Value::Array(list) => list.iter().map(total).fold(0, usize::saturating_add),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("Regex", Value::String(pattern)) => estimate(pattern),
                // A plain text is compiled too.
                ("String", Value::String(text)) => text.len().saturating_mul(CHARACTER),
                (_, value) => total(value),
            })
            .fold(0, usize::saturating_add),
        _ => 0,
    }
}

/// Bytes that `pattern` may compile into, as if all its repetition counts were
/// nested in each other.
fn estimate(pattern: &str) -> usize {
    let mut size = 0usize;
    let mut repeated = 1usize;
    // Inside a set: whether it contains a class.
    let mut set = None;
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        size += match byte {
            b'[' if set.is_none() => {
                set = Some(false);
                CHARACTER
            }
            b']' => match set.take() {
                Some(true) => SET,
                _ => CHARACTER,
            },
            b'.' => CLASS,
            b'\\' => {
                let class = matches!(
                    bytes.next(),
                    Some(b'p' | b'P' | b'w' | b'W' | b'd' | b'D' | b's' | b'S' | b'b' | b'B')
                );
                match (class, &mut set) {
                    (true, Some(set)) => {
                        *set = true;
                        CHARACTER
                    }
                    (true, None) => CLASS,
                    (false, _) => CHARACTER,
                }
            }
            // Negated, a set is as large as one with a class.
            b'^' if set.is_some() => {
                set = Some(true);
                CHARACTER
            }
            _ => CHARACTER,
        };
        if byte == b'{' {
            let mut largest = 0usize;
            let mut count = 0usize;
            while let Some(byte) = bytes.next_if(|b| b.is_ascii_digit() || matches!(b, b',' | b' '))
            {
                count = match byte {
                    b'0'..=b'9' => count
                        .saturating_mul(10)
                        .saturating_add((byte - b'0').into()),
                    _ => 0,
                };
                largest = largest.max(count);
            }
            repeated = repeated.saturating_mul(largest.max(1));
        }
    }
    size.saturating_mul(repeated)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn real_patterns_pass_and_bombs_do_not() {
        let o200k = [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
        .join("|");
        let split = |pattern: &str| json!({"pretokenizers": [{"pattern": {"Regex": pattern}}]});
        assert_eq!(check(&[split(&o200k)]), Ok(()));
        let bombs = [
            "((a{999}){999}){999}".to_owned(),
            "a{99999999}".to_owned(),
            r"\p{L}{1000}".to_owned(),
            r"\p{L}".repeat(1000),
            "a{99999999999999999999999999}".to_owned(),
        ];
        for bomb in bombs {
            assert!(check(&[split(&bomb)]).is_err(), "{bomb}");
        }
        // Many small ones are as bad as a large one.
        assert!(check(&vec![split(&o200k); 3]).is_err());
        // In a plain text, only its length counts.
        let plain = |text: &str| [json!({"pattern": {"String": text}})];
        assert_eq!(check(&plain("a{99999999}")), Ok(()));
        assert!(check(&plain(&"x".repeat(100_000))).is_err());
    }
}
