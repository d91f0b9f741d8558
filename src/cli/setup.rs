//! From typed flags to a ready agent.

use std::path::{Path, PathBuf};

use super::args::{Allow, RunArgs, Switch};
use super::load;
use crate::agent::{Agent, Exit, Reason, Settings, Stop, Thinking};
use crate::sandbox::launch::{self, Launcher};
use crate::sandbox::{Decision, Policy, Rules, Workspace};
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
    launch::sweep();
    let loaded = load::load(model, run)?;
    let limits = Limits::default().for_context(loaded.bundle.context);
    let history = history(&workspace);
    let toolbox = Toolbox::new(workspace, policy(run), Launcher::this(), limits).with_undo(history);
    Agent::new(
        &loaded.bundle,
        loaded.engine,
        toolbox,
        settings,
        stop.clone(),
    )
    .map_err(|message| Failure::new(Reason::Bundle, message))
}

/// What makes turns undoable, or why they are not.
fn history(workspace: &Workspace) -> Result<History, String> {
    let state = super::folders::state();
    let state = state.ok_or("there is no home folder to keep copies in")?;
    History::open(&state, workspace, undo::Limits::default()).map_err(|error| error.to_string())
}

/// `--model`, else `CAIRN_MODEL`, else nothing: the demo.
pub(super) fn model(asked: Option<&PathBuf>) -> Option<PathBuf> {
    let environment = || std::env::var_os("CAIRN_MODEL").filter(|dir| !dir.is_empty());
    asked.cloned().or_else(|| environment().map(PathBuf::from))
}

/// What was allowed beforehand is; the rest is a question.
fn policy(run: &RunArgs) -> Policy {
    let decide = |what| match run.allow.contains(&what) {
        true => Decision::Allow,
        false => Decision::Ask,
    };
    Policy::new(Rules {
        write: decide(Allow::Write),
        run: decide(Allow::Run),
        mode: run.mode.unwrap_or_default().into(),
        network: run.net.unwrap_or_default().into(),
    })
}
