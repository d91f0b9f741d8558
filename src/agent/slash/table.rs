//! The slash commands of all conversations, in one table: help, completion, dispatch and
//! the manual come from it. The user's own are messages, and only listed here.

use crate::config::UserCommands;
use crate::sandbox::sanitize;

use crate::config::settings::distance;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Help,
    Model,
    Think,
    Clear,
    Stats,
    Context,
    Compact,
    Pin,
    Mode,
    Permissions,
    Jobs,
    Kill,
    Undo,
    Redo,
    Diff,
    Sessions,
    Resume,
    Fork,
    Edit,
    Quit,
}

pub struct Command {
    pub name: &'static str,
    /// Arguments as help shows them.
    pub args: &'static str,
    pub help: &'static str,
    pub action: Action,
}

pub const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        args: "",
        help: "list the commands and keys",
        action: Action::Help,
    },
    Command {
        name: "model",
        args: "[DIR]",
        help: "say what runs, or run another bundle",
        action: Action::Model,
    },
    Command {
        name: "think",
        args: "[on|off|show|fold]",
        help: "print the last reasoning; reason or not; fold",
        action: Action::Think,
    },
    Command {
        name: "clear",
        args: "",
        help: "start a new conversation",
        action: Action::Clear,
    },
    Command {
        name: "stats",
        args: "",
        help: "tokens, speed and what the cache saved",
        action: Action::Stats,
    },
    Command {
        name: "context",
        args: "",
        help: "what fills the context, and when room is made",
        action: Action::Context,
    },
    Command {
        name: "compact",
        args: "[FOCUS]",
        help: "make room now, with regard to FOCUS",
        action: Action::Compact,
    },
    Command {
        name: "pin",
        args: "[N|list|off N]",
        help: "keep a message of yours, whatever else leaves",
        action: Action::Pin,
    },
    Command {
        name: "undo",
        args: "",
        help: "take back what the last turn changed",
        action: Action::Undo,
    },
    Command {
        name: "redo",
        args: "",
        help: "bring back what was undone last",
        action: Action::Redo,
    },
    Command {
        name: "diff",
        args: "",
        help: "what was changed in the folder since the start",
        action: Action::Diff,
    },
    Command {
        name: "sessions",
        args: "",
        help: "list the sessions of this folder",
        action: Action::Sessions,
    },
    Command {
        name: "resume",
        args: "ID",
        help: "go on with another session",
        action: Action::Resume,
    },
    Command {
        name: "fork",
        args: "[ID][@ENTRY]",
        help: "go on with a copy, from an entry of it",
        action: Action::Fork,
    },
    Command {
        name: "edit",
        args: "N TEXT",
        help: "go back to your N-th message, say TEXT instead",
        action: Action::Edit,
    },
    Command {
        name: "mode",
        args: "[ask|accept-edits|plan]",
        help: "say what is asked about, or change it",
        action: Action::Mode,
    },
    Command {
        name: "permissions",
        args: "",
        help: "list the rules that allow and deny",
        action: Action::Permissions,
    },
    Command {
        name: "jobs",
        args: "",
        help: "list the commands in the background",
        action: Action::Jobs,
    },
    Command {
        name: "kill",
        args: "ID",
        help: "end a command in the background",
        action: Action::Kill,
    },
    Command {
        name: "quit",
        args: "",
        help: "leave (Ctrl-D does, too)",
        action: Action::Quit,
    },
];

/// A line that starts with `/`, read.
///
/// # Errors
/// For an unknown command, with the nearest one.
pub fn parse(line: &str) -> Result<(Action, &str), String> {
    let line = line.trim_start_matches('/').trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => Ok((command.action, rest.trim())),
        None => Err(format!(
            "no command /{name}; the nearest is /{} (/help lists all)",
            nearest(name)
        )),
    }
}

/// The table as text, the user's own commands after it. A line each.
pub fn help(own: &UserCommands) -> String {
    let built_in = COMMANDS.iter().map(|command| {
        let left = format!("/{} {}", command.name, command.args);
        (left, command.help.to_owned())
    });
    let own = own.iter().map(|command| {
        let help = sanitize::for_line(&command.description).into_owned();
        (format!("/{} ", command.name), help)
    });
    let rows: Vec<(String, String)> = built_in.chain(own).collect();
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    let lines: Vec<String> = rows
        .iter()
        .map(|(left, help)| format!("  {left:width$}  {help}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn nearest(name: &str) -> &'static str {
    COMMANDS
        .iter()
        .min_by_key(|command| distance(name, command.name))
        .map_or("help", |command| command.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command_and_every_action_has_one() {
        let help = help(&UserCommands::default());
        for command in COMMANDS {
            let line = format!("/{} x y", command.name);
            let (action, rest) = parse(&line).unwrap();
            assert_eq!((action, rest), (command.action, "x y"));
            let line = help.lines().find(|line| {
                line.trim_start()
                    .starts_with(&format!("/{} ", command.name))
            });
            let line = line.unwrap();
            assert!(line.ends_with(command.help) && line.len() <= 80, "{line}");
        }
        use Action::{
            Clear, Compact, Context, Diff, Edit, Fork, Help, Jobs, Kill, Mode, Model, Permissions,
            Pin, Quit, Redo, Resume, Sessions, Stats, Think, Undo,
        };
        for action in [
            Help,
            Model,
            Think,
            Clear,
            Stats,
            Context,
            Compact,
            Pin,
            Undo,
            Redo,
            Diff,
            Sessions,
            Resume,
            Fork,
            Edit,
            Mode,
            Permissions,
            Jobs,
            Kill,
            Quit,
        ] {
            let count = COMMANDS.iter().filter(|c| c.action == action).count();
            assert_eq!(count, 1, "{action:?}");
        }
    }

    #[test]
    fn unknown_commands_name_the_nearest() {
        let error = parse("/hlep").unwrap_err();
        assert_eq!(
            error,
            "no command /hlep; the nearest is /help (/help lists all)"
        );
        assert!(parse("/stat").unwrap_err().contains("/stats"));
        assert!(parse("/modell x").unwrap_err().contains("/model"));
        assert!(parse("/").is_err());
    }
}
