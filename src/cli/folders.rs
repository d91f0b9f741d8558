//! Where cairn keeps what it can find out again, and what it must not forget.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$XDG_CACHE_HOME/cairn`, or `~/.cache/cairn`; on macOS
/// `~/Library/Caches/cairn`. It need not exist. `None` without a home.
pub fn cache() -> Option<PathBuf> {
    cache_of(|name| std::env::var_os(name))
}

/// `$XDG_STATE_HOME/cairn`, or `~/.local/state/cairn`; on macOS
/// `~/Library/Application Support/cairn`. It need not exist. `None` without a home.
pub fn state() -> Option<PathBuf> {
    state_of(|name| std::env::var_os(name))
}

fn state_of(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folder_of(
        variable,
        "XDG_STATE_HOME",
        ("Library/Application Support", ".local/state"),
    )
}

fn cache_of(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folder_of(variable, "XDG_CACHE_HOME", ("Library/Caches", ".cache"))
}

/// Relative paths would mean another folder in every working folder; the XDG
/// specification has them ignored.
fn folder_of(
    variable: impl Fn(&str) -> Option<OsString>,
    moved_by: &str,
    (on_macos, elsewhere): (&str, &str),
) -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    let below_home = match cfg!(target_os = "macos") {
        true => on_macos,
        false => elsewhere,
    };
    absolute(moved_by)
        .or_else(|| Some(absolute("HOME")?.join(below_home)))
        .map(|folder| folder.join("cairn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_with(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_of(|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn is_the_systems_folder_or_the_one_that_was_named() {
        let home = ("HOME", "/home/ada");
        let usual = match cfg!(target_os = "macos") {
            true => "/home/ada/Library/Caches/cairn",
            false => "/home/ada/.cache/cairn",
        };
        let usual = Some(PathBuf::from(usual));
        assert_eq!(cache_with(&[home]), usual);
        for ignored in ["", "relative"] {
            assert_eq!(cache_with(&[home, ("XDG_CACHE_HOME", ignored)]), usual);
        }
        let named = cache_with(&[home, ("XDG_CACHE_HOME", "/fast")]);
        assert_eq!(named, Some(PathBuf::from("/fast/cairn")));
        assert_eq!(cache_with(&[]), None);
        let state = state_of(|name| (name == "XDG_STATE_HOME").then(|| "/fast".into()));
        assert_eq!(state, Some(PathBuf::from("/fast/cairn")));
    }
}
