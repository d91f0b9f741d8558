//! Where cairn keeps what it can find out again, and where the user's settings are.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$XDG_CACHE_HOME/cairn`, or `~/.cache/cairn`; on macOS
/// `~/Library/Caches/cairn`. It need not exist. `None` without a home.
pub fn cache() -> Option<PathBuf> {
    cache_of(|name| std::env::var_os(name))
}

/// `$XDG_CONFIG_HOME/cairn`, or `~/.config/cairn`; on macOS
/// `~/Library/Application Support/cairn`. It need not exist.
pub fn config() -> Option<PathBuf> {
    let below_home = match cfg!(target_os = "macos") {
        true => "Library/Application Support",
        false => ".config",
    };
    folder_of(|name| std::env::var_os(name), "XDG_CONFIG_HOME", below_home)
}

/// Relative paths would mean another folder in every working folder; the XDG
/// specification has them ignored.
fn folder_of(
    variable: impl Fn(&str) -> Option<OsString>,
    named: &str,
    below_home: &str,
) -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    absolute(named)
        .or_else(|| Some(absolute("HOME")?.join(below_home)))
        .map(|folder| folder.join("cairn"))
}

fn cache_of(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let below_home = match cfg!(target_os = "macos") {
        true => "Library/Caches",
        false => ".cache",
    };
    folder_of(variable, "XDG_CACHE_HOME", below_home)
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
    }
}
