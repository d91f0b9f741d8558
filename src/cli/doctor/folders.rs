//! The folders that cairn keeps files in: whether each is there or can be made, can
//! be written, and has room. Nothing is made to find out.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::machine::size;
use super::{Check, Status};
use crate::cli::folders;

const GROUP: &str = "folders";

/// With less than this, writing may fail at any time.
const SHORT: u64 = 100 << 20;

pub fn checks() -> Vec<Check> {
    let places = [
        ("config", folders::config()),
        ("state", folders::state()),
        ("cache", folders::cache()),
    ];
    let checks = places.into_iter().map(|(name, path)| {
        let (status, detail) = match path {
            Some(path) => looked_at(&path),
            None => (
                Status::Warn,
                "HOME is not set: nothing is kept between starts".to_owned(),
            ),
        };
        Check::new(GROUP, name, status, detail)
    });
    checks.collect()
}

fn looked_at(path: &Path) -> (Status, String) {
    let at = path.display();
    if path.exists() && !path.is_dir() {
        return (Status::Fail, format!("{at} is no folder"));
    }
    let Some(nearest) = nearest(path) else {
        return (Status::Warn, format!("{at} can't be reached"));
    };
    let there = match nearest == path {
        true => "",
        false => ", not there yet",
    };
    if let Err(error) = access(&nearest, Access::WRITE_OK | Access::EXEC_OK) {
        let error = std::io::Error::from(error).to_string();
        let error = error.split(" (os error").next().unwrap_or(&error);
        return (
            Status::Warn,
            format!("{at}{there}, can't be written: {error}"),
        );
    }
    match statvfs(&nearest) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let status = match free < SHORT {
                true => Status::Warn,
                false => Status::Ok,
            };
            (status, format!("{at}{there}, {} free", size(free)))
        }
        Err(_) => (Status::Ok, format!("{at}{there}")),
    }
}

/// The path, or what of it is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    let mut all = path.ancestors();
    all.find(|path| path.exists()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_told_from_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (status, text) = looked_at(&folder.path().join("a/b"));
        assert_eq!(status, Status::Ok);
        assert!(text.contains("a/b, not there yet, "), "{text}");
        std::fs::write(folder.path().join("a"), "").unwrap();
        assert_eq!(looked_at(&folder.path().join("a")).0, Status::Fail);
        let (status, text) = looked_at(Path::new("/proc/sys/cairn"));
        assert!(status != Status::Fail && text.starts_with("/proc/sys/cairn"));
    }
}
