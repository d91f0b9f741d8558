//! The escapes that were tried on sandboxes like this one, by the numbers under which
//! they are known here. `{W}` is the workspace, `{B}` a folder around it that everybody
//! may write to, `{H}` the home, `{HOST}` a process outside, `{TCP}` and `{UDP}` ports
//! on which the host listens.

/// What has to come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It works.
    Allowed,
    /// It fails where it is tried.
    Denied,
    /// Whatever it says inside, outside nothing has changed and nothing was seen.
    Nothing,
    /// What it made does not stay under its name.
    Quarantined,
    /// The command is not even started.
    Refused,
    /// It ends at a limit.
    Killed,
}

#[derive(Clone, Copy)]
pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub expected: Expected,
    pub flags: &'static [&'static str],
    pub attempts: &'static [&'static str],
}

const fn row(
    number: u32,
    name: &'static str,
    expected: Expected,
    attempts: &'static [&'static str],
) -> Row {
    Row {
        number,
        name,
        expected,
        flags: &[],
        attempts,
    }
}

use Expected::{Allowed, Denied, Killed, Nothing, Quarantined, Refused};

/// What comes of rows without namespaces, where it is something else.
/// `None` is what does not hold: Landlock has no say about modes and times of what is
/// the user's own.
pub const DEGRADED: &[(&str, Option<Expected>)] = &[
    // Folders that hold something protected get nothing new.
    ("a file in the workspace", Some(Denied)),
    ("a repository where there was none", Some(Denied)),
    ("attributes with filters", Some(Denied)),
    ("settings that others run", Some(Denied)),
    ("a file of a terabyte", Some(Denied)),
    (
        "another repository in the place of one that was moved",
        Some(Denied),
    ),
    // There is no /tmp of its own.
    ("tools and a /tmp of its own", Some(Nothing)),
    // Nothing is mounted, so no link can lead a mount astray.
    ("a protected name that is a link at the start", Some(Denied)),
    ("a protected name that is a link to /oldroot", Some(Denied)),
    ("metadata outside", None),
];

/// One destination, which is none of those that are tried.
const HOSTS: &[&str] = &["--net", "github.com:443"];

pub const ROWS: &[Row] = &[
    row(
        1,
        "a file in the workspace",
        Allowed,
        &[
            "create {W}/new",
            "append {W}/new",
            "remove {W}/new",
            "mkdir {W}/a/b",
        ],
    ),
    row(
        2,
        "tools and a /tmp of its own",
        Allowed,
        &[
            "list /usr/bin",
            "create /tmp/x",
            "read /tmp/x",
            "create /dev/shm/x",
        ],
    ),
    row(
        4,
        "files outside",
        Nothing,
        &[
            "create {H}/x",
            "create /etc/x",
            "create /usr/local/bin/x",
            "write {B}/canary",
            "create {B}/outside/x",
        ],
    ),
    row(
        5,
        "shell start-up files",
        Nothing,
        &[
            "append {H}/.bashrc",
            "append {H}/.profile",
            "append {H}/.zshrc",
        ],
    ),
    row(
        6,
        "rename over an outside file",
        Denied,
        &["rename {W}/own {B}/canary", "rename {B}/canary {W}/taken"],
    ),
    row(
        7,
        "write through a link",
        Denied,
        &["symlink-and-write {B}/canary {W}/soft"],
    ),
    row(
        8,
        "hard-link an outside file in",
        Denied,
        &["link {B}/canary {W}/hard"],
    ),
    row(
        10,
        "`..` and a sibling with the same prefix",
        Denied,
        &[
            "write {W}/../canary",
            "write {W}/../../../../../../../../../..{B}/canary",
            "create {W}-evil/x",
        ],
    ),
    row(
        11,
        "by /proc/self/root and cwd",
        Denied,
        &[
            "write /proc/self/root{B}/canary",
            "write /proc/self/cwd/../canary",
            "write /proc/1/root{B}/canary",
        ],
    ),
    row(
        12,
        "by a descriptor of a folder",
        Denied,
        &["by-descriptor {B}/canary"],
    ),
    row(
        13,
        "another working folder",
        Denied,
        &["in-folder {B} write canary"],
    ),
    row(
        14,
        "move the workspace aside",
        Denied,
        &["rename {W} {W}-old"],
    ),
    row(
        15,
        "metadata outside",
        Denied,
        &[
            "mode 600 {B}/canary",
            "chown {B}/canary",
            "utimensat {B}/canary",
            "setxattr {B}/canary",
        ],
    ),
    row(
        16,
        "truncate outside",
        Denied,
        &["write {B}/canary", "truncate {B}/canary"],
    ),
    row(
        17,
        "make a device",
        Denied,
        &["mknod {W}/device", "mknod /tmp/device"],
    ),
    row(
        18,
        "set-user-id file in the workspace",
        Denied,
        &[
            "mode 4755 {W}/own",
            "mode 2755 {W}/own",
            "create-mode 4755 {W}/set",
            "temporary-mode 4755 {W}",
        ],
    ),
    row(
        18,
        "a mode where nothing is made",
        Allowed,
        &["open-mode 6755 {W}/own"],
    ),
    row(
        19,
        "read keys",
        Nothing,
        &[
            "read {H}/.ssh/id",
            "read {H}/.aws/credentials",
            "read {H}/.netrc",
            "read {H}/.cache/huggingface/token",
            "list {H}/.ssh",
        ],
    ),
    row(
        20,
        "read other sessions",
        Nothing,
        &[
            "read {H}/.local/state/cairn/session",
            "read {H}/.cache/cairn/kv",
        ],
    ),
    row(
        21,
        "overwrite caches, weights, our program",
        Nothing,
        &[
            "write {H}/.cache/cairn/kv",
            "write {B}/outside/weights",
            "write {EXE}",
        ],
    ),
    row(
        22,
        "git hooks and configuration",
        Denied,
        &["create {W}/.git/hooks/pre-commit", "write {W}/.git/config"],
    ),
    row(
        23,
        "move or remove .git",
        Denied,
        &["rename {W}/.git {W}/x", "remove-all {W}/.git"],
    ),
    row(
        24,
        "hooks of a nested repository",
        Denied,
        &[
            "create {W}/vendor/x/.git/hooks/post-checkout",
            "rename {W}/vendor/x/.git {W}/v",
        ],
    ),
    row(
        25,
        "a repository where there was none",
        Quarantined,
        &["mkdir {W}/sub/.git/hooks", "create {W}/sub/.git/config"],
    ),
    row(
        26,
        ".git as a file",
        Denied,
        &["write {W}/linked/.git", "create {B}/gitdir/hooks/x"],
    ),
    row(
        27,
        "attributes with filters",
        Quarantined,
        &["create {W}/.gitattributes"],
    ),
    row(
        28,
        "settings that others run",
        Quarantined,
        &[
            "create {W}/.envrc",
            "mkdir {W}/.vscode",
            "create {W}/.mcp.json",
            "mkdir {W}/.cairn",
            "mkdir {W}/.cargo",
            "create {W}/.cargo/config.toml",
        ],
    ),
    row(
        29,
        "a protected name that is a link at the start",
        Refused,
        &["create {W}/ran"],
    ),
    row(
        30,
        "a protected name that is a link to /oldroot",
        Refused,
        &["create {W}/ran"],
    ),
    row(
        31,
        "set-user-id programs",
        Allowed,
        &["field NoNewPrivs:\t1"],
    ),
    row(
        32,
        "mounts",
        Denied,
        &[
            "mount",
            "call 166 0",
            "call 155 0 0",
            "call 161 0",
            "call 428 0 0 0",
            "call 429 0 0 0",
            "call 430 0 0",
            "call 442 0 0 0",
        ],
    ),
    row(
        33,
        "another user namespace",
        Denied,
        &["call 272 268435456", "call 56 268435473", "call 435 0 0"],
    ),
    row(
        34,
        "settings of the system",
        Denied,
        &[
            "write /proc/sys/kernel/core_pattern",
            "write /proc/sys/kernel/hostname",
            "write /proc/sysrq-trigger",
        ],
    ),
    row(
        35,
        "the launcher's program",
        Denied,
        &["write /proc/1/exe", "write {EXE}"],
    ),
    row(
        36,
        "other processes' memory",
        Denied,
        &["ptrace 1", "ptrace {HOST}", "peek 1", "take-descriptor 1"],
    ),
    row(
        37,
        "what /proc shows of others",
        Denied,
        &[
            "read /proc/1/environ",
            "read /proc/1/mem",
            "list /proc/1/fd",
            "read /proc/{HOST}/environ",
        ],
    ),
    row(38, "kill the agent", Denied, &["kill {HOST}"]),
    row(39, "variables with keys", Nothing, &["environment"]),
    row(40, "inherited descriptors", Denied, &["descriptors"]),
    row(
        41,
        "TCP",
        Denied,
        &[
            "tcp 127.0.0.1:{TCP}",
            "tcp [::1]:{TCP}",
            "listen 127.0.0.1:0",
        ],
    ),
    row(
        42,
        "UDP, raw",
        Denied,
        &["udp 127.0.0.1:{UDP}", "socket 2 3 1", "socket 2 2 1"],
    ),
    Row {
        number: 43,
        name: "a service of the host, with a loopback",
        expected: Denied,
        flags: &["--net", "loopback"],
        attempts: &["tcp 127.0.0.1:{TCP}", "tcp [::1]:{TCP}"],
    },
    Row {
        number: 41,
        name: "TCP, with a destination",
        expected: Denied,
        flags: HOSTS,
        attempts: &["tcp 127.0.0.1:{TCP}", "tcp [::1]:{TCP}", "tcp 1.1.1.1:53"],
    },
    Row {
        number: 42,
        name: "UDP, raw, with a destination",
        expected: Nothing,
        flags: HOSTS,
        attempts: &[
            "udp 127.0.0.1:{UDP}",
            "udp 1.1.1.1:53",
            "socket 2 3 1",
            "socket 17 3 0",
        ],
    },
    Row {
        number: 43,
        name: "a service of the host, by the relay",
        expected: Denied,
        flags: HOSTS,
        attempts: &[
            "by-relay 127.0.0.1:{TCP}",
            "by-relay localhost:{TCP}",
            "by-relay [::1]:{TCP}",
            "by-relay 127.1:{TCP}",
            "by-relay 127.0.0.1:{TCP}\\0.github.com:443",
        ],
    },
    Row {
        number: 44,
        name: "the cloud's metadata, by the relay",
        expected: Denied,
        flags: HOSTS,
        attempts: &[
            "tcp 169.254.169.254:80",
            "by-relay 169.254.169.254:80",
            "by-relay [::ffff:169.254.169.254]:80",
        ],
    },
    row(
        44,
        "the cloud's metadata",
        Denied,
        &["tcp 169.254.169.254:80"],
    ),
    row(
        45,
        "io_uring",
        Denied,
        &["call 425 1 0", "call 426 0 0 0 0", "call 427 0 0 0 0"],
    ),
    row(
        46,
        "an abstract socket of the host",
        Denied,
        &["abstract {NAME}"],
    ),
    row(
        47,
        "sockets with names",
        Denied,
        &["unix {B}/outside/socket", "unix {W}/socket"],
    ),
    row(
        48,
        "netlink, packet, vsock, bluetooth",
        Denied,
        &[
            "socket 16 3 0",
            "socket 17 3 0",
            "socket 40 1 0",
            "socket 31 3 0",
        ],
    ),
    row(
        50,
        "type into the terminal",
        Denied,
        &["type-into-terminal", "type-into-own-terminal"],
    ),
    row(
        51,
        "bpf, perf, userfaultfd, keys, kexec, modules",
        Denied,
        &[
            "call 321 0 0 0",
            "call 298 0 0 0 0",
            "call 323 0",
            "call 250 0 0",
            "call 248 0 0 0 0",
            "call 249 0 0 0",
            "call 246 0 0 0 0",
            "call 320 0 0 0",
            "call 175 0 0 0",
            "call 313 0 0 0",
        ],
    ),
    row(52, "calls of 32 bits", Killed, &["other-interface"]),
    row(52, "calls of x32", Denied, &["call 1073741863"]),
    row(
        53,
        "a program in memory is as confined",
        Nothing,
        &["from-memory write {B}/canary"],
    ),
    row(
        54,
        "devices",
        Denied,
        &[
            "device /dev/kvm",
            "device /dev/fuse",
            "device /dev/net/tun",
            "device /dev/vda",
            "device /dev/mem",
            "device /dev/vsock",
        ],
    ),
    row(56, "fill shared memory", Denied, &["fill /dev/shm/x"]),
    row(57, "a file of a terabyte", Killed, &["sparse {W}/sparse"]),
    row(63, "a dump of memory", Killed, &["dump-core"]),
    row(64, "run for ever", Killed, &["sleep"]),
    row(
        77,
        "another repository in the place of one that was moved",
        Quarantined,
        &[
            "rename {W}/deps {W}/moved",
            "mkdir {W}/deps/y/.git/hooks",
            "create {W}/deps/y/.git/config",
        ],
    ),
];
