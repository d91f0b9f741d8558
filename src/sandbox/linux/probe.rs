//! The command that tries ways out of the sandbox, from within: cairn once more,
//! under a hidden sub-command. It needs no tool of the machine, says what worked,
//! and changes nothing that the sandbox keeps from it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probe_calls as calls;
use crate::sandbox::environment;

/// The hidden sub-command.
pub(in crate::sandbox) const PROBE: &str = "cairn-probe";

/// What to try, beyond what is the same everywhere.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::sandbox) enum Ask {
    /// All layers.
    Layers {
        /// A process of the host.
        process: u32,
        /// An abstract socket on which the host listens, and a port.
        socket: String,
        port: u16,
        /// Files that the host does not have, in folders that it does.
        outside: Vec<String>,
        /// Places that have to look empty.
        hidden: Vec<String>,
        /// A file of the host's `/tmp`, and one that it does not have.
        temporary: [String; 2],
    },
    /// So many bytes of memory.
    Memory(usize),
}

/// A way out that was tried, by the layer that should close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::sandbox) enum Tried {
    Namespaces,
    ReadOnly,
    Temporary,
    Devices,
    Secrets,
    Protected,
    Identity,
    Network,
    Limits,
    Capabilities,
    NoNewPrivileges,
    Landlock,
    Seccomp,
    Terminal,
    Environment,
    Descriptors,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::sandbox) struct Found {
    /// What worked.
    pub escapes: Vec<(Tried, String)>,
    /// Links of `/proc/self/ns`, by kind.
    pub namespaces: BTreeMap<String, String>,
    pub user: u32,
    /// Processes that could be started at once.
    pub processes: u32,
    /// Filters of system calls, as far as the system counts them.
    pub filters: Option<u32>,
    pub calls: usize,
    pub variables: usize,
}

/// If these arguments ask for the probe: its whole life, and its exit code.
pub(super) fn probe(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    if arguments.next()? != PROBE {
        return None;
    }
    let ask = arguments.next().and_then(|ask| ask.into_string().ok());
    let Some(ask) = ask.and_then(|ask| serde_json::from_str(&ask).ok()) else {
        return Some(2);
    };
    if let Ask::Memory(bytes) = ask {
        fill(bytes);
        return Some(0);
    }
    let text = serde_json::to_string(&tried(&ask)).unwrap_or_default();
    Some(match writeln!(io::stdout(), "{text}") {
        Ok(()) => 0,
        Err(_) => 1,
    })
}

/// Takes memory, and holds it until those that count have looked.
fn fill(bytes: usize) {
    let mut held = Vec::new();
    for _ in 0..bytes >> 20 {
        held.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
    std::thread::sleep(Duration::from_secs(2));
}

fn tried(ask: &Ask) -> Found {
    let mut found = Found {
        user: rustix::process::geteuid().as_raw(),
        ..Found::default()
    };
    if let Ask::Layers {
        process,
        socket,
        port,
        outside,
        hidden,
        temporary,
    } = ask
    {
        namespaces(&mut found, *process);
        files(&mut found, outside, temporary);
        devices(&mut found);
        secrets(&mut found, hidden);
        protected(&mut found);
        network(&mut found, socket, *port);
    }
    identity(&mut found);
    status(&mut found);
    landlock(&mut found);
    for name in calls::passed() {
        found.worked(Tried::Seccomp, name);
    }
    found.calls = calls::count();
    around(&mut found);
    // Last: it takes all the processes that there may be.
    limits(&mut found);
    found
}

impl Found {
    fn worked(&mut self, tried: Tried, what: impl Into<String>) {
        self.escapes.push((tried, what.into()));
    }

    fn judge<T, E>(&mut self, tried: Tried, attempt: Result<T, E>, what: impl Into<String>) {
        if attempt.is_ok() {
            self.worked(tried, what);
        }
    }
}

fn namespaces(found: &mut Found, host: u32) {
    for entry in fs::read_dir("/proc/self/ns")
        .into_iter()
        .flatten()
        .flatten()
    {
        let kind = entry.file_name().to_string_lossy().into_owned();
        if let Ok(link) = fs::read_link(entry.path()) {
            found.namespaces.insert(kind, link.display().to_string());
        }
    }
    if let Some(host) = i32::try_from(host)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let attempt = rustix::process::test_kill_process(host);
        found.judge(
            Tried::Namespaces,
            attempt,
            "a process of the host was reached",
        );
    }
}

fn files(found: &mut Found, outside: &[String], [there, new]: &[String; 2]) {
    for path in outside {
        let attempt = File::create_new(path);
        found.judge(Tried::ReadOnly, attempt, format!("{path} was made"));
    }
    let attempt = fs::symlink_metadata(there);
    found.judge(Tried::Temporary, attempt, format!("{there} was seen"));
    if File::create_new(new).is_err() {
        found.worked(Tried::Temporary, "no file can be made in /tmp");
    }
}

fn devices(found: &mut Found) {
    const EXPECTED: [&str; 13] = [
        "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr",
        "ptmx", "pts", "shm",
    ];
    for entry in fs::read_dir("/dev").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !EXPECTED.iter().any(|known| name == *known) {
            found.worked(Tried::Devices, format!("/dev/{}", name.display()));
        }
    }
}

/// Whatever can be listed or read there.
fn secrets(found: &mut Found, hidden: &[String]) {
    for path in hidden {
        let path = Path::new(path);
        let seen = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => fs::read(path).is_ok_and(|bytes| !bytes.is_empty()),
        };
        if seen {
            found.worked(Tried::Secrets, format!("{} was read", path.display()));
        }
    }
}

fn protected(found: &mut Found) {
    let attempts = [
        (fs::write(".git/config", "bad"), ".git/config was written"),
        (File::create_new(".git/hook").map(drop), ".git got a file"),
        (fs::rename(".git", "moved"), ".git was moved"),
    ];
    for (attempt, what) in attempts {
        found.judge(Tried::Protected, attempt, what);
    }
    // Whoever made it takes it away again, and that is looked at from outside.
    let _ = fs::write(".envrc", "bad");
}

fn network(found: &mut Found, socket: &str, port: u16) {
    let wait = Duration::from_millis(300);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let tcp = TcpStream::connect_timeout(&address, wait);
    found.judge(Tried::Network, tcp, "a port of the host was reached");
    let udp = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", address));
    found.judge(Tried::Network, udp, "a datagram was sent");
    let unix = std::os::unix::net::SocketAddr::from_abstract_name(socket)
        .and_then(|address| UnixStream::connect_addr(&address));
    found.judge(Tried::Network, unix, "an abstract socket was reached");
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let interfaces = table.lines().filter_map(|line| line.split_once(':'));
    for (name, _) in interfaces {
        if name.trim() != "lo" {
            found.worked(Tried::Network, format!("interface {}", name.trim()));
        }
    }
}

fn identity(found: &mut Found) {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let known: Vec<&str> = map.split_whitespace().collect();
    if known.len() != 3 || known[2] != "1" {
        found.worked(Tried::Identity, "other users are known");
    }
    let made = File::create_new("made");
    if let Err(error) = &made {
        found.worked(Tried::Identity, format!("the workspace: {error}"));
    }
    if found.user != 0 {
        let given = std::os::unix::fs::chown("made", Some(0), Some(0));
        found.judge(Tried::Identity, given, "a file was given to root");
        found.judge(Tried::Identity, calls::become_root(), "it became root");
    }
}

/// What the system itself says of this process.
fn status(found: &mut Found) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = field(name).unwrap_or_default();
        if value.is_empty() || value.chars().any(|digit| digit != '0') {
            found.worked(Tried::Capabilities, format!("{name} is {value}"));
        }
    }
    found.judge(
        Tried::Capabilities,
        calls::take_capabilities(),
        "some were taken",
    );
    if field("NoNewPrivs").as_deref() != Some("1") {
        found.worked(Tried::NoNewPrivileges, "not set");
    }
    if field("Seccomp").as_deref() != Some("2") {
        found.worked(Tried::Seccomp, "no filter");
    }
    found.filters = field("Seccomp_filters").and_then(|count| count.parse().ok());
}

/// Mounts and owners allow this: Landlock alone does not.
fn landlock(found: &mut Found) {
    let attempt = OpenOptions::new().write(true).open("/proc/self/comm");
    found.judge(Tried::Landlock, attempt, "/proc/self/comm can be written");
}

/// What the process was started with.
fn around(found: &mut Found) {
    let terminal = OpenOptions::new().write(true).open("/dev/tty");
    found.judge(Tried::Terminal, terminal, "there is one");
    for (name, _) in std::env::vars_os() {
        found.variables += 1;
        if !environment::is_harmless(&name) {
            found.worked(Tried::Environment, name.display().to_string());
        }
    }
    for fd in calls::descriptors() {
        found.worked(Tried::Descriptors, format!("descriptor {fd} is open"));
    }
}

/// More processes than a command may have.
const PROCESSES: u32 = 1100;
const FILE_BYTES: u64 = 1 << 40;

fn limits(found: &mut Found) {
    let large = File::create("large").and_then(|file| calls::grow(&file, FILE_BYTES));
    found.judge(Tried::Limits, large, "a file of a terabyte");
    found.processes = calls::fork_until_refused(PROCESSES);
    if found.processes == PROCESSES {
        found.worked(Tried::Limits, format!("{PROCESSES} processes"));
    }
}
