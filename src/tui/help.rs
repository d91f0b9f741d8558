//! All that can be pressed and said, from the tables: for the help overlay, the palette
//! and the README.

use super::global::{self, Act};
use super::keys::rows;
use super::overlay::palette;
use super::{composer, overlay, trace, transcript};
use crate::agent::slash::{Action, COMMANDS};

/// A place, and its keys with what they do.
pub type Section = (String, Vec<(String, &'static str)>);

/// Keys by place.
pub fn sections() -> Vec<Section> {
    let section = |title: &str, rows: Vec<(String, &'static str)>| (title.to_owned(), rows);
    let mut sections = vec![
        section("everywhere", rows(global::KEYS)),
        section("message", rows(composer::KEYS)),
        section("lists above the message", rows(composer::MENU_KEYS)),
        section("search in what was sent", rows(composer::SEARCH_KEYS)),
        section("conversation", rows(transcript::KEYS)),
    ];
    let others = overlay::sections().into_iter();
    sections.extend(others);
    let reasoning = trace::help().into_iter();
    sections.extend(reasoning.map(|(title, rows)| section(&title.to_lowercase(), rows)));
    sections
}

/// What the palette can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Command(Action),
    Key(Act),
}

fn all() -> Vec<(String, String, Entry)> {
    let commands = COMMANDS.iter().map(|command| {
        let label = format!("{} (/{} {})", command.help, command.name, command.args);
        (label, String::new(), Entry::Command(command.action))
    });
    let keys = global::KEYS.iter().map(|binding| {
        let keys: Vec<String> = binding.keys.iter().map(|key| key.name()).collect();
        let label = binding.help.to_owned();
        (label, keys.join(", "), Entry::Key(binding.action))
    });
    commands.chain(keys).collect()
}

/// What the palette lists.
pub fn entries() -> Vec<palette::Entry> {
    let numbered = all().into_iter().enumerate();
    numbered
        .map(|(id, (label, keys, _))| palette::Entry { label, keys, id })
        .collect()
}

pub fn entry(number: usize) -> Option<Entry> {
    let (_, _, entry) = all().into_iter().nth(number)?;
    Some(entry)
}
