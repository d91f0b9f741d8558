//! All that can be pressed and said, from the tables: for the help overlay, the palette,
//! the manual and the README.

use std::fmt::Write;

use super::app::Pane;
use super::global::{self, Act};
use super::keys::{Binding, Key, rows};
use super::overlay::help::{Section, merged};
use super::overlay::palette;
use super::{composer, overlay, trace, transcript};
use crate::agent::slash::{Action, COMMANDS};

/// Every table of keys with its place.
fn tables() -> Vec<Section> {
    let section = |title: &str, rows: Vec<(String, &'static str)>| (title.to_owned(), rows);
    let mut tables = vec![
        section("everywhere", rows(global::KEYS)),
        section("message", rows(composer::KEYS)),
        section("lists above the message", rows(composer::MENU_KEYS)),
        section("search in what was sent", rows(composer::SEARCH_KEYS)),
        section("conversation", rows(transcript::KEYS)),
    ];
    let reasoning = trace::help().into_iter();
    tables.extend(reasoning.map(|(title, rows)| section(&title.to_lowercase(), rows)));
    tables.extend(overlay::sections());
    tables
}

/// Keys by place.
pub fn keys() -> Vec<Section> {
    merged(tables())
}

/// Commands, then keys by place.
pub fn sections() -> Vec<Section> {
    let command = |name: &str, args: &str| format!("/{name} {args}").trim_end().to_owned();
    let commands = COMMANDS
        .iter()
        .map(|one| (command(one.name, one.args), one.help));
    let commands = ("commands".to_owned(), commands.collect());
    std::iter::once(commands).chain(keys()).collect()
}

/// The same for the README: a table that is folded away.
pub fn markdown() -> String {
    let mut text =
        "<details>\n<summary>All commands and keys</summary>\n\n| | |\n|---|---|\n".to_owned();
    let cell = |text: &str| text.replace('|', "\\|");
    for (place, rows) in sections() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "| **{place}** | |");
        for (keys, help) in rows {
            let _ = writeln!(text, "| `{}` | {} |", cell(&keys), cell(help));
        }
    }
    text + "\n</details>\n"
}

/// What the palette can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Command(Action),
    /// A key that works everywhere.
    Key(Act),
    Go(Pane),
    /// A key of a pane.
    Press(Pane, Key),
}

const PANES: [(Pane, &str); 3] = [
    (Pane::Composer, "message"),
    (Pane::Reasoning, "reasoning"),
    (Pane::Conversation, "conversation"),
];

fn all() -> Vec<(String, String, Entry)> {
    let commands = COMMANDS.iter().map(|command| {
        let label = format!("{} (/{} {})", command.help, command.name, command.args);
        (label, String::new(), Entry::Command(command.action))
    });
    let keys = global::KEYS.iter().map(|binding| {
        let label = binding.help.to_owned();
        (label, names(binding), Entry::Key(binding.action))
    });
    let panes = PANES.iter().flat_map(|&(pane, name)| {
        let go = (format!("to the {name}"), String::new(), Entry::Go(pane));
        let keys = match pane {
            Pane::Composer => pressed(pane, name, composer::KEYS),
            Pane::Reasoning => pressed(pane, name, trace::KEYS),
            Pane::Conversation => pressed(pane, name, transcript::KEYS),
        };
        std::iter::once(go).chain(keys)
    });
    commands.chain(keys).chain(panes).collect()
}

fn names<A>(binding: &Binding<A>) -> String {
    let names: Vec<String> = binding.keys.iter().map(|key| key.name()).collect();
    names.join(", ")
}

/// A pane's keys as entries.
fn pressed<A>(pane: Pane, name: &str, table: &[Binding<A>]) -> Vec<(String, String, Entry)> {
    let entry = |binding: &Binding<A>| {
        let key = binding.keys.first()?;
        let label = format!("{name}: {}", binding.help);
        Some((label, names(binding), Entry::Press(pane, *key)))
    };
    table.iter().filter_map(entry).collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use std::time::Instant;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::app::App;
    use crate::tui::driver::Place;
    use crate::tui::event::Event;
    use crate::tui::keys::bound;
    use crate::tui::text::highlight::Highlighter;
    use crate::tui::theme::Theme;

    /// Tables of keys that the source has in this folder.
    fn written(folder: &Path) -> usize {
        let files = std::fs::read_dir(folder).unwrap();
        let counts = files.map(|file| {
            let path = file.unwrap().path();
            if path.is_dir() {
                return written(&path);
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let begun = text.lines().map(|line| line.trim_start_matches("pub "));
            let tables =
                begun.filter(|line| line.starts_with("const ") && line.contains(": &[Binding<"));
            tables.count()
        });
        counts.sum()
    }

    #[test]
    fn help_has_every_table_of_keys() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(tables().len(), written(&source));
        let places: Vec<String> = keys().into_iter().map(|(place, _)| place).collect();
        let distinct: BTreeSet<&String> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "{places:?}");
        for (place, rows) in sections() {
            assert!(!rows.is_empty(), "{place}");
        }
    }

    /// What a pane's own table says is what its keys do there.
    #[test]
    fn no_key_that_works_everywhere_hides_one_of_a_pane() {
        let shadowed = composer::KEYS
            .iter()
            .flat_map(|one| one.keys)
            .find(|key| bound(global::KEYS, **key).is_some());
        assert_eq!(shadowed, None);
        // Those of the reasoning go before.
        let own = |key: Key| bound(trace::KEYS, key).is_some();
        let shared: Vec<&str> = { global::KEYS.iter() }
            .filter(|one| one.keys.iter().any(|key| own(*key)))
            .map(|one| one.help)
            .collect();
        assert_eq!(shared, ["a page up in the conversation", "a page down"]);
    }

    #[test]
    fn the_palette_has_every_command_key_and_pane() {
        let entries: Vec<Entry> = (0..entries().len()).filter_map(entry).collect();
        for command in COMMANDS {
            assert!(entries.contains(&Entry::Command(command.action)));
        }
        for binding in global::KEYS {
            assert!(entries.contains(&Entry::Key(binding.action)));
        }
        for (pane, _) in PANES {
            assert!(entries.contains(&Entry::Go(pane)));
        }
        for binding in trace::KEYS {
            assert!(entries.contains(&Entry::Press(Pane::Reasoning, binding.keys[0])));
        }
    }

    #[test]
    fn every_pane_is_reached_by_typing_its_name() {
        let now = Instant::now();
        for (columns, rows) in [(200, 60), (80, 24), (40, 12)] {
            let screen = Rect::new(0, 0, columns, rows);
            let surface = (Theme::Plain, Place::Alternate);
            let highlighter = Highlighter::new(|| {});
            let mut app = App::new(surface, "demo", Vec::new(), highlighter, now);
            app.arrange(screen, now);
            for (pane, name) in [PANES[1], PANES[2], PANES[0]] {
                let typed = format!("to the {name}");
                let typed = typed.chars().map(|c| KeyEvent::from(KeyCode::Char(c)));
                let palette = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::CONTROL);
                let keys = std::iter::once(palette).chain(typed);
                for key in keys.chain([KeyEvent::from(KeyCode::Enter)]) {
                    app.update(Event::Key(key), now);
                    app.arrange(screen, now);
                }
                assert_eq!(app.focus, pane, "{columns}");
                let area = match pane {
                    Pane::Composer => app.areas.composer,
                    Pane::Reasoning => app.areas.reasoning,
                    Pane::Conversation => app.areas.conversation,
                };
                assert!(!area.is_empty(), "{name} at {columns}");
            }
        }
    }
}
