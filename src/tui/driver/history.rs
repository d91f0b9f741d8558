//! What was sent before, in the file that the line-based REPL uses as well.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::tui::composer::history_file::{HEADER, decode, encode};

/// Messages that are taken from it.
const MOST: usize = 1000;

/// The file, where there is one.
#[derive(Debug)]
pub struct History(Option<PathBuf>);

impl History {
    pub fn at(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// The messages, oldest first; none if they can't be read.
    pub fn load(&self) -> Vec<String> {
        let text = self.0.as_ref().map(std::fs::read);
        let text = text.and_then(Result::ok).unwrap_or_default();
        let mut all = decode(&String::from_utf8_lossy(&text));
        let extra = all.len().saturating_sub(MOST);
        all.drain(..extra);
        all
    }

    /// Whether the file has a form that nothing can be added to.
    fn is_older(&self) -> bool {
        let text = self.0.as_ref().and_then(|path| std::fs::read(path).ok());
        text.is_some_and(|text| !text.is_empty() && !text.starts_with(HEADER.as_bytes()))
    }

    /// Writes it in the form of today.
    fn renew(&self, path: &Path) {
        let lines = self.load().into_iter().map(|one| encode(&one) + "\n");
        let text = std::iter::once(HEADER.to_owned())
            .chain(lines)
            .collect::<String>();
        let beside = path.with_extension("new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                std::fs::rename(&beside, path)
            });
        // It stays as it is, if it can't be.
        drop(written);
    }

    /// Adds a message. Losing one is not worth a word in the middle of work.
    pub fn add(&mut self, message: &str) {
        let Some(path) = &self.0 else { return };
        if self.is_older() {
            self.renew(path);
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path);
        let Ok(mut file) = file else { return };
        let new = file.metadata().is_ok_and(|data| data.len() == 0);
        let version = if new { HEADER } else { "" };
        let _ = file.write_all(format!("{version}{}\n", encode(message)).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_older_file_is_renewed_and_stays_the_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let mut history = History::at(Some(path.clone()));
        history.add("three\nlines");
        assert_eq!(history.load(), ["one", "two", "three\nlines"]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(HEADER));
    }
}
