//! Programs and options by which one command runs another. No rule about the
//! beginning of a command covers these: `git` allowed once must not become
//! `git -c core.pager=...`, nor `timeout 9 sh -c ...` whatever stands inside.

/// Programs whose arguments are programs.
const STARTERS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "dash",
    "ksh",
    "mksh",
    "fish",
    "csh",
    "tcsh",
    "ash",
    "busybox",
    "pwsh",
    "python",
    "pypy",
    "perl",
    "ruby",
    "node",
    "nodejs",
    "deno",
    "bun",
    "lua",
    "luajit",
    "php",
    "tclsh",
    "wish",
    "expect",
    "guile",
    "julia",
    "Rscript",
    "R",
    "java",
    "jshell",
    "groovy",
    "scala",
    "kotlin",
    "swift",
    "ghci",
    "runghc",
    "irb",
    "ipython",
    "erl",
    "elixir",
    "iex",
    "osascript",
    "jq",
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "sed",
    "gsed",
    "ed",
    "ex",
    "vi",
    "vim",
    "nvim",
    "view",
    "emacs",
    "emacsclient",
    "nano",
    "less",
    "more",
    "man",
    "env",
    "timeout",
    "gtimeout",
    "nice",
    "ionice",
    "nohup",
    "setsid",
    "stdbuf",
    "xargs",
    "parallel",
    "sudo",
    "su",
    "doas",
    "pkexec",
    "runuser",
    "chroot",
    "unshare",
    "nsenter",
    "flock",
    "watch",
    "script",
    "strace",
    "ltrace",
    "gdb",
    "lldb",
    "valgrind",
    "perf",
    "entr",
    "chrt",
    "taskset",
    "numactl",
    "setarch",
    "prlimit",
    "systemd-run",
    "command",
    "builtin",
    "exec",
    "eval",
    "source",
    ".",
    "type",
    "hash",
    "at",
    "batch",
    "crontab",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "socat",
    "nc",
    "ncat",
    "telnet",
    "screen",
    "tmux",
    "npx",
    "pnpx",
    "bunx",
    "uvx",
    "pipx",
    "ld.so",
    "bwrap",
    "docker",
    "podman",
    "cairn",
];

/// What a program may not be given, or its rule does not cover the command.
struct Options {
    program: &'static str,
    /// A whole word, or the beginning of one when it is an option of one letter.
    words: &'static [&'static str],
    /// Long options; every beginning that the program may take for one counts.
    long: &'static [&'static str],
}

const OPTIONS: &[Options] = &[
    Options {
        program: "git",
        words: &[
            "-c",
            "-C",
            "-O",
            "-x",
            "config",
            "submodule",
            "bisect",
            "rebase",
            "difftool",
            "mergetool",
            "filter-branch",
            "for-each-repo",
            "daemon",
            "hook",
            "instaweb",
            "gui",
            "citool",
            "credential",
            "send-email",
            "svn",
            "p4",
            "archive",
            "worktree",
            "alias",
            "web--browse",
            "remote-ext",
            "maintenance",
            "help",
        ],
        long: &[
            "--config-env",
            "--exec-path",
            "--exec",
            "--git-dir",
            "--work-tree",
            "--namespace",
            "--super-prefix",
            "--upload-pack",
            "--receive-pack",
            "--output",
            "--ext-diff",
            "--textconv",
            "--open-files-in-pager",
            "--config",
            "--template",
            "--strategy",
            "--gpg-sign",
            "--separate-git-dir",
            "--attr-source",
        ],
    },
    Options {
        program: "find",
        words: &[
            "-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf",
            "-fls",
        ],
        long: &[],
    },
    Options {
        program: "fd",
        words: &["-x", "-X"],
        long: &["--exec", "--exec-batch"],
    },
    Options {
        program: "fdfind",
        words: &["-x", "-X"],
        long: &["--exec", "--exec-batch"],
    },
    Options {
        program: "rg",
        words: &["-z"],
        long: &["--pre", "--pre-glob", "--hostname-bin", "--search-zip"],
    },
    Options {
        program: "tar",
        words: &["-I", "-F"],
        long: &[
            "--to-command",
            "--checkpoint-action",
            "--use-compress-program",
            "--rsh-command",
            "--rmt-command",
            "--info-script",
            "--new-volume-script",
        ],
    },
    Options {
        program: "sort",
        words: &["-o"],
        long: &["--compress-program", "--output", "--temporary-directory"],
    },
    Options {
        program: "split",
        words: &[],
        long: &["--filter"],
    },
    Options {
        program: "zip",
        words: &["-TT"],
        long: &["--unzip-command"],
    },
    Options {
        program: "make",
        words: &["-f", "-C", "-I"],
        long: &[
            "--eval",
            "--file",
            "--makefile",
            "--directory",
            "--include-dir",
        ],
    },
    Options {
        program: "cargo",
        words: &["-C", "-Z"],
        long: &["--config", "--manifest-path"],
    },
    Options {
        program: "rustc",
        words: &["-C", "-Z"],
        long: &["--sysroot", "--codegen"],
    },
    Options {
        program: "go",
        words: &["-exec", "-toolexec", "-C", "-overlay"],
        long: &["--exec", "--toolexec", "--overlay"],
    },
    Options {
        program: "npm",
        words: &["exec", "x", "explore", "config", "-c"],
        long: &["--script-shell", "--node-options", "--prefix", "--call"],
    },
    Options {
        program: "pnpm",
        words: &["exec", "dlx", "config", "-c"],
        long: &["--script-shell", "--node-options"],
    },
    Options {
        program: "yarn",
        words: &["exec", "dlx", "node", "config"],
        long: &["--script-shell"],
    },
    Options {
        program: "uv",
        words: &["run", "tool"],
        long: &[],
    },
    Options {
        program: "gcc",
        words: &["-B", "-wrapper"],
        long: &["--specs", "-specs", "-fplugin"],
    },
    Options {
        program: "cc",
        words: &["-B", "-wrapper"],
        long: &["--specs", "-specs", "-fplugin"],
    },
];

/// Why no beginning of these words may stand for all commands that start so.
pub(super) fn starts_others(words: &[String]) -> Option<&str> {
    let name = program(words.first()?);
    if STARTERS.contains(&name) {
        return words.first().map(String::as_str);
    }
    let options = OPTIONS.iter().find(|options| options.program == name)?;
    words[1..].iter().map(String::as_str).find(|word| {
        options.words.iter().any(|known| is_word(word, known))
            || options.long.iter().any(|known| is_long(word, known))
    })
}

/// The name by which a program is known: without its folder, and a version.
fn program(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    // `ld-linux-x86-64.so.2` runs what it is given.
    if name.starts_with("ld-") && name.contains(".so") {
        return "ld.so";
    }
    let version = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    match name.trim_end_matches(version) {
        "" => name,
        short => short,
    }
}

/// `-c` counts in `-cX` and, among single letters, in `-pc` as well.
fn is_word(word: &str, known: &str) -> bool {
    if word == known {
        return true;
    }
    let mut letters = known.chars();
    let (Some('-'), Some(letter), None) = (letters.next(), letters.next(), letters.next()) else {
        return false;
    };
    match word.strip_prefix('-') {
        Some(bundle) if !bundle.starts_with('-') => bundle.contains(letter),
        _ => false,
    }
}

/// Programs take a beginning of a long option for the option.
fn is_long(word: &str, known: &str) -> bool {
    let word = word.split('=').next().unwrap_or(word);
    let least = "--".len() + 1;
    word.starts_with('-') && (word == known || word.len() >= least && known.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(command: &str) -> bool {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        starts_others(&words).is_some()
    }

    #[test]
    fn what_runs_another_program_is_known() {
        for command in [
            "sh -c x",
            "/bin/bash x",
            "python3.12 x",
            "env x",
            "timeout 9 sh -c x",
            "git -c core.pager=x log",
            "git -ccore.pager=x log",
            "git --upload-pack=x fetch",
            "git fetch --upload-pa=x",
            "git --exec-path=x log",
            "git log --output=x",
            "git grep -Ox y",
            "git bisect run x",
            "git diff --ext-diff",
            "find . -exec x {} +",
            "find . -delete",
            "xargs x",
            "tar --to-command=x -xf y",
            "tar -cI x",
            "cargo --config x build",
            "npm exec x",
            "./sh x",
            "ld-linux-x86-64.so.2 x",
        ] {
            assert!(starts(command), "{command}");
        }
    }

    #[test]
    fn what_does_not_is_not() {
        for command in [
            "git status --short",
            "git log --oneline",
            "git diff HEAD",
            "cargo test --lib",
            "find . -name x",
            "ls -la",
            "make all",
            "npm run build",
            "gcc main.c",
            "clang-17 main.c",
        ] {
            assert!(!starts(command), "{command}");
        }
    }
}
