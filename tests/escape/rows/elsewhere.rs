//! Rows that are no command's attempt, and the tests that try them.

pub struct Elsewhere {
    pub number: u32,
    pub name: &'static str,
    pub expected: &'static str,
    /// A file, relative to the root, and a function in it.
    pub test: (&'static str, &'static str),
}

const fn by(
    number: u32,
    name: &'static str,
    expected: &'static str,
    test: (&'static str, &'static str),
) -> Elsewhere {
    Elsewhere {
        number,
        name,
        expected,
        test,
    }
}

/// Rows that no test tries yet.
pub const MISSING: &[u32] = &[];

pub const ELSEWHERE: &[Elsewhere] = &[
    by(
        2,
        "compilers and tests",
        "Allowed",
        (
            "tests/controls.rs",
            "a_crate_is_tested_offline_with_a_server_of_its_own",
        ),
    ),
    by(
        3,
        "git reads",
        "Allowed",
        ("tests/controls.rs", "git_reads"),
    ),
    by(
        9,
        "swap a file for a link, by file tools",
        "Denied",
        ("tests/tools_workspace.rs", "a_swapped_link_never_leads_out"),
    ),
    by(
        10,
        "paths that lead out, by file tools",
        "Denied",
        ("tests/tools_workspace.rs", "no_path_leads_out"),
    ),
    by(
        14,
        "the workspace is a link",
        "Allowed",
        (
            "tests/tools_workspace.rs",
            "a_workspace_opened_through_a_link_accepts_both_names",
        ),
    ),
    by(
        22,
        "what is protected, by file tools",
        "Denied",
        (
            "src/tools/toolbox_tests.rs",
            "what_is_protected_is_not_written",
        ),
    ),
    by(
        57,
        "fill the disk, with bytes and with files",
        "Killed",
        ("tests/sandbox.rs", "a_disk_is_not_filled"),
    ),
    by(
        61,
        "SIGTERM ignored, by all of a tree",
        "Killed",
        ("tests/killed.rs", "nothing_outlives_cairn"),
    ),
    by(
        62,
        "a FIFO or a device where a file tool reads",
        "error, at once",
        (
            "tests/tools_workspace.rs",
            "pipes_sockets_and_devices_do_not_block",
        ),
    ),
    by(
        65,
        "sequences for the terminal",
        "shown as text",
        ("src/sandbox/sanitize.rs", "sequences_become_visible_text"),
    ),
    by(
        66,
        "C1, bidi, zero width, CR, invalid UTF-8",
        "shown as text",
        ("src/sandbox/sanitize.rs", "sequences_become_visible_text"),
    ),
    by(
        67,
        "a name with ESC or a line end",
        "shown as text",
        (
            "src/agent/present.rs",
            "calls_and_results_are_short_and_harmless",
        ),
    ),
    by(
        68,
        "control tokens in what tools say",
        "plain text",
        (
            "tests/chat_render.rs",
            "nothing_that_is_said_becomes_a_control_token",
        ),
    ),
    by(
        69,
        "being told to turn the sandbox off",
        "no argument does",
        (
            "tests/tools_sandbox.rs",
            "no_argument_of_a_tool_reaches_the_policy",
        ),
    ),
    by(
        70,
        "settings of the project, and its .env",
        "not used, or tighter",
        (
            "tests/permissions.rs",
            "a_projects_settings_count_once_trusted_and_only_tighten",
        ),
    ),
    by(
        71,
        "another command than was judged",
        "asks",
        ("tests/permissions.rs", "what_runs_is_what_was_judged"),
    ),
    by(
        72,
        "always git, then git -c and the like",
        "asks",
        (
            "src/sandbox/rule.rs",
            "always_git_is_not_always_whatever_git_runs",
        ),
    ),
    by(
        73,
        "a layer is missing",
        "Refused",
        ("tests/sandbox.rs", "without_a_layer_nothing_runs"),
    ),
    by(
        74,
        "setting up fails half-way",
        "Refused",
        ("tests/sandbox.rs", "without_a_layer_nothing_runs"),
    ),
    by(
        76,
        "undo what commands did",
        "every byte, mode and link is back",
        (
            "tests/undo.rs",
            "what_a_command_could_do_is_undone_and_what_it_could_not_is_untouched",
        ),
    ),
];
