//! The manual page and the shells' completions, made of the tables behind the
//! program: flags, settings, slash commands, keys, exit codes, folders.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::{Cli, ManArgs};
use super::{exit, fail, look};
use crate::agent::Exit;
use crate::agent::slash::COMMANDS;
use crate::config::settings::{SETTINGS, Setting, Who};
use crate::tui::help;

/// `cairn completions`.
pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cairn", &mut script);
    look::print(&String::from_utf8_lossy(&script))
}

/// `cairn man`.
pub fn run(args: &ManArgs) -> Exit {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        return match page(&command) {
            Ok(page) => look::print(&String::from_utf8_lossy(&page)),
            Err(error) => fail(Exit::Internal, &error.to_string()),
        };
    };
    match pages(&command).and_then(|pages| write(dir, &pages)) {
        Ok(()) => Exit::Done,
        Err(error) => fail(Exit::Internal, &format!("{}: {error}", dir.display())),
    }
}

/// Files by name: cairn(1), and a page for each command below it.
fn pages(command: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![("cairn.1".to_owned(), page(command)?)];
    for inner in all_below(command) {
        let man = Man::new(inner.clone()).manual(MANUAL);
        let mut text = Vec::new();
        man.render(&mut text)?;
        pages.push((man.get_filename(), text));
    }
    Ok(pages)
}

/// Each page as a whole, or as it was.
fn write(dir: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in pages {
        let temporary = dir.join(format!(".{name}-{}.tmp", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, dir.join(name)));
        if written.is_err() {
            // The first error is what counts.
            let _ = fs::remove_file(&temporary);
            return written;
        }
    }
    Ok(())
}

const MANUAL: &str = "cairn";

/// Commands that are shown; clap's own `help` is none of ours.
fn below(command: &Command) -> impl Iterator<Item = &Command> {
    let inner = command.get_subcommands();
    inner.filter(|one| !one.is_hide_set() && one.get_name() != "help")
}

/// Those, and those below them.
fn all_below(command: &Command) -> Vec<&Command> {
    below(command)
        .flat_map(|inner| std::iter::once(inner).chain(all_below(inner)))
        .collect()
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for inner in all_below(command) {
        subcommand(&mut roff, inner, command);
    }
    slash_commands(&mut roff);
    keys(&mut roff);
    settings(&mut roff);
    exit_codes(&mut roff);
    files(&mut roff);
    environment(&mut roff);
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn subcommand(roff: &mut Roff, inner: &Command, root: &Command) {
    let name = inner.get_bin_name().unwrap_or(inner.get_name());
    let positionals = inner.get_positionals().filter(|one| !one.is_hide_set());
    let words: Vec<String> = positionals.map(|one| format!("[{}]", value(one))).collect();
    roff.control("SS", [format!("{name} {}", words.join(" ")).trim()]);
    if let Some(about) = inner.get_about() {
        roff.text([roman(sentence(&about.to_string()))]);
    }
    let own: Vec<&Arg> = inner
        .get_arguments()
        .filter(|one| !one.is_hide_set() && !is_builtin(one))
        .collect();
    let at_root = |one: &&Arg| {
        root.get_arguments()
            .any(|other| other.get_id() == one.get_id())
    };
    if own.len() > 3 && own.iter().all(at_root) {
        roff.text([roman("It takes the options above.")]);
        return;
    }
    for argument in own {
        let mut title: Vec<Inline> = Vec::new();
        if let Some(long) = argument.get_long() {
            title.push(bold(format!("--{long}")));
        }
        if takes_value(argument) {
            title.push(roman(" "));
            title.push(italic(value(argument)));
        }
        let mut help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let choices: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|_| takes_value(argument))
            .map(|choice| choice.get_name().to_owned())
            .collect();
        if !choices.is_empty() {
            help.push_str(&format!(": {}", choices.join(", ")));
        }
        item(roff, title, &help);
    }
}

fn is_builtin(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version")
}

fn takes_value(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}

fn value(argument: &Arg) -> String {
    match argument.get_value_names() {
        Some(names) => names.join(" "),
        None => argument.get_id().as_str().to_uppercase(),
    }
}

fn item(roff: &mut Roff, title: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(title);
    roff.text([roman(sentence(text))]);
}

/// On one line, and with a full stop.
fn sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.ends_with(['.', '?', '!']) {
        true => text,
        false => text + ".",
    }
}

fn slash_commands(roff: &mut Roff) {
    roff.control("SH", ["SLASH COMMANDS"]);
    roff.text([roman(
        "In a conversation, a line that begins with / is a command.",
    )]);
    for command in COMMANDS {
        let name = bold(format!("/{}", command.name));
        let title = vec![name, roman(" "), italic(command.args)];
        item(roff, title, command.help);
    }
}

fn keys(roff: &mut Roff) {
    roff.control("SH", ["KEYS"]);
    roff.text([roman("On the full screen, by place.")]);
    for (place, rows) in help::keys() {
        roff.control("SS", [place.as_str()]);
        for (keys, what) in rows {
            item(roff, vec![bold(keys)], what);
        }
    }
}

fn settings(roff: &mut Roff) {
    roff.control("SH", ["SETTINGS"]);
    roff.text([roman(
        "Of the layers below the last one that says something counts: defaults, config.toml, a \
         table [profiles.NAME] in it that --profile chooses, .cairn/config.toml of a project that \
         is trusted, variables, flags. cairn config shows which one it was. Rules (sandbox, \
         permissions) of all layers hold together.",
    )]);
    for setting in &SETTINGS {
        let also: Vec<String> = [setting.flag.map(str::to_owned), setting.variable()]
            .into_iter()
            .flatten()
            .chain([may_say(setting).to_owned()])
            .collect();
        let text = format!(
            "{} (default: {}; {})",
            setting.help,
            setting.default_text(),
            also.join(", ")
        );
        item(roff, vec![bold(setting.key)], &text);
    }
}

fn may_say(setting: &Setting) -> &'static str {
    match setting.who {
        Who::User => "not in profiles or projects",
        Who::Profiles => "not in projects",
        Who::Projects => "in projects, too",
        Who::Tightened => "projects can tighten it",
    }
}

fn exit_codes(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for code in Exit::ALL {
        item(
            roff,
            vec![bold(code.code().to_string())],
            exit::meaning(code),
        );
    }
}

const FILES: [(&str, &str); 6] = [
    ("~/.config/cairn/config.toml", "your settings and rules"),
    (
        "~/.config/cairn/trusted.json",
        "which projects' settings you trust",
    ),
    (
        ".cairn/config.toml",
        "a project's settings, in its workspace",
    ),
    (
        "~/.local/state/cairn",
        "what belongs to sessions, and what undo needs",
    ),
    (
        "~/.local/state/cairn/logs/cairn.log",
        "the log; two older ones lie beside it",
    ),
    ("~/.cache/cairn", "what can be found out again"),
];

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        item(roff, vec![italic(path)], what);
    }
}

const VARIABLES: [(&str, &str); 9] = [
    ("XDG_CONFIG_HOME", "instead of ~/.config"),
    ("XDG_STATE_HOME", "instead of ~/.local/state"),
    ("XDG_CACHE_HOME", "instead of ~/.cache"),
    (
        "XDG_DATA_HOME",
        "instead of ~/.local/share, where bundles are looked for",
    ),
    (
        "HF_HUB_CACHE",
        "the hub's cache, where bundles are looked for",
    ),
    ("HF_HOME", "the folder that the hub's cache is in, as hub"),
    ("VISUAL", "the editor of cairn config edit; else EDITOR"),
    ("NO_COLOR", "no colours"),
    (
        "COLORFGBG",
        "what the terminal's background is, where it says so",
    ),
];

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, what) in VARIABLES {
        item(roff, vec![bold(name)], what);
    }
    for (setting, variable) in SETTINGS
        .iter()
        .filter_map(|setting| Some((setting, setting.variable()?)))
    {
        item(
            roff,
            vec![bold(variable)],
            &format!("the setting {}", setting.key),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page as somebody reads it, roughly.
    fn plain() -> String {
        let mut command = Cli::command();
        command.build();
        let page = String::from_utf8(page(&command).unwrap()).unwrap();
        let escapes = ["\\fB", "\\fI", "\\fR", "\\fP"];
        let page = escapes
            .iter()
            .fold(page, |page, escape| page.replace(escape, ""));
        page.replace("\\-", "-")
            .replace("\\&", "")
            .replace("\\*(Aq", "'")
    }

    #[test]
    fn everything_of_every_table_is_in_the_page() {
        let page = plain();
        let mut command = Cli::command();
        command.build();
        for one in all_below(&command).into_iter().chain([&command]) {
            let name = one.get_bin_name().unwrap_or(one.get_name());
            assert!(page.contains(name), "{name}");
            for long in one.get_arguments().filter_map(Arg::get_long) {
                assert!(page.contains(&format!("--{long}")), "{name} --{long}");
            }
        }
        for command in COMMANDS {
            assert!(
                page.contains(&format!("/{} ", command.name)),
                "/{}",
                command.name
            );
        }
        for (place, rows) in help::keys() {
            for (keys, what) in rows {
                let row = format!(".TP\n{keys}\n{}", sentence(what));
                assert!(page.contains(&row), "{place}: {row}");
            }
        }
        for setting in &SETTINGS {
            assert!(
                page.contains(&format!(".TP\n{}\n", setting.key)),
                "{}",
                setting.key
            );
            if let Some(variable) = setting.variable() {
                assert!(page.contains(&variable), "{variable}");
            }
        }
        for exit in Exit::ALL {
            let row = format!(".TP\n{}\n{}", exit.code(), exit::meaning(exit));
            assert!(page.contains(&row), "{row}\n{page}");
        }
    }

    #[test]
    fn every_line_that_begins_like_a_request_is_one() {
        let requests = [
            ".TH", ".SH", ".SS", ".TP", ".PP", ".IP", ".RS", ".RE", ".br", ".ie", ".el",
        ];
        let mut command = Cli::command();
        command.build();
        for (name, text) in pages(&command).unwrap() {
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("\n.TH cairn"), "{name}: {text}");
            for line in text.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line.split_whitespace().next().unwrap();
                assert!(requests.contains(&request), "{name}: {line}");
            }
        }
    }
}
