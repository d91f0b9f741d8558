//! Names of blocks: a chain of hashes over what computes and all tokens so far.

use sha2::{Digest, Sha256};

/// A prefix of tokens under one fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(super) [u8; 32]);

impl Key {
    /// The fingerprint of a bundle and what computes with it: no tokens yet.
    pub fn root(bundle: &str, numerics: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in ["cairn keys and values", bundle, numerics] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The prefix that is this one and `tokens`.
    pub fn then(&self, tokens: &[u32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update((tokens.len() as u64).to_le_bytes());
        for token in tokens {
            hasher.update(token.to_le_bytes());
        }
        Self(hasher.finalize().into())
    }

    /// 64 hexadecimal digits.
    pub fn name(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut key = [0; 32];
        let (pairs, rest) = name.as_bytes().as_chunks::<2>();
        if pairs.len() != key.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(pairs) {
            let digit = |at: usize| match pair[at] {
                digit @ b'0'..=b'9' => Some(digit - b'0'),
                digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *byte = digit(0)? << 4 | digit(1)?;
        }
        Some(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_prefixes_apart_and_have_names() {
        let root = Key::root("bundle", "cpu");
        let others = [
            Key::root("bundlec", "pu"),
            root.then(&[]),
            root.then(&[1, 2]),
            root.then(&[1]).then(&[2]),
            root.then(&[2, 1]),
        ];
        for (at, one) in others.iter().enumerate() {
            assert_ne!(*one, root);
            assert!(others[..at].iter().all(|other| other != one));
            assert_eq!(Key::parse(&one.name()), Some(*one));
        }
        let name = root.name();
        for wrong in [
            "",
            "00",
            &name[1..],
            &name.to_uppercase(),
            &format!("{name}0"),
        ] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }
}
