//! Confinement on macOS: a Seatbelt profile with the same policy, for `sandbox-exec`.
//! It is made and tested everywhere, and unproven on a Mac. What it can't do is give
//! a command a `/tmp`, a loopback or a process tree of its own.

use std::fmt::Write;
use std::path::Path;

use super::network::Network;
use super::policy::{Mode, Policy};
use super::protected::{NAMES, NESTED, OWN_REPOSITORY, REPOSITORY, Repository};

/// What every program needs to start and to run others.
const BASE: &str = r#"(version 1)
(deny default)
(allow process-exec process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow file-read*)
(allow file-write* (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))
(allow file-ioctl (literal "/dev/null") (literal "/dev/tty"))
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (regex #"^/dev/ttys[0-9]+$") (literal "/dev/ptmx"))
(allow ipc-posix-sem ipc-posix-shm)
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.logger")
  (global-name "com.apple.system.notification_center"))
(allow file-write* (subpath (param "TEMPORARY")))
"#;

#[cfg(target_os = "macos")]
/// Paths that a profile refers to: `sandbox-exec -D NAME=PATH`.
pub(super) fn parameters(workspace: &Path, temporary: &Path) -> [(&'static str, String); 2] {
    [
        ("WORKSPACE", workspace.to_string_lossy().into_owned()),
        ("TEMPORARY", temporary.to_string_lossy().into_owned()),
    ]
}

/// The profile, with the port of the relay if there is one; later rules win.
pub(super) fn profile(
    policy: &Policy,
    repository: Repository,
    hidden: &[impl AsRef<Path>],
    relay: Option<u16>,
) -> String {
    let mut text = BASE.to_owned();
    if policy.mode() != Mode::ReadOnly {
        text.push_str("(allow file-write* (subpath (param \"WORKSPACE\")))\n");
    }
    let names = NAMES.iter().map(|name| expression(name));
    let nested = NESTED
        .iter()
        .map(|(outer, inner)| format!("{}/{}", expression(outer), expression(inner)));
    for name in names.chain(nested) {
        let _ = writeln!(
            text,
            "(deny file-write* (require-all (subpath (param \"WORKSPACE\")) (regex #\"/{name}(/|$)\")))"
        );
    }
    if repository == Repository::Open && policy.mode() != Mode::ReadOnly {
        open(&mut text);
    }
    for path in hidden {
        let path = quoted(&path.as_ref().to_string_lossy());
        let _ = writeln!(text, "(deny file-read* file-write* (subpath {path}))");
    }
    match (policy.network(), relay) {
        (Network::Off, _) | (Network::Hosts(_), None) => {}
        (Network::Loopback, _) => {
            text.push_str("(allow network* (local ip \"localhost:*\"))\n");
            text.push_str("(allow network-outbound (remote ip \"localhost:*\"))\n");
        }
        (Network::Hosts(_), Some(port)) => {
            let _ = writeln!(
                text,
                "(allow network-outbound (remote ip \"localhost:{port}\"))"
            );
        }
    }
    text
}

/// The workspace's own repository can be written, but not moved, and not what makes
/// git run something.
fn open(text: &mut String) {
    let own = format!("(string-append (param \"WORKSPACE\") \"/{OWN_REPOSITORY}\")");
    let _ = writeln!(text, "(allow file-write* (subpath {own}))");
    let _ = writeln!(text, "(deny file-write* (literal {own}))");
    for path in REPOSITORY {
        let path = expression(&format!("{OWN_REPOSITORY}/{path}"));
        let _ = writeln!(
            text,
            "(deny file-write* (require-all (subpath (param \"WORKSPACE\")) (regex #\"/{path}(/|$)\")))"
        );
    }
}

/// A name as a regular expression that takes letters of either case, as the file
/// system does.
fn expression(name: &str) -> String {
    name.chars().fold(String::new(), |text, c| match c {
        'a'..='z' => text + &format!("[{}{c}]", c.to_ascii_uppercase()),
        '.' => text + "\\.",
        _ => text + &c.to_string(),
    })
}

fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Rules;

    fn rules(mode: Mode, network: Network) -> Policy {
        Policy::new(Rules {
            mode,
            network,
            ..Rules::default()
        })
    }

    #[test]
    fn the_profile_is_the_policys() {
        let hidden = ["/Users/ada/.ssh", "/Users/a\"b"];
        let policy = rules(Mode::WorkspaceWrite, Network::Off);
        let text = profile(&policy, Repository::Protected, &hidden, None);
        assert_eq!(text, include_str!("seatbelt_golden.sb"));
    }

    #[test]
    fn stricter_means_less() {
        let write = "(allow file-write* (subpath (param \"WORKSPACE\")))";
        let none: [&str; 0] = [];
        let protected = Repository::Protected;
        let read_only = profile(&rules(Mode::ReadOnly, Network::Off), protected, &none, None);
        assert!(!read_only.contains(write) && !read_only.contains("network"));
        let policy = rules(Mode::WorkspaceWrite, Network::Loopback);
        let loopback = profile(&policy, protected, &none, None);
        assert!(loopback.contains(write) && loopback.contains("(allow network* (local ip"));
        let hosts = rules(Mode::WorkspaceWrite, "a.example:443".parse().unwrap());
        let relayed = profile(&hosts, protected, &none, Some(4711));
        let network = relayed.lines().filter(|line| line.contains("network"));
        let expected = "(allow network-outbound (remote ip \"localhost:4711\"))";
        assert_eq!(network.collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn a_repository_is_opened_after_it_was_closed() {
        let none: [&str; 0] = [];
        let of = |mode, repository| profile(&rules(mode, Network::Off), repository, &none, None);
        let closed = of(Mode::WorkspaceWrite, Repository::Protected);
        let open = of(Mode::WorkspaceWrite, Repository::Open);
        let more = open.strip_prefix(&closed).expect("later rules win");
        assert_eq!(more, include_str!("seatbelt_git_golden.sb"));
        let read_only = of(Mode::ReadOnly, Repository::Open);
        assert_eq!(read_only, of(Mode::ReadOnly, Repository::Protected));
    }
}
