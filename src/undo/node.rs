//! What may stand at a path, as far as it can be brought back: a file by the hash
//! of its bytes, a link by its text, a folder by its mode. What can't be brought
//! back is a node as well, so that nothing is taken for absent that was not kept.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A file's content, by its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of all that was given to a hasher.
    pub fn from_all(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// From 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 2 * bytes.len() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        Self::parse(&hex).ok_or_else(|| serde::de::Error::custom("not a hash"))
    }
}

/// User and group.
pub type Owner = (u32, u32);

/// What the system says about a file. Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Type and permissions.
    pub mode: u32,
    pub size: u64,
    pub modified: i64,
    /// When anything about it was changed; nobody can set that.
    pub changed: i64,
    pub inode: u64,
    pub owner: Owner,
}

impl Stamp {
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

/// Why something can't be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// By a `.gitignore` that stood there before the turn; or it is `.git`.
    Ignored,
    /// Larger than a kept file may be.
    Large,
    /// All files together are larger than may be kept.
    Total,
    /// Too many files, or folders too deep in each other.
    Many,
    Unreadable,
    /// A FIFO, a socket or a device.
    Special,
    /// There was no room for a copy.
    NoRoom,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    Absent,
    File {
        hash: Hash,
        /// In bytes.
        size: u64,
        mode: u32,
        owner: Owner,
    },
    Link {
        #[serde(with = "text")]
        target: OsString,
        owner: Owner,
    },
    Folder {
        mode: u32,
        owner: Owner,
    },
    /// Something that is known by its stamp alone.
    Unkept {
        why: Why,
        stamp: Stamp,
    },
}

impl Node {
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// Whether both are the same to who works with them. Owners don't count:
    /// nobody but root can bring them back.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (
                Self::File { hash, mode, .. },
                Self::File {
                    hash: other,
                    mode: its,
                    ..
                },
            ) => hash == other && mode == its,
            (Self::Link { target, .. }, Self::Link { target: other, .. }) => target == other,
            (Self::Folder { mode, .. }, Self::Folder { mode: other, .. }) => mode == other,
            // What is below an ignored folder is nobody's matter here.
            (
                Self::Unkept {
                    why: Why::Ignored, ..
                },
                Self::Unkept {
                    why: Why::Ignored, ..
                },
            ) => true,
            (Self::Unkept { stamp, .. }, Self::Unkept { stamp: other, .. }) => stamp == other,
            _ => false,
        }
    }
}

/// Names as text: what is not UTF-8, and `%`, is written as `%` and two digits.
pub mod text {
    use super::*;

    pub fn write(name: &OsStr) -> String {
        let mut text = String::new();
        for chunk in name.as_bytes().utf8_chunks() {
            text.push_str(&chunk.valid().replace('%', "%25"));
            for byte in chunk.invalid() {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        text
    }

    pub fn read(text: &str) -> Option<OsString> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut parts = text.split('%');
        bytes.extend_from_slice(parts.next()?.as_bytes());
        for part in parts {
            bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        Some(OsString::from_vec(bytes))
    }

    pub fn serialize<S: Serializer>(
        name: &impl AsRef<OsStr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(name.as_ref()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: From<OsString>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = read(&text).ok_or_else(|| serde::de::Error::custom("not a name"))?;
        Ok(name.into())
    }
}

/// A path that can be written as text, whatever its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(#[serde(with = "text")] pub PathBuf);

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl std::borrow::Borrow<Path> for Name {
    fn borrow(&self) -> &Path {
        &self.0
    }
}

impl From<PathBuf> for Name {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_comes_back() {
        for name in [
            &b"plain"[..],
            b"50%",
            b"%25",
            b"\xff\xfe%",
            "n\u{e4}\n".as_bytes(),
            b"",
        ] {
            let name = OsStr::from_bytes(name);
            let text = text::write(name);
            assert_eq!(text::read(&text).as_deref(), Some(name), "{text}");
            let name = Name(PathBuf::from(name));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
        for bad in ["%", "%2", "%zz", "a%\u{e4}"] {
            assert_eq!(text::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn owners_do_not_count_and_what_is_not_kept_counts_by_its_stamp() {
        let file = |owner| Node::File {
            hash: Hash::of(b"x"),
            size: 1,
            mode: 0o644,
            owner,
        };
        assert!(file((0, 0)).agrees(&file((1, 2))));
        let unkept = |why, size| Node::Unkept {
            why,
            stamp: Stamp {
                size,
                ..Stamp::default()
            },
        };
        assert!(unkept(Why::Large, 1).agrees(&unkept(Why::Total, 1)));
        assert!(!unkept(Why::Large, 1).agrees(&unkept(Why::Large, 2)));
        assert!(unkept(Why::Ignored, 1).agrees(&unkept(Why::Ignored, 2)));
        assert!(!Node::Absent.agrees(&unkept(Why::Large, 1)));
    }
}
