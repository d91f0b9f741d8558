//! How much of a disk caches may take.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The most that is kept where nothing was said.
const MOST: u64 = 20_000_000_000;
/// And the part of what is free.
const SHARE: u64 = 10;

/// Most bytes of all blocks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// 20 GB, or a tenth of what is free on that disk.
    #[default]
    Share,
    Bytes(u64),
}

impl Limit {
    /// In bytes, for a folder that holds `held` already.
    pub(super) fn bytes(self, folder: &Path, held: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Share => rustix::fs::statvfs(folder).map_or(MOST, |disk| {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                // What is kept already is free for this.
                MOST.min(free.saturating_add(held) / SHARE)
            }),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share => f.write_str("auto"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a size: write a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, or auto")]
pub struct LimitError;

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let text = text.trim();
        if text == "auto" {
            return Ok(Self::Share);
        }
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let end = text.find(|c| !digits(c)).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(LimitError),
        };
        let number: f64 = number.parse().map_err(|_| LimitError)?;
        let bytes = number * unit as f64;
        match bytes < u64::MAX as f64 {
            true => Ok(Self::Bytes(bytes as u64)),
            false => Err(LimitError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("20GB", 20_000_000_000),
            ("1.5 gb", 1_500_000_000),
            ("512MiB", 512 << 20),
            ("0", 0),
            (" 7 B ", 7),
        ] {
            assert_eq!(text.parse(), Ok(Limit::Bytes(bytes)), "{text}");
            let shown = Limit::Bytes(bytes).to_string();
            assert_eq!(shown.parse(), Ok(Limit::Bytes(bytes)));
        }
        assert_eq!("auto".parse(), Ok(Limit::Share));
        for wrong in [
            "",
            "GB",
            "-1GB",
            "1.2.3GB",
            "10 percent",
            "99999999999TB",
            "nan",
            "inf",
        ] {
            assert_eq!(wrong.parse::<Limit>(), Err(LimitError), "{wrong}");
        }
    }

    #[test]
    fn a_share_counts_what_is_held_as_free() {
        let folder = std::env::temp_dir();
        let bytes = Limit::Share.bytes(&folder, 50_000_000);
        assert!((5_000_000..=MOST).contains(&bytes));
        assert_eq!(Limit::Share.bytes(&folder, u64::MAX), MOST);
    }
}
