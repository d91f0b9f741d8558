//! Files outside, secrets, and what is protected in the workspace.

use super::Expected::{Allowed, Denied, Nothing, Quarantined, Refused};
use super::{Row, row};

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
        77,
        "another repository in the place of one that was moved",
        Quarantined,
        &[
            "rename {W}/deps {W}/moved",
            "mkdir {W}/deps/y/.git/hooks",
            "create {W}/deps/y/.git/config",
        ],
    ),
    row(
        9,
        "swap a file for a link while it is written",
        Nothing,
        &["swap {W}/flip {B}/canary"],
    ),
];
