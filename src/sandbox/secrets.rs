//! What commands do not read: keys, tokens, histories, and cairn's own files. And
//! what they need of a home folder, where they get one of their own.

use std::path::{Path, PathBuf};

/// Beneath the user's home.
const HIDDEN: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".config/gh",
    ".config/gcloud",
    ".config/git/credentials",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".mozilla",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".password-store",
    ".local/share/keyrings",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".cache/huggingface/token",
    ".bash_history",
    ".zsh_history",
    ".local/share/fish",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".config/cairn",
    ".cache/cairn",
    ".local/state/cairn",
    ".local/share/cairn",
    "Library/Application Support/cairn",
    "Library/Caches/cairn",
];

/// Toolchains, which a command may use though the home is not its own.
#[cfg(target_os = "linux")]
const TOOLCHAINS: &[&str] = &[
    ".cargo", ".rustup", ".nvm", ".pyenv", ".rbenv", ".sdkman", ".bun", ".deno", ".ghcup", ".elan",
    "go",
];

/// Folders where cairn keeps its own files, by the variables that move them.
const OWN: &[&str] = &[
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
];

/// The same without those.
const BELOW_HOME: &[&str] = match cfg!(target_os = "macos") {
    true => &["Library/Application Support", "Library/Caches"],
    false => &[".config", ".cache", ".local/state"],
};

/// Variables that name a secret's place.
const MOVED: &[(&str, &str)] = &[
    ("CARGO_HOME", "credentials"),
    ("CARGO_HOME", "credentials.toml"),
    ("GNUPGHOME", ""),
    ("DOCKER_CONFIG", ""),
    ("KUBECONFIG", ""),
    ("NETRC", ""),
    ("HISTFILE", ""),
];

/// Absolute paths of what looks empty to a command.
pub(super) fn hidden(
    home: Option<&Path>,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Vec<PathBuf> {
    let below = home
        .into_iter()
        .flat_map(|home| HIDDEN.iter().map(|path| home.join(path)));
    let own = OWN
        .iter()
        .filter_map(|name| Some(variable(name)?.join("cairn")));
    let moved = MOVED.iter().filter_map(|(name, path)| {
        let place = variable(name)?;
        Some(match path.is_empty() {
            true => place,
            false => place.join(path),
        })
    });
    let all = below.chain(own).chain(moved);
    all.filter(|path| path.is_absolute()).collect()
}

/// What looks empty to a command of what lies in a folder, relative to it. `root`
/// is the folder's canonical path.
pub(super) fn inside(root: &Path) -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = variable("HOME");
    let all = hidden(home.as_deref(), variable).into_iter().map(canonical);
    all.filter_map(|path| Some(path.strip_prefix(root).ok()?.to_owned()))
        // All of the folder can't be meant.
        .filter(|path| !path.as_os_str().is_empty())
        .collect()
}

/// Makes cairn's own folders that would lie in a folder and are not there yet: what
/// is there is covered, and what is not a command could make. `root` as in [`inside`].
pub(super) fn make_own(root: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let named = OWN.iter().filter_map(|name| variable(name));
    let home = variable("HOME").into_iter();
    let usual = home.flat_map(|home| BELOW_HOME.iter().map(move |path| home.join(path)));
    let own = named.chain(usual).map(|folder| folder.join("cairn"));
    for folder in own.filter(|path| path.is_absolute()).map(canonical) {
        if folder.starts_with(root) {
            // Where none can be made, nobody's command can either, or it is taken away.
            let _ = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder);
        }
    }
}

/// The path with the links in what exists of it followed.
fn canonical(path: PathBuf) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            return match path.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path
}

/// Absolute paths of toolchains.
#[cfg(target_os = "linux")]
pub(super) fn toolchains(home: &Path) -> Vec<PathBuf> {
    TOOLCHAINS.iter().map(|path| home.join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_variables_name_are_hidden_too() {
        let variable = |name: &str| match name {
            "XDG_STATE_HOME" => Some("/fast/state".into()),
            "CARGO_HOME" => Some("/opt/cargo".into()),
            "HISTFILE" => Some("relative".into()),
            _ => None,
        };
        let got = hidden(Some(Path::new("/home/ada")), variable);
        for path in [
            "/home/ada/.ssh",
            "/home/ada/.local/state/cairn",
            "/fast/state/cairn",
            "/opt/cargo/credentials.toml",
        ] {
            assert!(got.contains(&path.into()), "{path}");
        }
        assert!(got.iter().all(|path| path.is_absolute()));
    }
}
