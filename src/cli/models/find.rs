//! Where bundles are: folders that somebody named, and the hub's cache. What lies
//! there is looked at to a depth and a number, and no folder twice, so that links in
//! circles end.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder that looks like a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it lies below the folder that was named, or its name on the hub.
    pub name: String,
    pub path: PathBuf,
}

pub struct Places {
    pub folders: Vec<PathBuf>,
    /// A folder with the layout of the hub's cache.
    pub hub: Option<PathBuf>,
}

/// Folders below one that was named.
const DEPTH: usize = 3;
/// Most entries that are looked at, in all.
const ENTRIES: usize = 20_000;
const MOST_FOUND: usize = 500;
/// Of a name of a revision.
const REVISION: u64 = 200;
/// Of the revision in a name.
const SHORT: usize = 7;

/// What makes a folder a bundle, or what is left of one.
const CONFIG: &str = "config.json";

impl Places {
    /// Sorted by name; each folder once.
    pub fn found(&self) -> Vec<Found> {
        let mut walk = Walk::default();
        for folder in &self.folders {
            walk.folder(folder, folder, DEPTH);
        }
        if let Some(hub) = &self.hub {
            walk.hub(hub);
        }
        walk.found
            .sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        walk.found
    }
}

#[derive(Default)]
struct Walk {
    /// Device and number of folders that were looked at.
    seen: HashSet<(u64, u64)>,
    entries: usize,
    found: Vec<Found>,
}

impl Walk {
    /// Whether the folder is there and new.
    fn enter(&mut self, path: &Path) -> bool {
        let Ok(meta) = fs::metadata(path) else {
            return false;
        };
        meta.is_dir() && self.found.len() < MOST_FOUND && self.seen.insert((meta.dev(), meta.ino()))
    }

    fn folder(&mut self, root: &Path, path: &Path, depth: usize) {
        if !self.enter(path) {
            return;
        }
        if path.join(CONFIG).is_file() {
            self.add(name_below(root, path), path);
            return;
        }
        if depth > 0 {
            for inner in self.list(path) {
                self.folder(root, &inner, depth - 1);
            }
        }
    }

    /// What is in a folder, sorted; hidden things are not.
    fn list(&mut self, path: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(path) else {
            return Vec::new();
        };
        let left = ENTRIES.saturating_sub(self.entries);
        let mut paths: Vec<PathBuf> = entries.take(left).flatten().map(|one| one.path()).collect();
        self.entries += paths.len();
        let hidden = |path: &PathBuf| {
            let name = path.file_name();
            name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        paths.retain(|path| !hidden(path));
        paths.sort();
        paths
    }

    /// `models--ORG--NAME/snapshots/REVISION`; `refs/main` names the current one.
    fn hub(&mut self, hub: &Path) {
        for repository in self.list(hub) {
            let folder = repository.file_name().unwrap_or_default().to_string_lossy();
            let Some(name) = folder.strip_prefix("models--") else {
                continue;
            };
            let name = name.replace("--", "/");
            let snapshots = self.list(&repository.join("snapshots"));
            let current = match (revision(&repository.join("refs/main")), &snapshots[..]) {
                (None, [only]) => Some(only.clone()),
                (revision, _) => revision.map(|name| repository.join("snapshots").join(name)),
            };
            for snapshot in snapshots {
                if !self.enter(&snapshot) {
                    continue;
                }
                let revision = snapshot.file_name().unwrap_or_default().to_string_lossy();
                let name = match current.as_ref() == Some(&snapshot) {
                    true => name.clone(),
                    false => {
                        let short: String = revision.chars().take(SHORT).collect();
                        format!("{name}@{short}")
                    }
                };
                self.add(name, &snapshot);
            }
        }
    }

    fn add(&mut self, name: String, path: &Path) {
        self.found.push(Found {
            name,
            path: path.to_owned(),
        });
    }
}

fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    match below.as_os_str().is_empty() {
        true => root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        false => below.to_string_lossy().into_owned(),
    }
}

/// The name of a revision, which leads nowhere else.
fn revision(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(REVISION).read_to_string(&mut text).ok()?;
    let name = text.trim();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    plain.then(|| name.to_owned())
}

/// Bytes of the files in a folder, links to files followed.
pub fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries
        .take(ENTRIES)
        .flatten()
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .filter(fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(places: &Places) -> Vec<String> {
        places.found().into_iter().map(|one| one.name).collect()
    }

    fn bundle(path: &Path) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join(CONFIG), "{}").unwrap();
    }

    #[test]
    fn folders_are_walked_to_a_depth_and_circles_end() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        bundle(&at("a"));
        bundle(&at("org/b"));
        bundle(&at("a/inside"));
        bundle(&at("1/2/3/deep"));
        bundle(&at(".hidden"));
        symlink(root.path(), at("circle")).unwrap();
        symlink(at("a"), at("z")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        let places = Places {
            folders: vec![root.path().into(), root.path().into(), at("missing")],
            hub: None,
        };
        assert_eq!(names(&places), ["a", "org/b"]);
        let itself = Places {
            folders: vec![at("org/b")],
            hub: None,
        };
        assert_eq!(names(&itself), ["b"]);
    }

    #[test]
    fn the_hubs_cache_has_revisions() {
        let hub = tempfile::tempdir().unwrap();
        let at = |name: &str| hub.path().join(name);
        for snapshot in [
            "models--o--m/snapshots/aaaaaaaaaa",
            "models--o--m/snapshots/bbbbbbbbbb",
        ] {
            bundle(&at(snapshot));
        }
        bundle(&at("models--one/snapshots/cccc"));
        bundle(&at("datasets--o--d/snapshots/dddd"));
        bundle(&at("models--o--bad/snapshots/eeee"));
        for (repository, revision) in [("o--m", "bbbbbbbbbb\n"), ("o--bad", "../../one/x")] {
            let refs = at(&format!("models--{repository}/refs"));
            fs::create_dir_all(&refs).unwrap();
            fs::write(refs.join("main"), revision).unwrap();
        }
        let places = Places {
            folders: Vec::new(),
            hub: Some(hub.path().into()),
        };
        assert_eq!(names(&places), ["o/bad", "o/m", "o/m@aaaaaaa", "one"]);
        let current = &places.found()[1];
        assert!(current.path.ends_with("snapshots/bbbbbbbbbb"));
        assert_eq!(size(&current.path), 2);
    }
}
