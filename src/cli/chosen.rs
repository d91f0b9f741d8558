//! What was typed together with what is written down: the settings of a run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::args::{BackendName, Output, RunArgs};
use super::permitted::{Standing, unusable};
use super::setup::Failure;
use super::{folders, models};
use crate::agent::{Reason, Thinking};
use crate::config::settings::{Model, Resolved, Sources, Switch, Value, flag_value};
use crate::config::{ConfigError, Document, PROJECT_FILE, User};
use crate::model::BackendKind;
use crate::sandbox::Workspace;

/// A run's flags, and the settings that follow from all layers.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// What was typed.
    pub run: RunArgs,
    /// What it means.
    pub settings: Resolved,
}

/// Whether a project has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Project {
    /// That of the workspace, if it is trusted.
    Counts,
    /// What is run has no workspace.
    None,
}

impl Chosen {
    /// # Errors
    /// For settings that can't be used; the first of them.
    pub fn of(run: &RunArgs, project: Project) -> Result<Self, Failure> {
        let layers = match project {
            Project::Counts => Layers::read(workspace(run.workspace.as_deref()).as_ref()),
            Project::None => Layers::read(None),
        };
        let (settings, mut problems) = layers.resolve(run);
        if !problems.is_empty() {
            return Err(unusable(problems.swap_remove(0)));
        }
        Ok(Self {
            run: run.clone(),
            settings,
        })
    }

    /// The bundle's folder; `None` is the demo.
    ///
    /// # Errors
    /// For a name that no bundle has, or several have.
    pub fn model(&self) -> Result<Option<PathBuf>, Failure> {
        // A path need not be text.
        if let Some(path) = &self.run.model
            && path.to_str().is_none()
        {
            return Ok(Some(path.clone()));
        }
        match self.settings.model() {
            None => Ok(None),
            Some(model) => models::folder(&model, &self.settings)
                .map_err(|message| Failure::new(Reason::Bundle, message)),
        }
    }

    /// The bundle of this name, typed while cairn runs; `None` is the demo.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn named(&self, name: &Path) -> Result<Option<PathBuf>, Failure> {
        match name.to_str() {
            None => Ok(Some(name.to_owned())),
            Some(text) => models::folder(&Model::Typed(text.to_owned()), &self.settings)
                .map_err(|message| Failure::new(Reason::Bundle, message)),
        }
    }

    pub fn backend(&self) -> BackendKind {
        let name = self.settings.backend();
        BackendName::chosen(name.and_then(|name| BackendName::from_str(name, false).ok()))
    }

    pub fn thinking(&self) -> Option<Thinking> {
        self.settings.thinking().map(|switch| match switch {
            Switch::On => Thinking::On,
            Switch::Off => Thinking::Off,
        })
    }

    pub fn output(&self) -> Output {
        let name = self.settings.output();
        name.and_then(|name| Output::from_str(name, false).ok())
            .unwrap_or_default()
    }
}

/// The files that count, as they were read.
pub struct Layers {
    pub user: Option<User>,
    pub own: Document,
    pub standing: Result<Standing, ConfigError>,
}

impl Layers {
    /// Whatever is wrong with them is found out later.
    pub fn read(workspace: Option<&Workspace>) -> Self {
        let folder = folders::config();
        let user = folder.as_deref().map(User::in_folder);
        Self {
            own: user.as_ref().map(User::read).unwrap_or_default(),
            user,
            standing: match workspace {
                Some(workspace) => Standing::of(workspace, folder.as_deref()),
                None => Ok(Standing::Absent),
            },
        }
    }

    /// What holds, and all that is wrong with it.
    pub fn resolve(self, run: &RunArgs) -> (Resolved, Vec<ConfigError>) {
        let project = match &self.standing {
            Ok(Standing::Trusted(project)) => Some(project.read()),
            _ => None,
        };
        let place = self
            .user
            .as_ref()
            .map_or(Path::new("config.toml"), User::path);
        let sources = Sources {
            user: (place, &self.own),
            project: project.as_ref(),
            variable: &|name| std::env::var_os(name),
            flags: flags(run),
        };
        let (resolved, found) = sources.resolve();
        let mut problems = self.own.problems;
        problems.extend(self.standing.err());
        problems.extend(project.into_iter().flat_map(|project| project.problems));
        problems.extend(found);
        (resolved, problems)
    }
}

/// The workspace, if it can be opened; who needs it says why it can't.
pub fn workspace(folder: Option<&Path>) -> Option<Workspace> {
    Workspace::open(folder.unwrap_or(Path::new("."))).ok()
}

/// Where a project's file is.
pub fn project_file(workspace: &Workspace) -> PathBuf {
    workspace.root().join(PROJECT_FILE)
}

/// What was typed, by key.
fn flags(run: &RunArgs) -> Vec<(&'static str, Value)> {
    fn word<T: ValueEnum>(choice: Option<T>) -> Option<String> {
        let value = choice?.to_possible_value()?;
        Some(value.get_name().to_owned())
    }
    fn text<T: ToString>(value: &Option<T>) -> Option<String> {
        value.as_ref().map(T::to_string)
    }
    let model = run.model.clone().map(PathBuf::into_os_string);
    let typed = [
        ("profile", run.profile.clone()),
        (
            "model",
            model.and_then(|model| OsString::into_string(model).ok()),
        ),
        ("backend", word(run.backend)),
        ("threads", text(&run.threads)),
        ("thinking", word(run.thinking)),
        ("seed", text(&run.seed)),
        ("temperature", text(&run.temperature)),
        ("top_p", text(&run.top_p)),
        ("top_k", text(&run.top_k)),
        ("min_p", text(&run.min_p)),
        ("max_tokens", text(&run.max_tokens)),
        ("max_steps", text(&run.max_steps)),
        ("output", word(run.output)),
        ("cache.enabled", word(run.cache)),
        ("grammar.enabled", word(run.grammar)),
        ("context.memory", word(run.memory)),
        ("log.level", run.log_level.clone()),
    ];
    let settings = typed
        .into_iter()
        .filter_map(|(key, text)| Some((key, flag_value(key, &text?)?)));
    let rules = |lists: &[super::args::RuleList]| {
        let rules = lists.iter().flat_map(|list| &list.0);
        let rules: Vec<String> = rules.map(ToString::to_string).collect();
        (!rules.is_empty()).then(|| rules.join(", "))
    };
    let networks: Vec<String> = run.net.iter().map(ToString::to_string).collect();
    let typed = [
        ("sandbox.mode", word(run.mode)),
        (
            "sandbox.network",
            (!networks.is_empty()).then(|| networks.join(",")),
        ),
        ("permissions.allow", rules(&run.allow)),
        ("permissions.deny", rules(&run.deny)),
    ];
    // Rules have no value that counts: they are only shown.
    let rules = typed
        .into_iter()
        .filter_map(|(key, text)| Some((key, Value::Text(text?))));
    settings.chain(rules).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Limits;
    use crate::cli::args::Cli;
    use crate::config::settings::{Kind, SETTINGS, Setting};
    use clap::{CommandFactory, Parser};

    #[test]
    fn flags_take_what_their_settings_take() {
        let samples = [
            "0", "1", "24", "257", "0.5", "1.0", "-1", "1e39", "on", "off", "cpu", "mlx", "text",
            "jsonl", "info", "loud", "x",
        ];
        let settings = SETTINGS
            .iter()
            .filter(|setting| setting.kind != Kind::Policy);
        for (setting, flag) in settings.filter_map(|setting| Some((setting, setting.flag?))) {
            for sample in samples {
                let typed = Cli::try_parse_from(["cairn", &format!("{flag}={sample}")]);
                let spelled = match setting.kind {
                    // Files and variables have other words for these as well.
                    Kind::Switch => ["on", "off"].contains(&sample),
                    // A flag's number is one of 32 bits.
                    Kind::Real { .. } if sample == "1e39" => continue,
                    kind => kind.parse(sample).is_ok(),
                };
                assert_eq!(typed.is_ok(), spelled, "{flag} {sample}");
                let Ok(cli) = typed else { continue };
                let value = flags(&cli.run)
                    .into_iter()
                    .find(|(key, _)| *key == setting.key);
                assert_eq!(
                    value.map(|(_, value)| value),
                    flag_value(setting.key, sample)
                );
            }
        }
    }

    #[test]
    fn every_flag_of_the_table_exists() {
        let command = Cli::command();
        for flag in SETTINGS.iter().filter_map(|setting| setting.flag) {
            let known = command.get_arguments().filter_map(|one| one.get_long());
            assert!(
                known.into_iter().any(|long| flag == format!("--{long}")),
                "{flag}"
            );
        }
    }

    #[test]
    fn defaults_of_the_table_are_those_of_the_agent() {
        let limits = Limits::default();
        let default = |key: &str| Setting::find(key).unwrap().default_value();
        assert_eq!(
            default("max_steps"),
            Some(Value::Whole(limits.steps as u64))
        );
        assert_eq!(
            default("max_tokens"),
            Some(Value::Whole(limits.turn_tokens as u64))
        );
    }
}
