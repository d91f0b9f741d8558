//! The rows, by their numbers in `tests/escape`.

/// What has to come of a path. Whatever it is, nothing outside changes and no secret
/// is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Every file tool says no.
    Denied,
    /// Every file tool that writes says no, and what is protected is as it was.
    NotWritten,
    /// It may work: the file is the workspace's own.
    Harmless,
}

pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub expected: Expected,
    /// `{W}` is the workspace, `{B}` a folder around it, `{H}` the home.
    pub paths: &'static [&'static str],
}

use Expected::{Denied, Harmless, NotWritten};

const fn row(
    number: u32,
    name: &'static str,
    expected: Expected,
    paths: &'static [&'static str],
) -> Row {
    Row {
        number,
        name,
        expected,
        paths,
    }
}

pub const ROWS: &[Row] = &[
    row(
        4,
        "files outside",
        Denied,
        &["{H}/x", "/etc/cairn-test", "/usr/local/bin/x", "{B}/canary"],
    ),
    row(
        5,
        "shell start-up files",
        Denied,
        &["{H}/.bashrc", "{H}/.profile"],
    ),
    row(
        7,
        "through a link",
        Denied,
        &[
            "soft",
            "folder/canary",
            "folder/new",
            "deep/er/link/canary",
            "dangling",
        ],
    ),
    row(8, "a hard link to an outside file", Harmless, &["hard"]),
    row(
        10,
        "`..` and a sibling with the same prefix",
        Denied,
        &[
            "../canary",
            "sub/../../canary",
            "{W}/../canary",
            "{W}-evil/x",
            "..",
            "/",
        ],
    ),
    row(
        11,
        "by /proc",
        Denied,
        &[
            "/proc/self/root{B}/canary",
            "/proc/self/cwd/../canary",
            "magic{B}/canary",
            "cwd/../canary",
        ],
    ),
    row(
        12,
        "by a descriptor",
        Denied,
        &[
            "/dev/fd/{FD}/canary",
            "/proc/self/fd/{FD}/canary",
            "fds/{FD}/canary",
        ],
    ),
    row(13, "another folder", Denied, &["{B}", "{B}/outside", "{H}"]),
    row(16, "truncate", Denied, &["{B}/outside/weights", "soft"]),
    row(
        19,
        "keys and tokens",
        Denied,
        &[
            "{H}/.ssh/id",
            "{H}/.aws/credentials",
            "{H}/.netrc",
            "{H}/.cache/huggingface/token",
            "home/.ssh/id",
        ],
    ),
    row(
        20,
        "another session",
        Denied,
        &[
            "{H}/.local/state/cairn/session",
            "home/.local/state/cairn/session",
        ],
    ),
    row(
        21,
        "weights, caches, settings, the program",
        Denied,
        &[
            "{B}/outside/weights",
            "{H}/.cache/cairn/kv",
            "{H}/.config/cairn/config.toml",
            "{EXE}",
            "exe",
        ],
    ),
    row(
        22,
        "hooks and settings of git",
        NotWritten,
        &[
            ".git/hooks/pre-commit",
            ".git/config",
            ".git/info/attributes",
            "gitlink/config",
            "configlink",
        ],
    ),
    row(
        24,
        "a nested repository",
        NotWritten,
        &["vendor/x/.git/hooks/post-commit", "vendor/x/.git/config"],
    ),
    row(
        25,
        "a repository where there was none",
        NotWritten,
        &["fresh/.git/config", "fresh/.git", ".GIT/config"],
    ),
    row(
        26,
        "a file that names a repository",
        NotWritten,
        &["linked/.git"],
    ),
    row(
        27,
        "filters by attributes",
        NotWritten,
        &[".gitattributes", "sub/.gitattributes"],
    ),
    row(
        28,
        "files that others run by",
        NotWritten,
        &[
            ".envrc",
            ".vscode/tasks.json",
            ".mcp.json",
            ".cairn/config.toml",
            ".agents/x",
            ".cargo/config.toml",
            "sub/.idea/x",
        ],
    ),
    row(
        62,
        "pipes, sockets and devices",
        Denied,
        &["fifo", "socket", "zero", "null"],
    ),
];
