//! The self-test on Linux: a probe within, and a host around it that listens, has
//! files, and looks afterwards.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Layer;
use super::judge::{self, Evidence, Trouble};
use super::scene::Scene;
use crate::sandbox::launch::{self, CommandLimits, Finished, Job, LaunchError, Launcher};
use crate::sandbox::linux::cgroup;
use crate::sandbox::linux::probe::{Ask, PROBE};
use crate::sandbox::text::Limit;
use crate::sandbox::{Policy, Repository, Rules, linux, secrets};

/// For the one probe that takes all it gets, and what it takes then.
const MEMORY: u64 = 128 << 20;
const TAKEN: usize = 512 << 20;

pub fn run() -> Vec<Layer> {
    match evidence() {
        Ok(evidence) => judge::layers(&evidence),
        Err(trouble) => judge::none(&trouble),
    }
}

fn evidence() -> Result<Evidence, Trouble> {
    let scene = Scene::new().map_err(|error| {
        let folder = std::env::temp_dir();
        Trouble::Scene(format!(
            "no folder to try it in, {}: {}",
            folder.display(),
            error.kind()
        ))
    })?;
    let program = scene.at("probe");
    let copied = fs::copy("/proc/self/exe", &program)
        .and_then(|_| fs::set_permissions(&program, PermissionsExt::from_mode(0o755)));
    copied.map_err(|error| Trouble::Scene(format!("no copy of cairn to try it with: {error}")))?;
    let host = Host::new(&scene).map_err(|error| Trouble::Scene(error.to_string()))?;
    let first = tried(&scene, &host.ask(), None)?;
    let memory = tried(&scene, &Ask::Memory(TAKEN), Some(MEMORY))?.end;
    let quarantined = first
        .quarantined
        .iter()
        .any(|(from, _)| from == Path::new(".envrc"));
    let owner = |path: PathBuf| fs::metadata(path).map(|found| found.uid()).ok();
    Ok(Evidence {
        found: serde_json::from_str(&first.output.text).map_err(|_| {
            Trouble::Scene(format!(
                "the probe said nothing that makes sense {}",
                first.end
            ))
        })?,
        traces: host.traces(),
        hidden: host.hidden.len(),
        namespaces: namespaces(),
        keeps_protected: quarantined && scene.protected_is_safe(),
        keeps_owner: owner(scene.at("made")) == owner(scene.at("")),
        memory,
        limits: cgroup::means(&linux::group_limits(None)),
        landlock: linux::landlock_version(),
    })
}

fn tried(scene: &Scene, ask: &Ask, memory: Option<u64>) -> Result<Finished, Trouble> {
    let text = |error: &dyn std::fmt::Display| Trouble::Scene(error.to_string());
    let program = scene.at("probe").to_string_lossy().into_owned();
    let ask = serde_json::to_string(ask).map_err(|error| text(&error))?;
    let job = Job {
        launcher: &Launcher::this(),
        policy: &Policy::new(Rules::default()),
        workspace: &scene.workspace,
        argv: &[program, PROBE.to_owned(), ask],
        environment: &[],
        repository: Repository::Protected,
    };
    let limits = CommandLimits {
        time: Duration::from_secs(30),
        output: Limit {
            bytes: 1 << 20,
            lines: 10,
        },
        flood: 1 << 20,
        memory,
    };
    launch::run(job, &limits, &|| false, &mut |_| {}).map_err(|error| match error {
        LaunchError::Refused(why) => Trouble::Refused(why),
        error => Trouble::NotStarted(error.to_string()),
    })
}

/// What the probe must not reach.
struct Host {
    port: TcpListener,
    socket: UnixListener,
    name: String,
    outside: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    temporary: [PathBuf; 2],
    /// Open, and inherited by who is not kept from it.
    _open: fs::File,
}

impl Host {
    fn new(scene: &Scene) -> io::Result<Self> {
        let name = format!("cairn-doctor-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name)?;
        let open = fs::File::create(scene.beside("open"))?;
        rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty())?;
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let mut hidden = secrets::hidden(home.as_deref(), variable);
        hidden.retain(|path| path.exists());
        Ok(Self {
            port: TcpListener::bind("127.0.0.1:0")?,
            socket: UnixListener::bind_addr(&address)?,
            outside: ["/", "/etc", "/usr", "/var"]
                .map(|folder| Path::new(folder).join(&name))
                .to_vec(),
            hidden,
            // The first only where temporary files are in `/tmp`; else it is nowhere.
            temporary: [
                scene.beside("open"),
                Path::new("/tmp").join(format!("{name}-new")),
            ],
            name,
            _open: open,
        })
    }

    fn ask(&self) -> Ask {
        let texts = |paths: &[PathBuf]| {
            let texts = paths.iter().map(|path| path.to_string_lossy().into_owned());
            texts.collect::<Vec<String>>()
        };
        let private = self.temporary[0].starts_with("/tmp");
        let there = match private {
            true => &self.temporary[0],
            false => &self.temporary[1],
        };
        let [there, new] = [there, &self.temporary[1]].map(|path| path.display().to_string());
        Ask::Layers {
            process: std::process::id(),
            socket: self.name.clone(),
            port: self.port.local_addr().map_or(0, |address| address.port()),
            outside: texts(&self.outside),
            hidden: texts(&self.hidden),
            temporary: [there, new],
        }
    }

    /// What of the probe is to be seen here; files that it made are taken away.
    fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        for path in self.outside.iter().chain([&self.temporary[1]]) {
            if fs::remove_file(path).is_ok() {
                traces.push(format!("{} was made", path.display()));
            }
        }
        let came = self.port.set_nonblocking(true).is_ok() && self.port.accept().is_ok();
        let met = self.socket.set_nonblocking(true).is_ok() && self.socket.accept().is_ok();
        if came || met {
            traces.push("a socket of the host was reached".to_owned());
        }
        traces
    }
}

/// Links of this process' own.
fn namespaces() -> Vec<(String, String)> {
    let entries = fs::read_dir("/proc/self/ns")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            let kind = entry.file_name().to_string_lossy().into_owned();
            Some((kind, link.display().to_string()))
        })
        .collect()
}
