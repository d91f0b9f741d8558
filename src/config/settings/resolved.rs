//! What the layers say together: defaults, the user's file, a profile in it, a
//! trusted project's file, variables, flags; of a setting the last counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::table::{SETTINGS, Setting};
use super::value::{Kind, Switch, Value};
use crate::config::{ConfigError, Document, Entry};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    User { line: usize },
    Profile { name: String, line: usize },
    Project { line: usize },
    Environment { variable: String },
    Flag,
}

/// What one layer says about a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// As it is shown.
    pub text: String,
    pub origin: Origin,
}

/// The layers.
pub struct Sources<'a> {
    /// The user's file, and what it says.
    pub user: (&'a Path, &'a Document),
    /// A trusted project's file.
    pub project: Option<&'a Document>,
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    pub flags: Vec<(&'static str, Value)>,
}

/// What holds.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// Of each setting, what layers say, the one that counts last. Rules have no
    /// such one: they tighten each other.
    contributions: BTreeMap<&'static str, Vec<Contribution>>,
}

/// What a model was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// Typed or in a variable: a folder, relative ones too, or else a name.
    Typed(String),
    /// In a file, which means the same wherever cairn is started: an absolute
    /// folder, or else a name.
    Written(String),
}

impl Sources<'_> {
    /// What holds, and what of it can't be used.
    pub fn resolve(self) -> (Resolved, Vec<ConfigError>) {
        let mut found = Resolved::default();
        let mut problems = Vec::new();
        let (place, user) = self.user;
        found.file(&user.entries, |line| Origin::User { line });
        found.rules(user, |line| Origin::User { line });
        let (variables, wrong) = self.variables();
        problems.extend(wrong);
        let flags = self
            .flags
            .into_iter()
            .map(|(key, value)| (key, value, Origin::Flag));
        let above: Vec<_> = variables.into_iter().chain(flags).collect();

        let chosen = above.iter().rev().find(|(key, ..)| *key == PROFILE);
        let chosen = chosen.map(|(_, value, _)| value.to_string());
        let chosen = chosen.or_else(|| found.text(PROFILE).map(str::to_owned));
        if let Some(name) = chosen {
            match user.profiles.get(&name) {
                Some(entries) => found.file(entries, |line| Origin::Profile {
                    name: name.clone(),
                    line,
                }),
                // A file that can't be read may have it.
                None if !user.problems.is_empty() => {}
                None => problems.push(ConfigError::new(place, no_profile(&name, user))),
            }
        }
        if let Some(project) = self.project {
            found.file(&project.entries, |line| Origin::Project { line });
            found.rules(project, |line| Origin::Project { line });
        }
        for (key, value, origin) in above {
            found.say(key, value, origin);
        }
        (found, problems)
    }

    fn variables(&self) -> (Vec<(&'static str, Value, Origin)>, Vec<ConfigError>) {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        for setting in &SETTINGS {
            let Some(variable) = setting.variable() else {
                continue;
            };
            let Some(text) = (self.variable)(&variable).filter(|text| !text.is_empty()) else {
                continue;
            };
            let parsed = match text.to_str() {
                Some(text) => setting
                    .kind
                    .parse(text)
                    .map_err(|why| format!("{why}, not {text}")),
                None => Err("is not UTF-8 text".to_owned()),
            };
            match parsed {
                Ok(value) => found.push((setting.key, value, Origin::Environment { variable })),
                Err(why) => problems.push(ConfigError::new(variable, why)),
            }
        }
        (found, problems)
    }
}

const PROFILE: &str = "profile";

fn no_profile(name: &str, user: &Document) -> String {
    let names: Vec<&str> = user.profiles.keys().map(String::as_str).collect();
    match names.is_empty() {
        true => format!("there is no profile {name}: the file has no table [profiles.{name}]"),
        false => format!("there is no profile {name}, but {}", names.join(", ")),
    }
}

impl Resolved {
    fn file(&mut self, entries: &[Entry], origin: impl Fn(usize) -> Origin) {
        for entry in entries {
            self.say(entry.key, entry.value.clone(), origin(entry.line));
        }
    }

    fn rules(&mut self, document: &Document, origin: impl Fn(usize) -> Origin) {
        for (key, text, line) in &document.rules {
            let contribution = Contribution {
                text: text.clone(),
                origin: origin(*line),
            };
            self.contributions
                .entry(*key)
                .or_default()
                .push(contribution);
        }
    }

    fn say(&mut self, key: &'static str, value: Value, origin: Origin) {
        let contribution = Contribution {
            text: value.to_string(),
            origin: origin.clone(),
        };
        self.contributions
            .entry(key)
            .or_default()
            .push(contribution);
        self.values.insert(key, (value, origin));
    }

    /// What layers say about a setting; of what is not a rule the last one counts.
    pub fn contributions(&self, setting: &Setting) -> &[Contribution] {
        self.contributions
            .get(setting.key)
            .map_or(&[], Vec::as_slice)
    }

    /// What somebody chose; defaults are nobody's choice.
    pub fn chosen(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|(value, _)| value)
    }

    fn value(&self, key: &str) -> Option<Value> {
        let default = || Setting::find(key)?.default_value();
        self.chosen(key).cloned().or_else(default)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.chosen(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn whole(&self, key: &str) -> Option<u64> {
        match self.chosen(key)? {
            Value::Whole(number) => Some(*number),
            _ => None,
        }
    }

    fn count(&self, key: &str) -> Option<usize> {
        self.whole(key)
            .and_then(|number| usize::try_from(number).ok())
    }

    fn real(&self, key: &str) -> Option<f32> {
        match self.chosen(key)? {
            Value::Real(number) => Some(*number as f32),
            _ => None,
        }
    }

    /// Of a switch that has a default.
    fn switch(&self, key: &str) -> Switch {
        match self.value(key) {
            Some(Value::Switch(switch)) => switch,
            _ => Switch::On,
        }
    }

    pub fn profile(&self) -> Option<&str> {
        self.text(PROFILE)
    }

    /// `None` is the demo.
    pub fn model(&self) -> Option<Model> {
        let (value, origin) = self.values.get("model")?;
        let text = value.to_string();
        Some(match origin {
            Origin::Flag | Origin::Environment { .. } | Origin::Default => Model::Typed(text),
            Origin::User { .. } | Origin::Profile { .. } | Origin::Project { .. } => {
                Model::Written(text)
            }
        })
    }

    pub fn backend(&self) -> Option<&str> {
        self.text("backend")
    }

    pub fn threads(&self) -> Option<usize> {
        self.count("threads")
    }

    /// `None` leaves it to the bundle.
    pub fn thinking(&self) -> Option<Switch> {
        match self.chosen("thinking")? {
            Value::Switch(switch) => Some(*switch),
            _ => None,
        }
    }

    pub fn seed(&self) -> Option<u64> {
        self.whole("seed")
    }

    pub fn temperature(&self) -> Option<f32> {
        self.real("temperature")
    }

    pub fn top_p(&self) -> Option<f32> {
        self.real("top_p")
    }

    pub fn top_k(&self) -> Option<usize> {
        self.count("top_k")
    }

    pub fn min_p(&self) -> Option<f32> {
        self.real("min_p")
    }

    pub fn max_tokens(&self) -> Option<usize> {
        self.count("max_tokens")
    }

    pub fn max_steps(&self) -> Option<usize> {
        self.count("max_steps")
    }

    pub fn output(&self) -> Option<&str> {
        self.text("output")
    }

    /// Whether caches are kept on disk.
    pub fn cache_enabled(&self) -> Switch {
        self.switch("cache.enabled")
    }

    /// Most bytes of caches on disk, where somebody chose.
    pub fn cache_limit(&self) -> Option<u64> {
        match self.chosen("cache.limit")? {
            Value::Size(bytes) => Some(*bytes),
            _ => None,
        }
    }

    /// Share of the context at which a conversation is summed up.
    pub fn compact_at(&self) -> f64 {
        match self.value("context.compact_at") {
            Some(Value::Real(share)) => share,
            _ => 1.0,
        }
    }

    /// Whether the model reads the workspace's AGENTS.md.
    pub fn memory(&self) -> Switch {
        self.switch("context.memory")
    }

    /// Whether tool calls are constrained by a grammar.
    pub fn grammar(&self) -> Switch {
        self.switch("grammar.enabled")
    }

    /// One of [`super::LEVELS`].
    pub fn log_level(&self) -> String {
        self.value("log.level")
            .map_or_else(|| "off".into(), |value| value.to_string())
    }

    /// One of [`super::THEMES`].
    pub fn theme(&self) -> String {
        self.value("tui.theme")
            .map_or_else(|| "auto".into(), |value| value.to_string())
    }

    /// Where bundles are looked for; `~` still stands for the home folder. `None`
    /// are the usual places.
    pub fn model_folders(&self) -> Option<&[PathBuf]> {
        match self.chosen("models.folders")? {
            Value::Folders(folders) => Some(folders),
            _ => None,
        }
    }
}

impl Origin {
    /// Which layer, in a word.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::User { .. } => "user",
            Self::Profile { .. } => "profile",
            Self::Project { .. } => "project",
            Self::Environment { .. } => "environment",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.layer())?;
        match self {
            Self::Default | Self::Flag => Ok(()),
            Self::User { line } | Self::Project { line } => write!(f, ", line {line}"),
            Self::Profile { name, line } => write!(f, " {name}, line {line}"),
            Self::Environment { variable } => write!(f, ", {variable}"),
        }
    }
}

/// What a flag says, as the table's kind reads it.
pub fn flag_value(key: &str, text: &str) -> Option<Value> {
    let setting = Setting::find(key)?;
    match setting.kind {
        Kind::Model => Some(Value::Text(text.to_owned())),
        kind => kind.parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Author;

    const USER: &str = "temperature = 0.1\ntop_p = 0.1\ntop_k = 1\nseed = 1\nmax_steps = 1\n\
        model = \"a\"\n[profiles.p]\ntop_p = 0.2\ntop_k = 2\nseed = 2\nmax_steps = 2\n";
    const PROJECT: &str = "top_k = 3\nseed = 3\nmax_steps = 3\n[permissions]\nrun = \"deny\"\n";

    fn resolve(
        user: &str,
        variables: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> (Resolved, Vec<String>) {
        let place = Path::new("c.toml");
        let user = Document::parse(user, place, Author::User);
        let project = Document::parse(PROJECT, place, Author::Project);
        let sources = Sources {
            user: (place, &user),
            project: Some(&project),
            variable: &|name| {
                let found = variables.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| value.into())
            },
            flags: flags
                .iter()
                .filter_map(|(key, text)| Some((*key, flag_value(key, text)?)))
                .collect(),
        };
        let (resolved, problems) = sources.resolve();
        (resolved, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_layer_beats_those_before_it() {
        let variables = [
            ("CAIRN_SEED", "4"),
            ("CAIRN_MAX_STEPS", "4"),
            ("CAIRN_MIN_P", ""),
        ];
        let flags = [("max_steps", "5"), ("profile", "p")];
        let (found, problems) = resolve(USER, &variables, &flags);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(found.temperature(), Some(0.1));
        assert_eq!(found.top_p(), Some(0.2));
        assert_eq!(found.top_k(), Some(3));
        assert_eq!(found.seed(), Some(4));
        assert_eq!(found.max_steps(), Some(5));
        assert_eq!((found.min_p(), found.max_tokens()), (None, None));
        let layers: Vec<&str> = found
            .contributions(Setting::find("max_steps").unwrap())
            .iter()
            .map(|one| one.origin.layer())
            .collect();
        assert_eq!(
            layers,
            ["user", "profile", "project", "environment", "flag"]
        );
        let rule = found.contributions(Setting::find("permissions.run").unwrap());
        assert_eq!(
            (rule[0].text.as_str(), &rule[0].origin),
            ("\"deny\"", &Origin::Project { line: 5 })
        );
    }

    #[test]
    fn a_profile_is_chosen_by_file_variable_or_flag() {
        let text = format!("profile = \"p\"\n{USER}[profiles.q]\ntop_p = 0.3\n");
        let top_p = |variables: &[_], flags: &[_]| resolve(&text, variables, flags).0.top_p();
        assert_eq!(top_p(&[], &[]), Some(0.2));
        assert_eq!(top_p(&[("CAIRN_PROFILE", "q")], &[]), Some(0.3));
        assert_eq!(
            top_p(&[("CAIRN_PROFILE", "q")], &[("profile", "p")]),
            Some(0.2)
        );
        let (_, problems) = resolve(&text, &[], &[("profile", "r")]);
        assert_eq!(problems, ["c.toml: there is no profile r, but p, q"]);
    }

    #[test]
    fn a_variable_that_does_not_fit_is_named() {
        let (found, problems) = resolve("", &[("CAIRN_TOP_P", "2")], &[]);
        assert_eq!(
            problems,
            ["CAIRN_TOP_P: must be above 0 and at most 1, not 2"]
        );
        assert_eq!(found.top_p(), None);
    }

    #[test]
    fn every_setting_has_its_accessor() {
        let (found, _) = resolve("", &[], &[]);
        assert_eq!(found.cache_enabled(), Switch::On);
        assert_eq!((found.memory(), found.grammar()), (Switch::On, Switch::On));
        assert_eq!(
            (found.compact_at(), found.log_level().as_str()),
            (0.8, "info")
        );
        assert_eq!((found.cache_limit(), found.model()), (None, None));
        assert_eq!(found.theme(), "auto");
        let text = "model = \"m\"\nbackend = \"cpu\"\nthreads = 2\nthinking = \"off\"\n\
            output = \"jsonl\"\nmax_tokens = 9\nmin_p = 0.5\ncache = { enabled = false, limit = 7 }\n\
            context = { compact_at = 0.5, memory = false }\ngrammar.enabled = false\n\
            log.level = \"off\"\nmodels.folders = [\"~/x\"]\ntui.theme = \"light\"\n";
        let (found, problems) = resolve(text, &[], &[]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(found.model(), Some(Model::Written("m".into())));
        assert_eq!((found.backend(), found.threads()), (Some("cpu"), Some(2)));
        assert_eq!(
            (found.thinking(), found.output()),
            (Some(Switch::Off), Some("jsonl"))
        );
        assert_eq!((found.max_tokens(), found.min_p()), (Some(9), Some(0.5)));
        assert_eq!(
            (found.cache_enabled(), found.cache_limit()),
            (Switch::Off, Some(7))
        );
        assert_eq!((found.compact_at(), found.memory()), (0.5, Switch::Off));
        assert_eq!(
            (found.grammar(), found.log_level().as_str()),
            (Switch::Off, "off")
        );
        assert_eq!(found.model_folders(), Some(&[PathBuf::from("~/x")][..]));
        assert_eq!(found.theme(), "light");
        let (found, _) = resolve("", &[("CAIRN_MODEL", "m")], &[]);
        assert_eq!(found.model(), Some(Model::Typed("m".into())));
    }
}
