//! The environment of a command: an allow-list, so that tokens and keys that
//! happen to be in the user's shell are not handed to what a model runs.

#[cfg(target_os = "linux")]
use std::ffi::OsStr;
use std::ffi::OsString;

use super::network::{Destination, Destinations};

/// What programs need to find themselves, their caches and the user's language.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "SDKROOT",
    "DEVELOPER_DIR",
    "XDG_CACHE_HOME",
];

/// Nobody looks at the output as it comes: no colours, pagers, prompts or editors.
const SET: &[(&str, &str)] = &[
    ("TERM", "dumb"),
    ("NO_COLOR", "1"),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("EDITOR", "false"),
];

/// The variables for a command, from those that this process has.
pub(super) fn clean(
    ours: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    ours.filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| KEPT.contains(&name) || name.starts_with("LC_"))
    })
    .chain(
        SET.iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value))),
    )
}

/// Whether a confined command may have a variable of this name.
#[cfg(target_os = "linux")]
pub(super) fn is_harmless(name: &OsStr) -> bool {
    let set = SET.iter().map(|(name, _)| *name);
    let known = |name: &str| {
        KEPT.contains(&name)
            || set.clone().any(|known| known == name)
            || name == "PWD"
            || ["LC_", "GIT_CONFIG_"]
                .iter()
                .any(|start| name.starts_with(start))
    };
    name.to_str().is_some_and(known)
}

/// Where a confined command has other folders than the user.
#[cfg(target_os = "linux")]
const REPLACED: &[&str] = &["TMPDIR", "XDG_CACHE_HOME"];

/// The variables for a confined command that runs in `folder`. One that is not
/// Unicode is left out: nothing that programs need is.
#[cfg(target_os = "linux")]
pub(super) fn confined(
    ours: impl Iterator<Item = (OsString, OsString)>,
    folder: &str,
) -> Vec<(String, String)> {
    clean(ours)
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !REPLACED.contains(&name.as_str()))
        .chain([("PWD".to_owned(), folder.to_owned())])
        .collect()
}

/// By these, programs find the relay. What is on the command's own machine is reached
/// without it, unless that name is one of the destinations.
pub(super) fn proxied(port: u16, hosts: &Destinations) -> Vec<(String, String)> {
    const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];
    let is_own = |name: &&str| match format!("{name}:1").parse::<Destination>() {
        Ok(own) => !hosts.has_host(&own.host),
        Err(_) => true,
    };
    let own = ["localhost", "127.0.0.1", "[::1]"];
    let own: Vec<&str> = own.into_iter().filter(is_own).collect();
    let relay = format!("http://127.0.0.1:{port}");
    let proxies = PROXIES.map(|name| (name, relay.clone()));
    let all = proxies
        .into_iter()
        .chain([("no_proxy", own.join(",").replace(['[', ']'], ""))]);
    all.flat_map(|(name, value)| {
        [
            (name.to_uppercase(), value.clone()),
            (name.to_owned(), value),
        ]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_behind() {
        let ours = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("TERM", "xterm-256color"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("GITHUB_TOKEN", "x"),
            ("LD_PRELOAD", "x"),
            ("BASH_ENV", "x"),
            ("SSH_AUTH_SOCK", "x"),
        ];
        let kept: Vec<(OsString, OsString)> =
            clean(ours.iter().map(|(n, v)| (n.into(), v.into()))).collect();
        let names: Vec<&str> = kept.iter().filter_map(|(n, _)| n.to_str()).collect();
        let expected: Vec<&str> = ["PATH", "LC_ALL"]
            .into_iter()
            .chain(SET.iter().map(|(n, _)| *n))
            .collect();
        assert_eq!(names, expected);
        assert!(kept.contains(&("TERM".into(), "dumb".into())));
    }

    #[test]
    fn the_relay_is_named_in_both_cases() {
        let network: crate::sandbox::Network = "a.example:443,127.0.0.1:5000".parse().unwrap();
        let got = proxied(3128, network.hosts().unwrap());
        let value = |name: &str| {
            let found = got.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
        ] {
            assert_eq!(value(name), Some("http://127.0.0.1:3128"), "{name}");
        }
        // What is to be reached by it is not to be reached without.
        assert_eq!(value("NO_PROXY"), Some("localhost,::1"));
        assert_eq!(value("no_proxy"), value("NO_PROXY"));
        assert_eq!(got.len(), 8);
    }
}
