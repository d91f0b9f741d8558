//! How much of a disk caches may take.

use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_what_is_held_as_free() {
        let folder = std::env::temp_dir();
        let bytes = Limit::Share.bytes(&folder, 50_000_000);
        assert!((5_000_000..=MOST).contains(&bytes));
        assert_eq!(Limit::Share.bytes(&folder, u64::MAX), MOST);
    }
}
