//! The processes of the system, as `/proc` lists them. A number is given to another
//! process once its own has ended: with the time it started it names one for ever.

use std::fs;

/// A process as it was when this looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Process {
    pub id: u32,
    /// As it calls itself, at most 15 bytes.
    pub name: String,
    pub parent: u32,
    pub session: u32,
    /// In clock ticks since boot.
    pub started: u64,
    /// It has ended, and only waits to be reaped.
    pub ended: bool,
    pub stopped: bool,
}

impl Process {
    /// `None` for one that is gone.
    pub fn of(id: u32) -> Option<Self> {
        Self::read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// This one.
    pub fn this() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// All that can be seen.
    pub fn all() -> Vec<Self> {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(Self::of)
            .collect()
    }

    fn read(id: u32, stat: &str) -> Option<Self> {
        // The name in parentheses may contain anything, parentheses too.
        let (name, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let state = *fields.first()?;
        Some(Self {
            id,
            name: name.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            ended: matches!(state, "Z" | "X"),
            stopped: state == "T",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_contain_anything() {
        let stat = "7 (a) R 1 (b)) Z 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22\n";
        let expected = Process {
            id: 7,
            name: "a) R 1 (b)".to_owned(),
            parent: 3,
            session: 5,
            started: 21,
            ended: true,
            stopped: false,
        };
        assert_eq!(Process::read(7, stat), Some(expected));
        assert_eq!(Process::read(7, "7 (a) R 1 2"), None);
    }

    #[test]
    fn this_one_is_among_them() {
        let this = Process::this().unwrap();
        assert!(!this.ended && Process::all().contains(&this));
        assert_eq!(this.parent, std::os::unix::process::parent_id());
    }
}
