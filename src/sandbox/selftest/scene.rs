//! A workspace to try escapes from, in the folder for temporary files, with a
//! protected folder in it; all of it goes with this value.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::sandbox::Workspace;

pub struct Scene {
    folder: PathBuf,
    pub workspace: Workspace,
}

/// What lies in the protected file, and has to.
const SAFE: &str = "safe";

impl Scene {
    pub fn new() -> io::Result<Self> {
        let name = format!("cairn-doctor-{}", std::process::id());
        // For nobody else: what is run from here must be what was put here.
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Self::within(&folder).inspect_err(|_| drop(fs::remove_dir_all(&folder)))
    }

    fn within(folder: &Path) -> io::Result<Self> {
        let work = folder.join("workspace");
        fs::create_dir_all(work.join(".git"))?;
        fs::write(work.join(".git/config"), SAFE)?;
        let workspace = Workspace::open(&work).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            workspace,
        })
    }

    /// A path in the workspace.
    pub fn at(&self, name: &str) -> PathBuf {
        self.workspace.root().join(name)
    }

    /// A path beside the workspace.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn protected_is_safe(&self) -> bool {
        fs::read_to_string(self.at(".git/config")).is_ok_and(|text| text == SAFE)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
