//! What a confined command can and cannot do, seen from the host's side.

#![cfg(target_os = "linux")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

struct Ran {
    /// Of the cairn that ran it.
    id: u32,
    text: String,
    errors: String,
    status: i32,
}

fn cairn(folder: &Path, flags: &[&str], script: &str, variables: &[(&str, &str)]) -> Ran {
    let child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["sandbox", "--workspace"])
        .arg(folder)
        .args(flags)
        .args(["--", "sh", "-c", script])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    Ran {
        id,
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status.code().unwrap(),
    }
}

fn run(script: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    cairn(folder.path(), &[], script, &[])
}

#[test]
fn the_status_is_the_commands() {
    assert_eq!(run("exit 3").status, 3);
    assert_eq!(run("kill -9 $$").status, 137);
    let none = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["sandbox", "--", "no-such-command"])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(127));
    let folder = tempfile::tempdir().unwrap();
    let slow = cairn(folder.path(), &["--timeout", "1"], "sleep 100", &[]);
    assert_eq!(slow.status, 124);
    assert_eq!(slow.errors, "cairn: timed out after 1 s, killed\n");
}

/// A small disk, which goes when this does.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` for who can't mount one.
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                "size=300m,nr_inodes=60k,mode=777",
                "tmpfs",
            ])
            .arg(place.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Others find room for bytes and for files.
#[test]
fn a_disk_is_not_filled() {
    let Some(disk) = SmallDisk::new() else {
        println!("a disk of its own can't be had: not tried");
        return;
    };
    let work = disk.0.path().join("w");
    std::fs::create_dir(&work).unwrap();
    let left = || rustix::fs::statvfs(disk.0.path()).unwrap();
    for (script, why) in [
        // Not so fast that it is full before anybody looks.
        (
            "while head -c 100000 /dev/zero >> big; do :; done; exit 3",
            "MB left on the disk, killed",
        ),
        (
            "i=0; while : > f$i; do i=$((i+1)); [ $((i%200)) = 0 ] && sleep 0.005; done; exit 3",
            "files left on the disk, killed",
        ),
    ] {
        let ran = cairn(&work, &["--timeout", "100"], script, &[]);
        assert_eq!(ran.status, 137, "{script}: {}", ran.errors);
        assert!(ran.errors.contains(why), "{script}: {}", ran.errors);
        assert!(left().f_bavail > 0 && left().f_favail > 0, "{script}");
        std::fs::remove_dir_all(&work).unwrap();
        std::fs::create_dir(&work).unwrap();
    }
}

/// What cairn was told to ignore is not ignored by what it runs.
#[test]
fn signals_are_as_a_program_expects_them() {
    let cairn = env!("CARGO_BIN_EXE_cairn");
    let script =
        format!("trap '' HUP INT TERM USR1; exec {cairn} sandbox -- cat /proc/self/status");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for none in ["SigBlk:", "SigIgn:"] {
        let line = text.lines().find_map(|line| line.strip_prefix(none));
        assert_eq!(line.map(str::trim), Some("0000000000000000"), "{text}");
    }
}

/// What is written lands as the owner's, whoever started cairn.
#[test]
fn a_workspace_is_worked_in() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(folder.path().join("old"), "old\n").unwrap();
    let script =
        "cat old && echo new > new && rm old && mkdir -p a/b && echo tmp > /tmp/x && cat /tmp/x";
    let ran = cairn(folder.path(), &[], script, &[]);
    assert_eq!(
        (ran.text.as_str(), ran.errors.as_str(), ran.status),
        ("old\ntmp\n", "", 0)
    );
    let owner = std::fs::metadata(folder.path()).unwrap().uid();
    let new = std::fs::metadata(folder.path().join("new")).unwrap();
    assert_eq!(new.uid(), owner);
    assert!(folder.path().join("a/b").is_dir() && !folder.path().join("old").exists());
    assert!(!Path::new("/tmp/x").exists());
}

#[test]
fn nothing_else_is_written() {
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o666)).unwrap();
    let (out, at) = (outside.path().display(), victim.display());
    for script in [
        format!("echo bad > {at}"),
        format!("echo bad > {out}/new"),
        format!("rm {at}"),
        format!("mv {at} ."),
        format!("ln {at} link && echo bad > link"),
        format!("ln -s {at} soft && echo bad > soft"),
        format!("chmod 600 {at}"),
        format!("touch {at}"),
        format!("truncate -s 0 {at}"),
        format!("echo bad > /proc/self/root{at}"),
        format!("echo bad > /proc/1/root{at}"),
        format!("echo bad > ../../../../../../../../../..{at}"),
        "echo bad > /etc/cairn-test".to_owned(),
        "echo core > /proc/sys/kernel/core_pattern".to_owned(),
        "mount -o remount,rw /".to_owned(),
        "unshare -U true".to_owned(),
        "unshare -Ur mount -t tmpfs none /mnt".to_owned(),
        "mknod disk b 254 0 && head -c 1 disk".to_owned(),
    ] {
        let ran = run(&script);
        assert_ne!(ran.status, 0, "{script}: {}{}", ran.text, ran.errors);
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "safe");
    assert_eq!(std::fs::metadata(&victim).unwrap().mode() & 0o777, 0o666);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn in_read_only_mode_not_even_the_workspace_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "a").unwrap();
    let flags = ["--mode", "read-only"];
    let ran = cairn(
        folder.path(),
        &flags,
        "echo x > /tmp/x && cat a; echo x > b",
        &[],
    );
    assert_eq!(ran.text.lines().next().map(|l| &l[..1]), Some("a"));
    assert_ne!(ran.status, 0);
    assert!(!folder.path().join("b").exists());
}

#[test]
fn what_is_protected_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at(".git/hooks")).unwrap();
    std::fs::create_dir_all(at("vendor/x/.git")).unwrap();
    std::fs::write(at(".git/config"), "safe").unwrap();
    for script in [
        "echo bad > .git/hooks/pre-commit",
        "echo bad > .git/config",
        "rm -rf .git",
        "mv .git other",
        "mv vendor other && echo bad > other/x/.git/config",
        "echo bad > vendor/x/.git/config",
        "ln -sf x .git/config",
    ] {
        let ran = cairn(folder.path(), &[], script, &[]);
        assert_ne!(ran.status, 0, "{script}");
    }
    assert_eq!(std::fs::read_to_string(at(".git/config")).unwrap(), "safe");
    assert_eq!(std::fs::read_dir(at(".git/hooks")).unwrap().count(), 0);
    let script = "echo bad > .envrc; mkdir -p new/.git/hooks; echo ok > fine";
    let ran = cairn(folder.path(), &[], script, &[]);
    assert_eq!(ran.status, 0);
    assert!(
        ran.errors
            .contains(".envrc may not be made: it is now quarantined-1-envrc")
    );
    assert!(at("quarantined-1-envrc").exists() && !at(".envrc").exists());
    assert!(at("new/quarantined-1-git/hooks").exists() && at("fine").exists());

    std::os::unix::fs::symlink("/etc", at(".codex")).unwrap();
    let ran = cairn(folder.path(), &[], "true", &[]);
    assert_eq!(ran.status, 126);
    assert!(ran.errors.contains(".codex"), "{}", ran.errors);
}

#[test]
fn secrets_look_empty() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let keys = home.path().join(".ssh");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("id"), "secret").unwrap();
    std::fs::write(home.path().join(".netrc"), "secret").unwrap();
    std::fs::create_dir(home.path().join(".cargo")).unwrap();
    std::fs::write(home.path().join(".cargo/env"), "tools").unwrap();
    std::fs::write(home.path().join(".cargo/credentials.toml"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("HOME", home.path().to_str().unwrap()),
        ("GITHUB_TOKEN", "secret"),
        ("LD_PRELOAD", ""),
    ];
    let script =
        "cat ~/.ssh/id ~/.netrc ~/.cargo/credentials.toml ~/.cargo/env; env; cat /proc/1/environ";
    let ran = cairn(folder.path(), &[], script, &variables);
    assert!(ran.text.contains("tools"), "{}", ran.text);
    assert!(!ran.text.contains("secret"), "{}", ran.text);
}

/// A home that is the workspace can be written, but nothing in it brought into view.
#[test]
fn secrets_in_the_workspace_stay_where_they_look_empty() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    for folder in [".config/gh", ".local/share/keyrings", "dots/config/gcloud"] {
        std::fs::create_dir_all(at(folder)).unwrap();
        std::fs::write(at(folder).join("key"), "secret").unwrap();
    }
    std::os::unix::fs::symlink("../dots/config/gcloud", at(".config/gcloud")).unwrap();
    let variables = [("HOME", home.path().to_str().unwrap())];
    let run = |script: &str| cairn(home.path(), &[], script, &variables);
    for folder in [".config", ".local", ".local/share", "dots", "dots/config"] {
        // What `mv` copies instead is what can be seen.
        let ran = run(&format!(
            "mv {folder} aside; rm -rf aside; test ! -e {folder}"
        ));
        assert_ne!(ran.status, 0, "{folder}");
    }
    let ran = run("echo new > .config/new && mv .config/new dots/ && cat dots/new");
    assert_eq!(ran.text, "new\n", "{}", ran.errors);
    let ran = run("grep -r secret .; find . -name key");
    assert_eq!(ran.text, "");
    for folder in [".config/gh", ".local/share/keyrings", "dots/config/gcloud"] {
        assert!(at(folder).join("key").exists(), "{folder}");
    }
}

#[test]
fn the_network_is_off_or_its_own() {
    let connect = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); \
        socket.create_connection(s.getsockname()); print(\"met\")'";
    let folder = tempfile::tempdir().unwrap();
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let off = cairn(folder.path(), &[], connect, &[]);
    assert_ne!(off.status, 0, "{}", off.text);
    let own = cairn(folder.path(), &["--net", "loopback"], connect, &[]);
    assert_eq!(own.text, "met\n");
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let reach =
        format!("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'");
    let host = cairn(folder.path(), &["--net", "loopback"], &reach, &[]);
    assert!(
        host.text.contains("refused") && host.status != 0,
        "{}",
        host.text
    );
}

/// A repository in the workspace, and one around it, is there to be read.
#[test]
fn git_reads() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(folder.path()).args(arguments).output()
    };
    if git(&["init", "-q"]).is_err() {
        return;
    }
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::fs::write(folder.path().join("inner/new"), "x").unwrap();
    let whole = cairn(folder.path(), &[], "git status --short", &[]);
    assert_eq!((whole.text.as_str(), whole.status), ("?? inner/\n", 0));
    let inner = folder.path().join("inner");
    let part = cairn(&inner, &[], "git status --short 2>&1", &[]);
    assert_eq!((part.text.as_str(), part.status), ("?? ./\n", 0));
    let change = cairn(folder.path(), &[], "git add inner", &[]);
    assert!(change.status != 0, "{}", change.text);
}

/// A layer that can't be set up stops the command, whichever it is.
#[test]
fn without_a_layer_nothing_runs() {
    for layer in [
        "namespaces",
        "view",
        "identity",
        "network",
        "limits",
        "capabilities",
        "landlock",
        "seccomp",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("CAIRN_TEST_BREAK_LAYER", layer)];
        let ran = cairn(folder.path(), &[], "echo ran > ran", &variables);
        assert_eq!((ran.status, ran.text.as_str()), (126, ""), "{layer}");
        assert!(
            ran.errors
                .starts_with("cairn: the sandbox refused to start: ")
        );
        assert_eq!(ran.errors.lines().count(), 1, "{}", ran.errors);
        assert!(!folder.path().join("ran").exists(), "{layer}");
    }
}

/// Bombs end at their limit, and nothing of them is left.
#[test]
fn what_grows_without_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let ran = |flags: &[&str], script: &str| {
        let ran = cairn(folder.path(), flags, script, &[]);
        assert_eq!(groups_of(ran.id), 0, "{script}");
        ran
    };
    let forks = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1";
    let started = std::time::Instant::now();
    ran(&["--timeout", "3"], forks);
    assert!(started.elapsed().as_secs() < 20);

    let memory = ran(&["--memory", "200"], "head -c 2000000000 /dev/zero | tail");
    let words = "more than 200 MB of memory, killed";
    let (status, errors) = (memory.status, &memory.errors);
    assert!(status == 137 && errors.contains(words), "{status} {errors}");

    let sparse = ran(&[], "truncate -s 1T file; stat -c %s file");
    assert!(!sparse.text.contains("1099511627776"), "{}", sparse.text);

    let yes = ran(&[], "yes");
    assert!(yes.status == 137 && yes.errors.contains("bytes of output"));

    let held = ran(&[], "sleep 123456 & echo done");
    assert_eq!((held.text.as_str(), held.status), ("done\n", 0));
    assert_eq!(sleepers("123456"), 0);
}

/// Groups of processes that a cairn has made and that are still there.
fn groups_of(cairn: u32) -> usize {
    let mine = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let folders = mine.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        std::fs::read_dir(format!("/sys/fs/cgroup/{names}{path}")).ok()
    });
    let prefix = format!("cairn-{cairn}-");
    folders
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .count()
}

/// Processes that sleep for so long.
fn sleepers(seconds: &str) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line == wanted.as_bytes())
        .count()
}
