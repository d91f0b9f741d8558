//! From typed flags to a ready agent.

use std::path::{Path, PathBuf};

use super::args::{RunArgs, Switch};
use super::permitted::Typed;
use super::{folders, load};
use crate::agent::{Agent, Exit, Reason, Settings, Stop, Thinking};
use crate::config::UserCommands;
use crate::repl;
use crate::sandbox::launch::{self, Launcher};
use crate::sandbox::{Workspace, sanitize};
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
    let permitted = Typed::of(run)?.permitted(&workspace)?;
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
    if let Some(folder) = folders::config() {
        let taken = repl::COMMANDS.each_ref().map(|command| command.name);
        let (commands, lines) = UserCommands::load(&folder, &taken);
        agent.use_commands(commands);
        agent.warn(lines);
    }
    if run.memory != Some(Switch::Off) {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        agent.remember_project(home.as_deref());
    }
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
