//! From typed flags to a ready agent.

use std::path::{Path, PathBuf};

use super::args::{RuleList, RunArgs, Switch};
use super::{folders, load};
use crate::agent::{Agent, Exit, Reason, Settings, Stop, Thinking};
use crate::config::{ConfigError, Layer, PROJECT_FILE, Project, Trust, User};
use crate::sandbox::launch::{self, Launcher};
use crate::sandbox::{Decision, Mode, Network, Policy, Rule, Rules, Strength, Workspace, sanitize};
use crate::tools::{Limits, Toolbox};
use crate::undo::{self, History};

/// Why there is no agent: one line, and what it means for the caller.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    pub message: String,
}

impl Failure {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    pub fn exit(&self) -> Exit {
        self.reason.exit()
    }
}

/// Opens the bundle and the workspace and puts an agent together.
///
/// # Errors
/// For a bundle or a folder that can't be used.
pub fn agent(run: &RunArgs, stop: &Stop) -> Result<Agent, Failure> {
    agent_with(run, model(run.model.as_ref()).as_deref(), stop)
}

/// The same with another bundle.
///
/// # Errors
/// As [`agent`].
pub fn agent_with(run: &RunArgs, model: Option<&Path>, stop: &Stop) -> Result<Agent, Failure> {
    let folder = run.workspace.clone().unwrap_or_else(|| PathBuf::from("."));
    let workspace = Workspace::open(&folder).map_err(|e| {
        let place = folder.display();
        Failure::new(Reason::Usage, format!("--workspace {place}: {e}"))
    })?;
    let settings = Settings {
        workspace: workspace.root().to_owned(),
        seed: run.seed,
        temperature: run.temperature,
        top_p: run.top_p,
        top_k: run.top_k,
        min_p: run.min_p,
        max_tokens: run.max_tokens,
        max_steps: run.max_steps,
        thinking: run.thinking.map(|switch| match switch {
            Switch::On => Thinking::On,
            Switch::Off => Thinking::Off,
        }),
    };
    let permitted = permitted(run, &workspace)?;
    let left = left_behind(&workspace);
    let loaded = load::load(model, run)?;
    let limits = Limits::default().for_context(loaded.bundle.context);
    let history = history(&workspace);
    let toolbox = Toolbox::new(workspace, permitted.policy, Launcher::this(), limits);
    let mut agent = Agent::new(
        &loaded.bundle,
        loaded.engine,
        toolbox.with_undo(history),
        settings,
        stop.clone(),
    )
    .map_err(|message| Failure::new(Reason::Bundle, message))?;
    permitted
        .user
        .into_iter()
        .for_each(|user| agent.keep_rules_in(user));
    agent.warn(permitted.warnings);
    agent.warn(left);
    Ok(agent)
}

/// Clears up after cairns that were killed; a line for each thing that was found in
/// the workspace and renamed.
pub(super) fn left_behind(workspace: &Workspace) -> Vec<String> {
    // In this order: what still runs has its group.
    let recovered = launch::recover(workspace);
    launch::sweep();
    match recovered {
        Ok(moved) => moved
            .iter()
            .map(|(from, to)| {
                let [from, to] = [from, to].map(|path| path.to_string_lossy());
                format!("a command whose cairn was killed may have made {from}: it is now {to}")
            })
            .map(|line| sanitize::for_line(&line).into_owned())
            .collect(),
        Err(error) => vec![format!(
            "what a command may have left when its cairn was killed can't be looked for: {error}"
        )],
    }
}

/// What makes turns undoable, or why they are not.
fn history(workspace: &Workspace) -> Result<History, String> {
    let state = folders::state();
    let state = state.ok_or("there is no home folder to keep copies in")?;
    History::open(&state, workspace, undo::Limits::default()).map_err(|error| error.to_string())
}

/// `--model`, else `CAIRN_MODEL`, else nothing: the demo.
pub(super) fn model(asked: Option<&PathBuf>) -> Option<PathBuf> {
    let environment = || std::env::var_os("CAIRN_MODEL").filter(|dir| !dir.is_empty());
    asked.cloned().or_else(|| environment().map(PathBuf::from))
}

/// What may be done, and what the user has to know of how it came about.
struct Permitted {
    policy: Policy,
    user: Option<User>,
    warnings: Vec<String>,
}

/// What was typed and what the user's config says; the project's settings, if the
/// user trusts them, tighten it.
fn permitted(run: &RunArgs, workspace: &Workspace) -> Result<Permitted, Failure> {
    let unusable = |error: ConfigError| Failure::new(Reason::Usage, error.to_string());
    let folder = folders::config();
    let user = folder.as_deref().map(User::in_folder);
    let config = match &user {
        Some(user) => user.load().map_err(unusable)?,
        None => Layer::default(),
    };
    let typed = |lists: &[RuleList]| lists.iter().flat_map(|list| list.0.clone()).collect();
    let [mut allow, mut deny]: [Vec<Rule>; 2] = [typed(&run.allow), typed(&run.deny)];
    allow.extend(config.allow);
    deny.extend(config.deny);
    let mode = run.mode.map(Mode::from);
    let network = match run.net.is_empty() {
        true => None,
        false => Some(network(&run.net)?),
    };
    let mut policy = Policy::new(Rules {
        write: config.write.unwrap_or(Decision::Ask),
        run: config.run.unwrap_or(Decision::Ask),
        allow,
        deny,
        mode: mode.or(config.mode).unwrap_or_default(),
        network: network
            .clone()
            .or(config.network.clone())
            .unwrap_or_default(),
        strength: strength(run.sandbox_degraded),
    });
    // Where both say something, the file can only tighten what was typed.
    policy = policy.tighten(&Rules {
        write: Decision::Allow,
        run: Decision::Allow,
        mode: config.mode.unwrap_or(policy.mode()),
        network: config.network.unwrap_or(policy.network().clone()),
        strength: policy.strength(),
        ..Rules::default()
    });
    if let Some(permission) = run.permission_mode {
        policy.set_permission(permission.into());
    }
    let mut warnings = Vec::new();
    if mode.is_some_and(|mode| mode != policy.mode()) {
        warnings.push(format!("the user's config makes it {}", policy.mode()));
    }
    if network.is_some_and(|network| network != *policy.network()) {
        warnings.push(format!(
            "the user's config makes --net {}",
            policy.network()
        ));
    }
    let project = match Project::find(workspace) {
        Ok(project) => project,
        Err(error) => {
            warnings.push(format!("the project's settings are not used: {error}"));
            None
        }
    };
    if let Some(project) = project {
        let trust = folder.as_deref().map(Trust::in_folder);
        let trusted = match trust {
            Some(trust) => project.is_trusted(workspace.root(), &trust),
            None => Ok(false),
        };
        match trusted.map_err(unusable)? {
            true => policy = project.tighten(&policy).map_err(unusable)?,
            false => warnings.push(format!(
                "{PROJECT_FILE} is not trusted, so it is not used; `cairn trust` shows it"
            )),
        }
    }
    Ok(Permitted {
        policy,
        user,
        warnings,
    })
}

/// What the words after `--net` mean together.
pub(super) fn network(words: &[Network]) -> Result<Network, Failure> {
    Network::together(words).map_err(|error| Failure::new(Reason::Usage, format!("--net {error}")))
}

/// What `--sandbox-degraded` means; nothing else chooses it.
pub(super) fn strength(degraded: bool) -> Strength {
    match degraded {
        true => Strength::Degraded,
        false => Strength::Full,
    }
}
