//! What may be done: from what was typed, the user's config, and a project's settings.

use std::path::Path;

use super::args::{RuleList, RunArgs, SandboxArgs};
use super::folders;
use super::setup::Failure;
use crate::agent::Reason;
use crate::config::{ConfigError, Layer, PROJECT_FILE, Project, Trust, User};
use crate::sandbox::{
    Decision, Mode, Network, Permission, Policy, Rule, Rules, Strength, Workspace,
};

/// What was typed; `None` and empty where nothing was.
#[derive(Default)]
pub struct Typed {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    mode: Option<Mode>,
    network: Option<Network>,
    strength: Strength,
    permission: Option<Permission>,
}

/// What may be done, and what the user has to know of how it came about.
pub struct Permitted {
    pub policy: Policy,
    /// Where answers of "always" are kept.
    pub user: Option<User>,
    pub warnings: Vec<String>,
}

impl Typed {
    /// # Errors
    /// For flags that contradict each other.
    pub fn of(run: &RunArgs) -> Result<Self, Failure> {
        let rules = |lists: &[RuleList]| lists.iter().flat_map(|list| list.0.clone()).collect();
        Ok(Self {
            allow: rules(&run.allow),
            deny: rules(&run.deny),
            mode: run.mode.map(Mode::from),
            network: network(&run.net)?,
            strength: strength(run.sandbox_degraded),
            permission: run.permission_mode.map(Permission::from),
        })
    }

    /// The same for one command by hand.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_command(args: &SandboxArgs) -> Result<Self, Failure> {
        Ok(Self {
            mode: args.mode.map(Mode::from),
            network: network(&args.net)?,
            strength: strength(args.sandbox_degraded),
            ..Self::default()
        })
    }

    /// Where the user's config says something that was typed, too, it can only tighten
    /// that; the project's settings, if the user trusts them, tighten all.
    ///
    /// # Errors
    /// For settings that can't be used.
    pub fn permitted(self, workspace: &Workspace) -> Result<Permitted, Failure> {
        let folder = folders::config();
        let user = folder.as_deref().map(User::in_folder);
        let config = match &user {
            Some(user) => user.load().map_err(unusable)?.layer,
            None => Layer::default(),
        };
        let mut warnings = Vec::new();
        let mut policy = self.with(config, &mut warnings);
        let project = Standing::of(workspace, folder.as_deref()).map_err(unusable)?;
        match project {
            Standing::Absent => {}
            Standing::Trusted(project) => policy = project.tighten(&policy).map_err(unusable)?,
            Standing::Untrusted(_) => warnings.push(format!(
                "{PROJECT_FILE} is not trusted, so it is not used; `cairn trust` shows it"
            )),
            Standing::Unreadable(error) => {
                warnings.push(format!("the project's settings are not used: {error}"));
            }
        }
        Ok(Permitted {
            policy,
            user,
            warnings,
        })
    }

    fn with(mut self, config: Layer, warnings: &mut Vec<String>) -> Policy {
        self.allow.extend(config.allow);
        self.deny.extend(config.deny);
        let network = self.network.clone().or(config.network.clone());
        let policy = Policy::new(Rules {
            write: config.write.unwrap_or(Decision::Ask),
            run: config.run.unwrap_or(Decision::Ask),
            allow: self.allow,
            deny: self.deny,
            mode: self.mode.or(config.mode).unwrap_or_default(),
            network: network.unwrap_or_default(),
            strength: self.strength,
        });
        let mut policy = policy.tighten(&Rules {
            write: Decision::Allow,
            run: Decision::Allow,
            mode: config.mode.unwrap_or(policy.mode()),
            network: config.network.unwrap_or(policy.network().clone()),
            strength: policy.strength(),
            ..Rules::default()
        });
        if let Some(permission) = self.permission {
            policy.set_permission(permission);
        }
        if self.mode.is_some_and(|mode| mode != policy.mode()) {
            warnings.push(format!("your config makes it --mode {}", policy.mode()));
        }
        if self.network.is_some_and(|typed| typed != *policy.network()) {
            warnings.push(format!("your config makes it --net {}", policy.network()));
        }
        policy
    }
}

/// A project's settings, and whether they count.
pub(super) enum Standing {
    Absent,
    Trusted(Project),
    Untrusted(Project),
    /// They can't be read, and so don't count.
    Unreadable(ConfigError),
}

impl Standing {
    /// `folder` is the user's config folder.
    ///
    /// # Errors
    /// When it can't be found out whether the user trusts them.
    pub fn of(workspace: &Workspace, folder: Option<&Path>) -> Result<Self, ConfigError> {
        let project = match Project::find(workspace) {
            Ok(Some(project)) => project,
            Ok(None) => return Ok(Self::Absent),
            Err(error) => return Ok(Self::Unreadable(error)),
        };
        let trusted = match folder.map(Trust::in_folder) {
            Some(trust) => project.is_trusted(workspace.root(), &trust)?,
            None => false,
        };
        Ok(match trusted {
            true => Self::Trusted(project),
            false => Self::Untrusted(project),
        })
    }
}

pub(super) fn unusable(error: ConfigError) -> Failure {
    Failure::new(Reason::Usage, error.to_string())
}

/// What the words after `--net` mean together.
fn network(words: &[Network]) -> Result<Option<Network>, Failure> {
    let wrong = |error| Failure::new(Reason::Usage, format!("--net {error}"));
    match words {
        [] => Ok(None),
        words => Network::together(words).map(Some).map_err(wrong),
    }
}

/// What `--sandbox-degraded` means; nothing else chooses it.
fn strength(degraded: bool) -> Strength {
    match degraded {
        true => Strength::Degraded,
        false => Strength::Full,
    }
}
