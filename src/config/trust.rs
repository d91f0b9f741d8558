//! Which projects' settings the user trusts: by folder, each with the very text
//! that was looked at. Another text in the same place is not trusted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ConfigError, file};

/// The user's record, which need not exist.
#[derive(Clone, Debug)]
pub struct Trust {
    path: PathBuf,
}

impl Trust {
    /// In the user's config folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            path: folder.join("trusted.json"),
        }
    }

    /// The text that is trusted in a folder.
    ///
    /// # Errors
    /// For a record that can't be read.
    pub fn text(&self, root: &Path) -> Result<Option<String>, ConfigError> {
        let record = file::read(&self.path).map_err(|error| self.fault(&error))?;
        Ok(self.parse(record)?.remove(&key(root)))
    }

    /// # Errors
    /// For a record that can't be read or written.
    pub fn accept(&self, root: &Path, text: &str) -> Result<(), ConfigError> {
        self.change(|folders| {
            folders.insert(key(root), text.to_owned());
        })
    }

    /// Whether there was something to forget.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn forget(&self, root: &Path) -> Result<bool, ConfigError> {
        let mut known = false;
        self.change(|folders| known = folders.remove(&key(root)).is_some())?;
        Ok(known)
    }

    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), ConfigError> {
        let changed = file::change(&self.path, |record| {
            let mut folders = self
                .parse(record)
                .map_err(|error| std::io::Error::other(error.why))?;
            change(&mut folders);
            Ok::<_, std::io::Error>(Some(serde_json::to_string_pretty(&folders)? + "\n"))
        });
        changed.map_err(|error| self.fault(&error))
    }

    fn parse(&self, record: Option<String>) -> Result<BTreeMap<String, String>, ConfigError> {
        match record {
            None => Ok(BTreeMap::new()),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| self.fault(&format!("{error}; take the file away"))),
        }
    }

    fn fault(&self, why: &dyn std::fmt::Display) -> ConfigError {
        ConfigError::new(&self.path, why)
    }
}

/// A folder's canonical path; bytes that are no text can't be mistaken for others.
fn key(root: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let bytes = root.as_os_str().as_bytes();
    bytes.utf8_chunks().fold(String::new(), |mut key, chunk| {
        key.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            key.push_str(&format!("\\x{byte:02x}"));
        }
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PROJECT_FILE, Project};
    use crate::sandbox::{Action, Decision, Mode, Policy, Rules, Workspace};
    use std::fs;

    #[test]
    fn trust_is_in_a_text_at_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust::in_folder(&folder.path().join("cairn"));
        let [a, b] = ["/a", "/b\\"].map(Path::new);
        assert_eq!(trust.text(a).unwrap(), None);
        trust.accept(a, "one").unwrap();
        trust.accept(b, "two").unwrap();
        assert_eq!(trust.text(a).unwrap().as_deref(), Some("one"));
        assert!(trust.forget(a).unwrap());
        assert!(!trust.forget(a).unwrap());
        assert_eq!(trust.text(a).unwrap(), None);
        assert_eq!(trust.text(b).unwrap().as_deref(), Some("two"));
        fs::write(&trust.path, "{").unwrap();
        assert!(trust.text(b).is_err() && trust.accept(b, "x").is_err());
        assert_eq!(fs::read_to_string(&trust.path).unwrap(), "{");
    }

    #[test]
    fn a_project_tightens_and_never_frees() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        assert_eq!(Project::find(&workspace).unwrap(), None);
        fs::create_dir(folder.path().join(".cairn")).unwrap();
        let write = |text: &str| fs::write(folder.path().join(PROJECT_FILE), text).unwrap();

        write(
            "[sandbox]\nmode = \"read-only\"\n[permissions]\nrun = \"allow\"\ndeny = [\"run:make\"]",
        );
        let project = Project::find(&workspace).unwrap().unwrap();
        let trust = Trust::in_folder(folder.path());
        assert!(!project.is_trusted(workspace.root(), &trust).unwrap());
        trust.accept(workspace.root(), &project.text).unwrap();
        assert!(project.is_trusted(workspace.root(), &trust).unwrap());
        let tight = project.tighten(&Policy::new(Rules::default())).unwrap();
        assert_eq!(tight.mode(), Mode::ReadOnly);
        assert_eq!(tight.decide(Action::Run("true")), Decision::Ask);
        assert_eq!(tight.decide(Action::Run("make")), Decision::Deny);

        write("# changed");
        let project = Project::find(&workspace).unwrap().unwrap();
        assert!(!project.is_trusted(workspace.root(), &trust).unwrap());
        for text in [
            "[sandbox]\nmode = \"danger\"",
            "[permissions]\nallow = [\"run\"]",
            "[sandbox]\nhome = \"/x\"",
        ] {
            write(text);
            let project = Project::find(&workspace).unwrap().unwrap();
            assert!(project.tighten(&Policy::new(Rules::default())).is_err());
        }
    }
}
