//! From the policy and the workspace to the plan of a command.

use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::GroupLimits;
use super::plan::{Guest, Layer, Place, Plan, ProcessLimits};
use super::{grants, handover, sockets, usage};
use crate::sandbox::launch::Job;
use crate::sandbox::protected::{Hold, Protected};
use crate::sandbox::{Mode, Network, Policy, Strength, environment, secrets};

/// Whom commands of root run as: a number that no account and no container uses.
const GUEST: Guest = Guest { id: 1_900_000_000 };

const LIMITS: ProcessLimits = ProcessLimits {
    processes: MOST_PROCESSES,
    file_bytes: 8 << 30,
    open_files: 4096,
};

/// Most of a private `/tmp`, and of a private home.
const TEMPORARY_BYTES: u64 = 2 << 30;
const HOME_BYTES: u64 = 256 << 20;
const SMALL_BYTES: u64 = 16 << 20;

/// Has git read repositories of others: what they make it run is as confined.
const TRUSTED: [(&str, &str); 3] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
];

/// Most processes of a command, threads included.
const MOST_PROCESSES: u64 = 1024;

/// Of the memory that is available, what a command may take.
const MEMORY_SHARE: (u64, u64) = (3, 4);
const LEAST_MEMORY: u64 = 512 << 20;

/// What a command may take together with all that it starts.
pub fn group_limits(memory: Option<u64>) -> GroupLimits {
    let (part, of) = MEMORY_SHARE;
    let share = || (available_memory().unwrap_or(0) / of * part).max(LEAST_MEMORY);
    GroupLimits {
        processes: MOST_PROCESSES,
        memory: memory.unwrap_or_else(share),
    }
}

/// Bytes that could be had without swapping.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// Names a layer that is to fail, for tests. Nothing can be had by it: the command
/// is refused.
const BROKEN: &str = "CAIRN_TEST_BREAK_LAYER";

/// What can't be done without namespaces.
///
/// # Errors
/// When it was asked for: says what.
pub fn check(policy: &Policy) -> Result<(), String> {
    let is_root = rustix::process::geteuid().is_root();
    match policy.strength() {
        Strength::Full => Ok(()),
        Strength::Degraded if is_root => {
            Err("--sandbox-degraded is not for root: start cairn as an ordinary user".into())
        }
        Strength::Degraded if *policy.network() != Network::Off => {
            Err("--sandbox-degraded has no network of its own: leave out --net".into())
        }
        Strength::Degraded => Ok(()),
    }
}

/// What a command is to be given; `protected` is what there is in the workspace.
///
/// # Errors
/// When the workspace is gone, or a name can't be told.
pub fn plan(job: Job<'_>, protected: &[Protected]) -> io::Result<Plan> {
    let Job {
        policy, workspace, ..
    } = job;
    let root = workspace.root();
    let found = workspace.dir.dir_metadata()?;
    let (device, inode) = (
        cap_std::fs::MetadataExt::dev(&found),
        cap_std::fs::MetadataExt::ino(&found),
    );
    let path = text(root)?;
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = variable("HOME").filter(|home| home.is_absolute() && home != Path::new("/"));
    let guest = rustix::process::geteuid().is_root().then_some(GUEST);
    let mut private = vec![
        ("/tmp".to_owned(), TEMPORARY_BYTES),
        ("/var/tmp".to_owned(), TEMPORARY_BYTES),
        ("/run".to_owned(), SMALL_BYTES),
    ];
    let mut kept = Vec::new();
    // Root's home is not for the guest to see; one in the workspace is.
    if let Some(home) = home
        .as_ref()
        .filter(|home| guest.is_some() && !home.starts_with(root))
    {
        private.push((text(home)?, HOME_BYTES));
        kept = texts(&secrets::toolchains(home))?;
    }
    let mut environment = environment::confined(std::env::vars_os(), &path);
    if guest.is_some() {
        // A repository around the workspace is nobody's that the guest knows.
        let trusted = TRUSTED.map(|(name, value)| (name.to_owned(), value.to_owned()));
        environment.extend(trusted);
    }
    for (name, value) in job.environment {
        environment.retain(|(other, _)| other != name);
        environment.push((name.clone(), value.clone()));
    }
    if let Some(hosts) = policy.network().hosts() {
        environment.extend(environment::proxied(handover::PORT, hosts));
    }
    let mut hidden = texts(&secrets::hidden(home.as_deref(), variable))?;
    let mut limits = LIMITS;
    let grants = match policy.strength() {
        Strength::Full => None,
        Strength::Degraded => {
            let grants = grants::of(workspace, protected, &hidden, home.as_deref())?;
            environment.push(("TMPDIR".to_owned(), grants.temporary.clone()));
            // The user's other programs count.
            limits.processes += usage::threads();
            Some(grants)
        }
    };
    hidden.extend(sockets::found().iter().filter_map(|path| text(path).ok()));
    Ok(Plan {
        argv: job.argv.to_vec(),
        environment,
        workspace: Place {
            path,
            device,
            inode,
        },
        writable: policy.mode() != Mode::ReadOnly,
        network: policy.network().clone(),
        held: held(protected, Hold::InPlace)?,
        protected: held(protected, Hold::AsItIs)?,
        hidden,
        private,
        kept,
        guest,
        limits,
        grants,
        broken: broken(),
    })
}

/// The paths that are held so.
fn held(protected: &[Protected], hold: Hold) -> io::Result<Vec<String>> {
    let paths = protected.iter().filter(|found| found.hold == hold);
    paths.map(|found| text(&found.path)).collect()
}

fn broken() -> Option<Layer> {
    let name = std::env::var(BROKEN).ok()?;
    serde_json::from_value(serde_json::Value::String(name)).ok()
}

fn texts(paths: &[PathBuf]) -> io::Result<Vec<String>> {
    paths.iter().map(|path| text(path)).collect()
}

pub fn text(path: &Path) -> io::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| io::Error::other(format!("{}: the name is not Unicode", path.display())))
}
