//! Every setting there is, in one table: files, variables, `cairn config`, the
//! README and the man page are read from it.

use super::value::{Bound, Kind, Value};

pub struct Setting {
    /// As in a file; dots lead into tables.
    pub key: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub who: Who,
    pub flag: Option<&'static str>,
    pub help: &'static str,
}

/// What holds where nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// As [`Kind::parse`] reads it.
    Value(&'static str),
    /// In words, where it depends on something.
    Words(&'static str),
}

/// Which files may say it; variables and flags are the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The user, outside profiles.
    User,
    /// The user and the user's profiles.
    Profiles,
    /// These, and a project that the user trusts: it can do no harm.
    Projects,
    /// The user, outside profiles; a trusted project can tighten it.
    Tightened,
}

const COUNT: Kind = Kind::Whole {
    least: 1,
    most: u32::MAX as u64,
};

pub const THEMES: [&str; 3] = ["auto", "dark", "light"];
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub const SETTINGS: [Setting; 27] = [
    Setting {
        key: "profile",
        kind: Kind::Name,
        default: Default::Words("none"),
        who: Who::User,
        flag: Some("--profile"),
        help: "which of the [profiles.NAME] tables counts",
    },
    Setting {
        key: "model",
        kind: Kind::Model,
        default: Default::Words("the built-in demo"),
        who: Who::Profiles,
        flag: Some("--model"),
        help: "the bundle to run: a folder, or a name that `cairn models` lists",
    },
    Setting {
        key: "backend",
        kind: Kind::Choice(&["cpu", "mlx"]),
        default: Default::Words("mlx on Apple Silicon, else cpu"),
        who: Who::Profiles,
        flag: Some("--backend"),
        help: "what to compute on",
    },
    Setting {
        key: "threads",
        kind: Kind::Whole {
            least: 1,
            most: 256,
        },
        default: Default::Words("one per core"),
        who: Who::Profiles,
        flag: Some("--threads"),
        help: "threads to compute with",
    },
    Setting {
        key: "thinking",
        kind: Kind::Switch,
        default: Default::Words("by bundle"),
        who: Who::Projects,
        flag: Some("--thinking"),
        help: "let the model reason before it answers",
    },
    Setting {
        key: "seed",
        kind: Kind::Whole {
            least: 0,
            most: u64::MAX,
        },
        default: Default::Words("drawn, and reported"),
        who: Who::Projects,
        flag: Some("--seed"),
        help: "seed of the sampler",
    },
    Setting {
        key: "temperature",
        kind: Kind::Real {
            least: Bound::Including(0.0),
            most: Bound::None,
        },
        default: Default::Words("by bundle and thinking"),
        who: Who::Projects,
        flag: Some("--temperature"),
        help: "0 takes the most likely token",
    },
    Setting {
        key: "top_p",
        kind: Kind::Real {
            least: Bound::Excluding(0.0),
            most: Bound::Including(1.0),
        },
        default: Default::Words("by bundle"),
        who: Who::Projects,
        flag: Some("--top-p"),
        help: "sample from the most likely tokens that add up to this; 1 is off",
    },
    Setting {
        key: "top_k",
        kind: Kind::Whole {
            least: 0,
            most: u32::MAX as u64,
        },
        default: Default::Value("0"),
        who: Who::Projects,
        flag: Some("--top-k"),
        help: "sample from so many of the most likely tokens; 0 is off",
    },
    Setting {
        key: "min_p",
        kind: Kind::Real {
            least: Bound::Including(0.0),
            most: Bound::Excluding(1.0),
        },
        default: Default::Value("0"),
        who: Who::Projects,
        flag: Some("--min-p"),
        help: "drop tokens less likely than this times the most likely; 0 is off",
    },
    Setting {
        key: "max_tokens",
        kind: COUNT,
        default: Default::Value("32768"),
        who: Who::Projects,
        flag: Some("--max-tokens"),
        help: "most tokens the model may write in one turn",
    },
    Setting {
        key: "max_steps",
        kind: COUNT,
        default: Default::Value("24"),
        who: Who::Projects,
        flag: Some("--max-steps"),
        help: "most answers of the model (each may call tools) in one turn",
    },
    Setting {
        key: "output",
        kind: Kind::Choice(&["text", "jsonl"]),
        default: Default::Value("text"),
        who: Who::Profiles,
        flag: Some("--output"),
        help: "text for people, or one JSON object per line",
    },
    Setting {
        key: "cache.enabled",
        kind: Kind::Switch,
        default: Default::Value("on"),
        who: Who::Profiles,
        flag: Some("--cache"),
        help: "keep what the model has read on disk, for the next start",
    },
    Setting {
        key: "cache.limit",
        kind: Kind::Size,
        default: Default::Words("20 GB, or 10 percent of what is free if that is less"),
        who: Who::Profiles,
        flag: None,
        help: "most bytes of it",
    },
    Setting {
        key: "context.compact_at",
        kind: Kind::Real {
            least: Bound::Including(0.1),
            most: Bound::Including(1.0),
        },
        default: Default::Value("0.8"),
        who: Who::Projects,
        flag: None,
        help: "share of the context at which a conversation is summed up",
    },
    Setting {
        key: "context.memory",
        kind: Kind::Switch,
        default: Default::Value("on"),
        who: Who::Projects,
        flag: Some("--memory"),
        help: "let the model read the workspace's AGENTS.md",
    },
    Setting {
        key: "grammar.enabled",
        kind: Kind::Switch,
        default: Default::Value("on"),
        who: Who::Profiles,
        flag: Some("--grammar"),
        help: "hold the model to tool calls that can be read",
    },
    Setting {
        key: "log.level",
        kind: Kind::Choice(&LEVELS),
        default: Default::Value("info"),
        who: Who::Profiles,
        flag: Some("--log-level"),
        help: "how much is written to the log file",
    },
    Setting {
        key: "models.folders",
        kind: Kind::Folders,
        default: Default::Words("`cairn/models` among your data, and ~/models"),
        who: Who::Profiles,
        flag: None,
        help: "folders to look for bundles in, besides the hub's cache",
    },
    Setting {
        key: "tui.theme",
        kind: Kind::Choice(&THEMES),
        default: Default::Value("auto"),
        who: Who::Profiles,
        flag: None,
        help: "colours for a dark or a light background; auto goes by COLORFGBG",
    },
    Setting {
        key: "sandbox.mode",
        kind: Kind::Policy,
        default: Default::Value("workspace-write"),
        who: Who::Tightened,
        flag: Some("--mode"),
        help: "how far tools and commands reach: read-only or workspace-write",
    },
    Setting {
        key: "sandbox.network",
        kind: Kind::Policy,
        default: Default::Value("off"),
        who: Who::Tightened,
        flag: Some("--net"),
        help: "what of the network commands reach",
    },
    Setting {
        key: "permissions.write",
        kind: Kind::Policy,
        default: Default::Value("ask"),
        who: Who::Tightened,
        flag: None,
        help: "whether changes of files are done, asked about or refused: allow, ask, deny",
    },
    Setting {
        key: "permissions.run",
        kind: Kind::Policy,
        default: Default::Value("ask"),
        who: Who::Tightened,
        flag: None,
        help: "the same for commands",
    },
    Setting {
        key: "permissions.allow",
        kind: Kind::Policy,
        default: Default::Words("none"),
        who: Who::User,
        flag: Some("--allow"),
        help: "rules of what is done without a question",
    },
    Setting {
        key: "permissions.deny",
        kind: Kind::Policy,
        default: Default::Words("none"),
        who: Who::Tightened,
        flag: Some("--deny"),
        help: "rules of what is refused without a question",
    },
];

impl Setting {
    /// The setting of this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The variable that says it; rules are not for variables.
    pub fn variable(&self) -> Option<String> {
        let name = || format!("CAIRN_{}", self.key.replace('.', "_").to_ascii_uppercase());
        (self.kind != Kind::Policy).then(name)
    }

    /// What holds where nobody says anything, if it is a value.
    pub fn default_value(&self) -> Option<Value> {
        match self.default {
            Default::Value(text) => self.kind.parse(text).ok(),
            Default::Words(_) => None,
        }
    }

    /// The same for people.
    pub fn default_text(&self) -> &'static str {
        match self.default {
            Default::Value(text) | Default::Words(text) => text,
        }
    }
}

/// The names of all tables that keys lie in.
pub fn tables() -> impl Iterator<Item = &'static str> {
    let tables = SETTINGS
        .iter()
        .filter_map(|setting| setting.key.split_once('.'));
    tables.map(|(table, _)| table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            let key = setting.key;
            assert!(SETTINGS[..at].iter().all(|other| other.key != key), "{key}");
            assert!(key.split('.').count() <= 2, "{key}");
            if setting.kind != Kind::Policy {
                let by_value = matches!(setting.default, Default::Value(_));
                assert_eq!(setting.default_value().is_some(), by_value, "{key}");
            }
            let letters = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
            assert!(key.chars().all(letters), "{key}");
        }
        let limit = Setting::find("cache.limit").unwrap();
        assert_eq!(limit.variable().as_deref(), Some("CAIRN_CACHE_LIMIT"));
        assert_eq!(Setting::find("permissions.deny").unwrap().variable(), None);
    }
}
