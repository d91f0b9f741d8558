//! The text of a file of settings, read whole: what it sets, and everything that is
//! wrong with it. A file with a fault is not used, but can still be shown.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::settings::{Kind, SETTINGS, Setting, Value, Who, nearest, tables};
use super::{ConfigError, Layer};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    User,
    Project,
}

/// One setting in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: &'static str,
    pub value: Value,
    pub line: usize,
}

/// What a file says; where it can't be understood, what is wrong.
#[derive(Debug, Default)]
pub struct Document {
    /// Rules of what may be done.
    pub layer: Layer,
    pub entries: Vec<Entry>,
    pub profiles: BTreeMap<String, Vec<Entry>>,
    /// Where each rule stands, and as it is written.
    pub rules: Vec<(&'static str, String, usize)>,
    pub problems: Vec<ConfigError>,
}

/// The table of profiles.
const PROFILES: &str = "profiles";
/// More would only scroll by.
const MOST_PROBLEMS: usize = 50;
/// Of a key in a message.
const MOST_KEY: usize = 60;

impl Document {
    /// `place` is named in what is wrong.
    pub fn parse(text: &str, place: &Path, author: Author) -> Self {
        let mut reader = Reader {
            text,
            place,
            author,
            found: Self::default(),
            policy: DeTable::new(),
        };
        match DeTable::parse(text) {
            Ok(root) => {
                let span = root.span();
                reader.top(root.into_inner());
                let policy = Spanned::new(span, std::mem::take(&mut reader.policy));
                match Layer::read(policy, text, place) {
                    Ok(layer) => reader.found.layer = layer,
                    Err(error) => reader.found.problems.push(error),
                }
            }
            Err(error) => {
                let byte = error.span().map(|span| span.start);
                let why = error.message().lines().next().unwrap_or_default();
                reader.problem(why, byte);
            }
        }
        let mut found = reader.found;
        // The parser sorts by name; people read from top to bottom.
        found.entries.sort_by_key(|entry| entry.line);
        for entries in found.profiles.values_mut() {
            entries.sort_by_key(|entry| entry.line);
        }
        found.rules.sort_by_key(|(.., line)| *line);
        found.problems.sort_by_key(|problem| problem.line);
        found
    }

    /// Itself, if there is nothing wrong with it.
    ///
    /// # Errors
    /// With the first thing that is.
    pub fn usable(mut self) -> Result<Self, ConfigError> {
        match self.problems.is_empty() {
            true => Ok(self),
            false => Err(self.problems.swap_remove(0)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    place: &'a Path,
    author: Author,
    found: Document,
    /// `[sandbox]` and `[permissions]`, which are read by their own types.
    policy: DeTable<'a>,
}

type Key<'a> = Spanned<DeString<'a>>;

impl<'a> Reader<'a> {
    fn top(&mut self, root: DeTable<'a>) {
        let mut entries = Vec::new();
        for (key, value) in root {
            match (key.get_ref().as_ref(), value.get_ref()) {
                (PROFILES, DeValue::Table(_)) if self.author == Author::User => {
                    if let DeValue::Table(profiles) = value.into_inner() {
                        self.profiles(profiles);
                    }
                }
                (PROFILES, _) => {
                    let why = match self.author {
                        Author::Project => "profiles are the user's alone",
                        Author::User => "profiles is a table of tables: [profiles.NAME]",
                    };
                    self.problem(why, Some(key.span().start));
                }
                ("profile", DeValue::Table(_)) => {
                    let why = "profile is the name of a profile; a profile itself is a table \
                        [profiles.NAME]";
                    self.problem(why, Some(key.span().start));
                }
                (name, DeValue::Table(_)) if tables().any(|table| table == name) => {
                    self.table(key, value, &mut entries, Part::Top);
                }
                _ => self.entry("", key, value, &mut entries, Part::Top),
            }
        }
        self.found.entries = entries;
    }

    fn profiles(&mut self, profiles: DeTable<'a>) {
        for (name, value) in profiles {
            let mut entries = Vec::new();
            let DeValue::Table(settings) = value.into_inner() else {
                let why = "profiles are tables: [profiles.NAME]";
                self.problem(why, Some(name.span().start));
                continue;
            };
            for (key, value) in settings {
                let is_table = tables().any(|table| table == key.get_ref().as_ref());
                match value.get_ref() {
                    DeValue::Table(_) if is_table => {
                        self.table(key, value, &mut entries, Part::Profile);
                    }
                    _ => self.entry("", key, value, &mut entries, Part::Profile),
                }
            }
            let name = name.into_inner().into_owned();
            self.found.profiles.insert(name, entries);
        }
    }

    fn table(
        &mut self,
        name: Key<'a>,
        value: Spanned<DeValue<'a>>,
        entries: &mut Vec<Entry>,
        part: Part,
    ) {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            return;
        };
        let mut rules = DeTable::new();
        for (key, value) in table {
            let full = format!("{}.{}", name.get_ref(), key.get_ref());
            let setting = Setting::find(&full);
            match setting.filter(|setting| setting.kind == Kind::Policy) {
                Some(setting) if part == Part::Top => {
                    let line = self.line(key.span().start);
                    let written = self.text.get(value.span()).unwrap_or_default();
                    let row = (setting.key, shown(written), line);
                    self.found.rules.push(row);
                    rules.insert(key, value);
                }
                _ => self.entry(name.get_ref(), key, value, entries, part),
            }
        }
        if !rules.is_empty() {
            self.policy
                .insert(name, Spanned::new(span, DeValue::Table(rules)));
        }
    }

    fn entry(
        &mut self,
        table: &str,
        key: Key<'a>,
        value: Spanned<DeValue<'a>>,
        entries: &mut Vec<Entry>,
        part: Part,
    ) {
        let full = match table {
            "" => key.get_ref().to_string(),
            table => format!("{table}.{}", key.get_ref()),
        };
        let at = key.span().start;
        let Some(setting) = Setting::find(&full) else {
            self.unknown(&full, at);
            return;
        };
        if let Some(why) = self.forbidden(setting, part) {
            self.problem(&format!("{full} {why}"), Some(at));
            return;
        }
        match setting.kind.read(value.get_ref()) {
            Ok(value) => entries.push(Entry {
                key: setting.key,
                value,
                line: self.line(at),
            }),
            Err(why) => {
                let written = self.text.get(value.span()).unwrap_or_default();
                let why = format!("{full} {why}, not {}", shown(written));
                self.problem(&why, Some(value.span().start));
            }
        }
    }

    fn forbidden(&self, setting: &Setting, part: Part) -> Option<&'static str> {
        match (self.author, part, setting.who) {
            (Author::Project, _, Who::User | Who::Profiles) => {
                Some("can't be set by a project: it is the user's alone")
            }
            (Author::User, Part::Profile, Who::User | Who::Tightened) => {
                Some("can't be set in a profile: it holds for all of them")
            }
            _ => None,
        }
    }

    fn unknown(&mut self, full: &str, at: usize) {
        let known = SETTINGS.iter().map(|setting| setting.key);
        let known = known.chain(tables()).chain([PROFILES]);
        let hint = match nearest(full, known) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; `cairn config show` lists what there is".to_owned(),
        };
        self.problem(&format!("unknown key {}{hint}", shown(full)), Some(at));
    }

    fn problem(&mut self, why: &str, byte: Option<usize>) {
        if self.found.problems.len() < MOST_PROBLEMS {
            let error = ConfigError::new(self.place, why).at(self.text, byte);
            self.found.problems.push(error);
        }
    }

    fn line(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or_default();
        before.matches('\n').count() + 1
    }
}

/// Which part of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Top,
    Profile,
}

/// Text of a file in one short line.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST_KEY) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Switch;
    use proptest::prelude::*;

    fn parse(text: &str, author: Author) -> Result<Document, String> {
        let document = Document::parse(text, Path::new("c.toml"), author);
        document.usable().map_err(|error| error.to_string())
    }

    fn problems(text: &str, author: Author) -> Vec<String> {
        let document = Document::parse(text, Path::new("c.toml"), author);
        document.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn settings_profiles_and_rules_are_told_apart() {
        let text = "profile = \"fast\"\ntemperature = 1\ncache.limit = \"1 GB\"\n\n\
            [context]\nmemory = false\n[profiles.fast]\nthreads = 2\nlog.level = \"debug\"\n\
            [sandbox]\nmode = \"read-only\"\n";
        let document = parse(text, Author::User).unwrap();
        let entry = |key, value, line| Entry { key, value, line };
        assert_eq!(
            document.entries,
            [
                entry("profile", Value::Text("fast".into()), 1),
                entry("temperature", Value::Real(1.0), 2),
                entry("cache.limit", Value::Size(1_000_000_000), 3),
                entry("context.memory", Value::Switch(Switch::Off), 6),
            ]
        );
        let fast = &document.profiles["fast"];
        assert_eq!(fast[0], entry("threads", Value::Whole(2), 8));
        assert_eq!(fast[1], entry("log.level", Value::Text("debug".into()), 9));
        let rule = ("sandbox.mode", "\"read-only\"".to_owned(), 11);
        assert_eq!(document.rules, [rule]);
        assert_eq!(document.layer.mode, Some(crate::sandbox::Mode::ReadOnly));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_was_meant() {
        for (text, why) in [
            (
                "\ntemprature = 1",
                "c.toml:2: unknown key temprature; did you mean temperature?",
            ),
            (
                "[cahce]\nlimit = 1",
                "c.toml:1: unknown key cahce; did you mean cache?",
            ),
            (
                "[cache]\nlimmit = 1",
                "c.toml:2: unknown key cache.limmit; did you mean cache.limit?",
            ),
            (
                "colour = 1",
                "c.toml:1: unknown key colour; `cairn config show` lists what there is",
            ),
            (
                "threads = 0",
                "c.toml:1: threads must be a whole number of at least 1 and at most 256, not 0",
            ),
            (
                "temperature = \"hot\"",
                "c.toml:1: temperature must be a number of at least 0, not \"hot\"",
            ),
            (
                "output = \"xml\"",
                "c.toml:1: output must be text or jsonl, not \"xml\"",
            ),
            ("cache = 3", "c.toml:1: unknown key cache"),
            ("x = ", "c.toml:1: "),
            (
                "[profile.fast]",
                "c.toml:1: profile is the name of a profile",
            ),
            ("profiles = 1", "c.toml:1: profiles is a table of tables"),
            (
                "[profiles.a.sandbox]\nmode = \"x\"",
                "c.toml:2: sandbox.mode can't be set in a profile",
            ),
            (
                "[profiles.a]\nprofile = \"b\"",
                "c.toml:2: profile can't be set in a profile",
            ),
            (
                "[models]\nfolders = [\"here\"]",
                "c.toml:2: models.folders must be a list of folders",
            ),
        ] {
            let error = parse(text, Author::User).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let all = problems("a = 1\nseed = -1\n[sandbox]\nmode = \"x\"", Author::User);
        assert_eq!(all.len(), 3, "{all:?}");
    }

    #[test]
    fn a_project_sets_only_what_is_harmless() {
        let harmless = "thinking = true\nseed = 1\ntop_k = 3\nmax_steps = 2\n\
            context.compact_at = 0.5\n[permissions]\nrun = \"deny\"";
        assert_eq!(parse(harmless, Author::Project).unwrap().entries.len(), 5);
        for key in [
            "model = \"x\"",
            "backend = \"cpu\"",
            "threads = 1",
            "output = \"text\"",
            "profile = \"x\"",
            "cache.enabled = false",
            "cache.limit = 1",
            "grammar.enabled = false",
            "log.level = \"off\"",
            "models.folders = []",
        ] {
            let error = parse(key, Author::Project).unwrap_err();
            assert!(
                error.contains("can't be set by a project"),
                "{key}: {error}"
            );
            parse(key, Author::User).unwrap();
        }
        let error = parse("[profiles.x]", Author::Project).unwrap_err();
        assert!(error.contains("the user's alone"), "{error}");
    }

    proptest! {
        /// Any text is read or refused, in lines.
        #[test]
        fn any_text_is_read_or_refused(
            text in proptest::collection::vec(prop_oneof![
                Just("[".to_owned()), Just("]".to_owned()), Just("=".to_owned()),
                Just("\n".to_owned()), Just("profiles.a".to_owned()), Just("cache".to_owned()),
                Just(".limit".to_owned()), Just("model".to_owned()), Just("\"".to_owned()),
                Just("permissions".to_owned()), Just("allow".to_owned()), Just("{".to_owned()),
                "\\PC{0,6}",
            ], 0..24),
        ) {
            let text = text.concat();
            for author in [Author::User, Author::Project] {
                for problem in problems(&text, author) {
                    prop_assert!(problem.starts_with("c.toml"), "{problem}");
                }
            }
        }
    }
}
