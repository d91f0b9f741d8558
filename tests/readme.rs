//! The README says what `--help` says.

use std::collections::HashSet;

fn help() -> String {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"));
    let output = command.arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exit_codes_are_those_of_help() {
    let help = help();
    let (_, table) = help.split_once("Exit codes:\n").unwrap();
    let readme = include_str!("../README.md");
    let rows: Vec<String> = table
        .lines()
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(code, meaning)| format!("| {code} | {meaning} |"))
        .collect();
    assert_eq!(rows.len(), 7, "{table}");
    assert!(readme.contains(&rows.join("\n")), "{}", rows.join("\n"));
}

#[test]
fn every_flag_it_names_exists() {
    let help = help();
    let known: HashSet<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .collect();
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("| flag | |").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let named: Vec<&str> = table
        .split(['`', ' '])
        .filter(|word| word.starts_with("--"))
        .map(|word| word.trim_end_matches(','))
        .collect();
    assert!(named.len() >= 10, "{named:?}");
    for flag in named {
        assert!(known.contains(flag), "{flag} is not in --help");
    }
}

#[test]
fn every_subcommand_of_help_is_named() {
    let help = help();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    // Names stand at two spaces; descriptions that go on stand farther in.
    let names: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != "help")
        .collect();
    assert!(names.contains(&"selftest-kernels"), "{names:?}");
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("## Ways in").unwrap();
    let (ways, _) = rest.split_once("| flag | |").unwrap();
    for name in names {
        assert!(ways.contains(&format!("`cairn {name}")), "cairn {name}");
    }
}

/// Commands and keys are those of the tables that they are dispatched by.
#[test]
fn every_key_is_in_its_list() {
    let list = cairn::tui::help::markdown();
    let section = format!("<!-- keys -->\n{list}<!-- /keys -->");
    let readme = include_str!("../README.md");
    assert!(readme.contains(&section), "cargo xtask readme-keys");
}

/// Whatever they show: `tests/tmux` compares that.
#[test]
fn panes_are_screens_of_a_hundred_columns() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("<!-- panes -->\n").unwrap();
    let (panes, _) = rest.split_once("<!-- /panes -->").unwrap();
    let screens: Vec<&str> = panes.split("```text\n").skip(1).collect();
    assert_eq!(screens.len(), 4);
    for screen in screens {
        let (screen, _) = screen.split_once("\n```\n").unwrap();
        assert_eq!(screen.lines().count(), 30, "{screen}");
        assert!(
            screen.lines().all(|line| line.chars().count() <= 100),
            "{screen}"
        );
        assert!(screen.contains("[ask] · demo"), "{screen}");
    }
}

/// Keys, defaults and what projects may say are those of the table in the program.
#[test]
fn every_setting_is_in_its_table() {
    use cairn::config::settings::{SETTINGS, Who};
    let rows: Vec<String> = SETTINGS
        .iter()
        .map(|setting| {
            let projects = match setting.who {
                Who::User | Who::Profiles => "no",
                Who::Projects => "yes",
                Who::Tightened => "tighten",
            };
            format!(
                "| `{}` | {} | {} | {projects} |",
                setting.key,
                setting.default_text(),
                setting.help
            )
        })
        .collect();
    let table = rows.join("\n");
    let readme = include_str!("../README.md");
    assert!(
        readme.contains(&format!("|---|---|---|---|\n{table}\n\n")),
        "{table}"
    );
}
