//! Where a program of the machine is: looked up before a command starts, so that it is
//! none that the workspace brings along.

use std::path::Path;

use rustix::fs::{Access, access};

use crate::sandbox::workspace::Workspace;

/// A program's path, from the folders of the search path that are none of the
/// workspace's.
pub fn program(name: &str, workspace: &Workspace) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find_map(|folder| within(&folder, name, workspace.root()))
}

fn within(folder: &Path, name: &str, workspace: &Path) -> Option<String> {
    let found = folder.join(name);
    let real = found.canonicalize().ok()?;
    let outside = folder.is_absolute()
        && ![&found, &real]
            .iter()
            .any(|path| path.starts_with(workspace));
    let runs = real.is_file() && access(&found, Access::EXEC_OK).is_ok();
    match outside && runs {
        true => found.into_os_string().into_string().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_workspaces_own_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (inside, outside) = (root.join("ws"), root.join("bin"));
        for place in [&inside, &outside] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("tool"), "").unwrap();
        }
        assert_eq!(within(&outside, "tool", &inside), None, "it can't be run");
        for place in [&inside, &outside] {
            fs::set_permissions(place.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let found = outside.join("tool").to_str().map(str::to_owned);
        assert_eq!(within(&outside, "tool", &inside), found);
        assert_eq!(within(&inside, "tool", &inside), None);
        assert_eq!(within(Path::new("bin"), "tool", &inside), None);
        symlink(inside.join("tool"), outside.join("linked")).unwrap();
        assert_eq!(within(&outside, "linked", &inside), None);
        assert_eq!(within(&outside, "none", &inside), None);
    }
}
