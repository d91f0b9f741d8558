//! Where cairn keeps its own files: settings, what belongs to sessions, and what it
//! can find out again. None of these need exist; without a home there are none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder of each user, by the XDG specification and on macOS.
struct Place {
    variable: &'static str,
    below_home: &'static str,
    below_home_on_a_mac: &'static str,
}

const CONFIG: Place = Place {
    variable: "XDG_CONFIG_HOME",
    below_home: ".config",
    below_home_on_a_mac: "Library/Application Support",
};
const STATE: Place = Place {
    variable: "XDG_STATE_HOME",
    below_home: ".local/state",
    below_home_on_a_mac: "Library/Application Support",
};
const CACHE: Place = Place {
    variable: "XDG_CACHE_HOME",
    below_home: ".cache",
    below_home_on_a_mac: "Library/Caches",
};

const DATA: Place = Place {
    variable: "XDG_DATA_HOME",
    below_home: ".local/share",
    below_home_on_a_mac: "Library/Application Support",
};

/// `$XDG_DATA_HOME/cairn`, or `~/.local/share/cairn`; on macOS
/// `~/Library/Application Support/cairn`.
pub fn data() -> Option<PathBuf> {
    find(&DATA, |name| std::env::var_os(name))
}

/// The user's home folder, where there is one.
pub fn home() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    home.is_absolute().then_some(home)
}

/// A path with `~` as the home folder. Without a home it stays as it is.
pub fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Where the hub's own tools keep what they download.
pub fn hub() -> Option<PathBuf> {
    let named = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let cache = || named("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")));
    named("HF_HUB_CACHE")
        .or_else(|| Some(named("HF_HOME")?.join("hub")))
        .or_else(|| Some(cache()?.join("huggingface/hub")))
}

/// `$XDG_CONFIG_HOME/cairn`, or `~/.config/cairn`; on macOS
/// `~/Library/Application Support/cairn`.
pub fn config() -> Option<PathBuf> {
    find(&CONFIG, |name| std::env::var_os(name))
}

/// `$XDG_STATE_HOME/cairn`, or `~/.local/state/cairn`; on macOS
/// `~/Library/Application Support/cairn`.
pub fn state() -> Option<PathBuf> {
    find(&STATE, |name| std::env::var_os(name))
}

/// `$XDG_CACHE_HOME/cairn`, or `~/.cache/cairn`; on macOS
/// `~/Library/Caches/cairn`.
pub fn cache() -> Option<PathBuf> {
    find(&CACHE, |name| std::env::var_os(name))
}

/// Where keys and values of prompts are kept.
pub fn caches() -> Option<PathBuf> {
    Some(cache()?.join("kv"))
}

/// Relative paths would mean another folder in every working folder; the XDG
/// specification has them ignored.
fn find(place: &Place, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    let below_home = match cfg!(target_os = "macos") {
        true => place.below_home_on_a_mac,
        false => place.below_home,
    };
    absolute(place.variable)
        .or_else(|| Some(absolute("HOME")?.join(below_home)))
        .map(|folder| folder.join("cairn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_with(variables: &[(&str, &str)]) -> Option<PathBuf> {
        find(&CACHE, |name| {
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
