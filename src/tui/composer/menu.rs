//! The list above the composer while a file or a command is typed.

use std::sync::Arc;

use super::mention;
use crate::agent::slash::COMMANDS;
use crate::sandbox::sanitize;
use crate::tui::overlay::picker::{Details, Keep, Picker};
use crate::tui::text::width;

/// Columns of a command's name in the list.
const MOST_NAME: usize = 16;

/// What is chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Files,
    Commands,
}

/// Whether a command can be sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Arguments,
}

/// A command that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Without the slash.
    pub name: String,
    /// Arguments as help shows them.
    pub args: String,
    pub help: String,
    pub needs: Needs,
}

/// The built-in commands, and the user's own after them.
pub fn offers(own: &[(String, String)]) -> Vec<Offer> {
    let built_in = COMMANDS.iter().map(|command| Offer {
        name: command.name.to_owned(),
        args: command.args.to_owned(),
        help: command.help.to_owned(),
        needs: match command.args.is_empty() || command.args.starts_with('[') {
            true => Needs::Nothing,
            false => Needs::Arguments,
        },
    });
    let own = own.iter().map(|(name, description)| Offer {
        name: name.clone(),
        args: String::new(),
        help: sanitize::for_line(description).into_owned(),
        needs: Needs::Nothing,
    });
    built_in.chain(own).collect()
}

/// An open list.
pub struct Menu {
    pub kind: Kind,
    pub picker: Picker,
    /// What was typed of it, to be replaced.
    pub typed: String,
}

/// What the text before the cursor asks to be chosen, and what was typed of it.
/// Commands stand at the beginning of a text of one line.
pub fn wanted(before: &str, lines: usize) -> Option<(Kind, &str)> {
    if lines == 1
        && let Some(name) = mention::command(before)
    {
        return Some((Kind::Commands, name));
    }
    mention::mention(before).map(|path| (Kind::Files, path))
}

impl Menu {
    pub fn new(kind: Kind, items: Arc<[String]>) -> Self {
        let picker = match kind {
            Kind::Files => Picker::new(items, Keep::End, Details::Right),
            Kind::Commands => {
                let widest = items.iter().map(|name| width(name)).max();
                let column = widest.unwrap_or(0).min(MOST_NAME);
                Picker::new(items, Keep::Start, Details::Column(column))
            }
        };
        Self {
            kind,
            picker,
            typed: String::new(),
        }
    }

    pub fn filter(&mut self, typed: &str) {
        self.typed = typed.to_owned();
        self.picker.set_filter(typed.trim_start_matches('"'));
    }

    /// What is chosen.
    pub fn chosen(&self) -> Option<&str> {
        self.picker.item(self.picker.selected()?)
    }
    /// What is chosen as it is written, what follows it included. `None` where it can't
    /// be.
    pub fn written(&self) -> Option<String> {
        let chosen = self.chosen()?;
        match self.kind {
            Kind::Commands => Some(format!("{chosen} ")),
            // In a folder one goes on.
            Kind::Files if chosen.ends_with('/') => mention::written(chosen),
            Kind::Files => mention::written(chosen).map(|path| format!("{path} ")),
        }
    }
}
