//! What a command reaches that has no view of its own, where namespaces can't be had.
//! Landlock can allow and not take back: so a folder that holds something hidden or
//! protected is not allowed itself, only what lies beside it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Grants;
use super::prepare::text;
use crate::sandbox::protected::Protected;
use crate::sandbox::secrets;
use crate::sandbox::workspace::Workspace;

/// Where programs are, and what they need to run.
const SYSTEM: &[&str] = &[
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu",
    "/proc", "/sys",
];

/// Folders of tools that are elsewhere, by the variables that name them.
const TOOLS: &[&str] = &[
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
];

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// All that a command may reach.
///
/// # Errors
/// When a name can't be told.
pub fn of(
    workspace: &Workspace,
    protected: &[Protected],
    hidden: &[String],
    home: Option<&Path>,
) -> io::Result<Grants> {
    // By what it is, too, if it is known by a link.
    let hidden: Vec<PathBuf> = hidden
        .iter()
        .map(PathBuf::from)
        .flat_map(|path| [path.canonicalize().ok(), Some(path)])
        .flatten()
        .collect();
    let root = workspace.root();
    let held = protected.iter().map(|found| root.join(&found.path));
    let held: Vec<PathBuf> = held.chain(hidden.iter().cloned()).collect();
    let there = |excluded: &[PathBuf]| {
        let all = without(root, excluded).into_iter();
        all.filter_map(|path| {
            let path = path.strip_prefix(root).ok()?;
            Some(match path.as_os_str().is_empty() {
                true => ".".to_owned(),
                // A name that can't be told is not granted.
                false => text(path).ok()?,
            })
        })
        .collect()
    };
    let tools = TOOLS.iter().filter_map(std::env::var_os).map(PathBuf::from);
    let tools = home
        .map(secrets::toolchains)
        .unwrap_or_default()
        .into_iter()
        .chain(tools)
        .filter(|path| path.is_absolute())
        .filter_map(|path| path.canonicalize().ok());
    let read = SYSTEM.iter().map(PathBuf::from).chain(tools);
    let read = read.flat_map(|path| without(&path, &hidden));
    let random = RandomState::new().hash_one(std::process::id());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("cairn-{}-{count}-{random:x}", std::process::id());
    Ok(Grants {
        read: read.filter_map(|path| text(&path).ok()).collect(),
        read_there: there(&hidden),
        write_there: there(&held),
        temporary: text(&std::env::temp_dir().canonicalize()?.join(name))?,
    })
}

/// The largest parts of a folder in which none of these paths is.
fn without(folder: &Path, excluded: &[PathBuf]) -> Vec<PathBuf> {
    if excluded.iter().any(|path| folder.starts_with(path)) {
        return Vec::new();
    }
    if !excluded.iter().any(|path| path.starts_with(folder)) {
        return vec![folder.to_owned()];
    }
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // What a link leads to counts where it lies.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            parts.extend(without(&entry.path(), excluded));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_excluded_splits_the_folders_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in [
            ".git/hooks",
            "src/a",
            "vendor/x/.git",
            "vendor/x/src",
            "vendor/y",
        ] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink("/", at("link")).unwrap();
        let mut got = without(
            folder.path(),
            &[at(".git"), at("vendor/x/.git"), at("none")],
        );
        got.sort();
        assert_eq!(got, ["src", "vendor/x/src", "vendor/y"].map(at));
        assert_eq!(
            without(folder.path(), &["/elsewhere".into()]),
            [folder.path()]
        );
        assert!(without(folder.path(), &[folder.path().to_owned()]).is_empty());
        assert!(without(&at("src"), &[folder.path().to_owned()]).is_empty());
    }
}
