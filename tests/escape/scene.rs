//! A workspace, a home and a host around them, made anew for each row, and the look
//! at them afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::rows::{Expected, Row};

/// What is in every file that a command must not see, and in a variable.
const SECRET: &str = "a-secret-of-the-host";

/// Names that may not appear.
const QUARANTINED: &[&str] = &[
    "sub/.git",
    ".gitattributes",
    ".envrc",
    ".vscode",
    ".mcp.json",
    ".cairn",
    ".cargo/config.toml",
    "deps/y/.git",
];

pub struct Scene {
    folder: tempfile::TempDir,
    cairn: PathBuf,
    tcp: [TcpListener; 2],
    udp: UdpSocket,
    unix: Vec<UnixListener>,
    abstract_name: String,
}

/// Everything about the files below a folder that a command could change.
type Picture = BTreeMap<PathBuf, (u32, u32, i64, Option<Vec<u8>>)>;

impl Scene {
    pub fn new(place: &Path, row: &Row, cairn: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).expect("a folder");
        let at = |path: &str| folder.path().join(path);
        let file = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().expect("a parent")).expect("folders");
            fs::write(at(path), text).expect("a file");
        };
        file("canary", "safe");
        file("outside/weights", "safe");
        file("gitdir/config", "safe");
        fs::create_dir_all(at("gitdir/hooks")).expect("folders");
        fs::create_dir_all(at("ws-evil")).expect("folders");
        for (path, text) in [
            (".ssh/id", SECRET),
            (".aws/credentials", SECRET),
            (".netrc", SECRET),
            (".cache/huggingface/token", SECRET),
            (".local/state/cairn/session", SECRET),
            (".cache/cairn/kv", SECRET),
            (".bashrc", "safe"),
            (".profile", "safe"),
            (".zshrc", "safe"),
        ] {
            file(&format!("home/{path}"), text);
        }
        file("ws/own", "own");
        file("ws/.git/config", "safe");
        fs::create_dir_all(at("ws/.git/hooks")).expect("folders");
        fs::create_dir_all(at("ws/vendor/x/.git/hooks")).expect("folders");
        if row.number == 77 {
            file("ws/deps/y/.git/config", "safe");
        }
        file("ws/linked/.git", "gitdir: ../../gitdir");
        match row.number {
            29 => symlink("../outside", at("ws/.codex")).expect("a link"),
            30 => {
                let target = format!("/oldroot{}", at("made").display());
                symlink(target, at("ws/.codex")).expect("a link");
            }
            _ => {}
        }
        let this = std::env::current_exe().expect("this program");
        fs::copy(this, at("ws/probe")).expect("a copy");
        let abstract_name = format!("cairn-escape-{}-{}", std::process::id(), row.number);
        let named = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        let unix = vec![
            UnixListener::bind(at("outside/socket")).expect("a socket"),
            UnixListener::bind(at("ws/socket")).expect("a socket"),
            UnixListener::bind_addr(&named).expect("a socket"),
        ];
        // What keeps a command from it is never that it may not.
        open_to_all(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let number = port.local_addr().expect("its number").port();
        let six = TcpListener::bind(("::1", number)).or_else(|_| TcpListener::bind("127.0.0.1:0"));
        Self {
            cairn: cairn.to_owned(),
            tcp: [port, six.expect("a port")],
            udp: UdpSocket::bind("127.0.0.1:0").expect("a port"),
            unix,
            abstract_name,
            folder,
        }
    }

    /// Tries a row; says what is wrong with what came of it.
    pub fn play(&self, row: &Row) -> Result<(), String> {
        let before = self.pictures();
        let output = self.run(row);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let did = text.lines().filter(|line| line.starts_with("did ")).count();
        let not = text.lines().filter(|line| line.starts_with("not ")).count();
        let all = row.attempts.len();
        let status = output.status.code().unwrap_or(-1);
        let say = |what: &str| {
            Err(format!("{what}; status {status}: {text} {errors}").replace('\n', " "))
        };
        self.look(&before)?;
        if text.contains(SECRET) {
            return say("a secret was seen");
        }
        match row.expected {
            Expected::Allowed if did < all || status != 0 => say("not allowed"),
            Expected::Denied if did > 0 || not < all => say("not all denied"),
            Expected::Nothing if did + not < all => say("not all tried"),
            Expected::Refused if status != 126 || did + not > 0 => say("not refused"),
            Expected::Killed if did > 0 || !(124..=165).contains(&status) => say("not ended"),
            Expected::Quarantined => {
                let workspace = self.folder.path().join("ws");
                let left = QUARANTINED
                    .iter()
                    .find(|name| workspace.join(name).exists());
                match left {
                    Some(name) => say(&format!("{name} is there")),
                    None if errors.contains("may not be made") => Ok(()),
                    None => say("nothing was said"),
                }
            }
            _ => Ok(()),
        }
    }

    fn run(&self, row: &Row) -> Output {
        let at = |path: &str| self.folder.path().join(path);
        let port = |listener: &TcpListener| listener.local_addr().expect("a port").port();
        let fill = |attempt: &str| {
            attempt
                .replace("{W}", &at("ws").display().to_string())
                .replace("{B}", &self.folder.path().display().to_string())
                .replace("{H}", &at("home").display().to_string())
                .replace("{EXE}", &self.cairn.display().to_string())
                .replace("{HOST}", &std::process::id().to_string())
                .replace("{TCP}", &port(&self.tcp[0]).to_string())
                .replace(
                    "{UDP}",
                    &self.udp.local_addr().expect("a port").port().to_string(),
                )
                .replace("{NAME}", &self.abstract_name)
        };
        let mut command = Command::new(&self.cairn);
        command
            .args(["sandbox", "--workspace"])
            .arg(at("ws"))
            .args(row.flags)
            .args(match row.flags.contains(&"--timeout") {
                true => &[][..],
                false => &["--timeout", "10"],
            })
            .arg("--")
            .arg(at("ws/probe"))
            .arg("probe")
            .args(row.attempts.iter().map(|attempt| fill(attempt)))
            .env("HOME", at("home"))
            .env("XDG_STATE_HOME", at("state"))
            .env("API_TOKEN", SECRET)
            .env("GIT_SSH_COMMAND", SECRET)
            .env("BASH_ENV", SECRET)
            .current_dir("/");
        let canary = fs::OpenOptions::new()
            .append(true)
            .open(at("canary"))
            .expect("the canary");
        // SAFETY: one plain system call, on a descriptor that is open until the end.
        unsafe {
            command.pre_exec(move || match libc::dup2(canary.as_raw_fd(), 9) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        command.output().expect("cairn runs")
    }

    /// Whether the host is as it was, and nobody called.
    fn look(&self, before: &[Picture; 3]) -> Result<(), String> {
        let after = self.pictures();
        for (before, after) in before.iter().zip(&after) {
            let gone = before
                .iter()
                .find(|(path, what)| after.get(*path) != Some(what));
            let new = after.keys().find(|path| !before.contains_key(*path));
            if let Some(path) = gone.map(|(path, _)| path).or(new) {
                return Err(format!("{} is not as it was", path.display()));
            }
        }
        for port in &self.tcp {
            port.set_nonblocking(true).expect("a port");
            if port.accept().is_ok() {
                return Err("a port was reached".into());
            }
        }
        let records = fs::read_dir(self.folder.path().join("state/cairn/commands"));
        if records.is_ok_and(|mut records| records.next().is_some()) {
            return Err("its record is still there".into());
        }
        let place = self.folder.path().display().to_string();
        if let Some(left) = running_in(&place) {
            return Err(format!("{left} still runs"));
        }
        self.udp.set_nonblocking(true).expect("a port");
        if self.udp.recv(&mut [0; 8]).is_ok() {
            return Err("a port was reached".into());
        }
        for socket in &self.unix {
            socket.set_nonblocking(true).expect("a socket");
            if socket.accept().is_ok() {
                return Err("a socket was reached".into());
            }
        }
        Ok(())
    }

    /// Of what is outside, of the home, and of what is protected in the workspace.
    fn pictures(&self) -> [Picture; 3] {
        let mut all = [Picture::new(), Picture::new(), Picture::new()];
        let at = |path: &str| self.folder.path().join(path);
        for path in ["canary", "outside", "gitdir", "ws-evil", "made", "etc"] {
            look_at(&at(path), &mut all[0]);
        }
        look_at(Path::new("/etc/x"), &mut all[0]);
        look_at(Path::new("/usr/local/bin/x"), &mut all[0]);
        look_at(&at("home"), &mut all[1]);
        for path in ["ws/.git", "ws/vendor", "ws/linked", "ws/core"] {
            look_at(&at(path), &mut all[2]);
        }
        all
    }
}

/// A process that was started with a path below this one, as every probe is.
fn running_in(place: &str) -> Option<String> {
    let all = fs::read_dir("/proc").ok()?.flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let mut lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.find(|line| line.starts_with(place))
}

fn look_at(path: &Path, picture: &mut Picture) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return;
    };
    let bytes = found.is_file().then(|| fs::read(path).unwrap_or_default());
    let seen = (found.mode(), found.uid(), found.mtime(), bytes);
    picture.insert(path.to_owned(), seen);
    if found.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            look_at(&entry.path(), picture);
        }
    }
}

fn open_to_all(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return;
    };
    if found.is_symlink() {
        return;
    }
    fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("a mode");
    if found.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            open_to_all(&entry.path());
        }
    }
}
