//! From typed flags to a ready agent.

use std::path::{Path, PathBuf};

use super::chosen::Chosen;
use super::load::Waiting;
use super::permitted::Typed;
use super::session::{self, Begin};
use super::{cache, folders, load};
use crate::agent::slash;
use crate::agent::{Agent, Calls, Exit, Reason, Settings, Stop};
use crate::cache::disk::{Identity, Store};
use crate::config::UserCommands;
use crate::config::settings::{Resolved, Switch};
use crate::sandbox::launch::{self, Launcher};
use crate::sandbox::{Workspace, sanitize};
use crate::tools::{self, Toolbox};
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

/// Opens the bundle and the workspace, puts an agent together, and lets it begin with
/// a session.
///
/// # Errors
/// For a bundle, a folder or a session that can't be used.
pub fn agent(
    chosen: &Chosen,
    begin: Begin,
    stop: &Stop,
    waiting: &Waiting,
) -> Result<Agent, Failure> {
    let model = match (&chosen.run.model, begin.model()) {
        (None, Some(of_session)) => of_session,
        _ => chosen.model()?,
    };
    let folder = chosen.run.workspace.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    let how = How {
        chunk: None,
        waiting,
    };
    let mut agent = put_together(chosen, model.as_deref(), &folder, stop, how)?;
    keep_sessions(&mut agent, model.as_deref());
    begin.take_up(&mut agent, &typed(chosen))?;
    Ok(agent)
}

/// A new conversation with another bundle, in the folder of the one before.
///
/// # Errors
/// As [`agent`].
pub fn agent_with(
    chosen: &Chosen,
    model: Option<&Path>,
    folder: &Path,
    stop: &Stop,
    waiting: &Waiting,
) -> Result<Agent, Failure> {
    let how = How {
        chunk: None,
        waiting,
    };
    let mut agent = put_together(chosen, model, folder, stop, how)?;
    keep_sessions(&mut agent, model);
    Ok(agent)
}

/// An agent that keeps nothing, and prefills `chunk` tokens at a time.
///
/// # Errors
/// As [`agent`].
pub fn for_replay(
    chosen: &Chosen,
    model: Option<&Path>,
    folder: &Path,
    chunk: Option<usize>,
    stop: &Stop,
) -> Result<Agent, Failure> {
    let how = How {
        chunk,
        waiting: &Waiting::Stderr,
    };
    put_together(chosen, model, folder, stop, how)
}

/// What was typed, and so beats what a session has; what is written down does not.
fn typed(chosen: &Chosen) -> Settings {
    let run = &chosen.run;
    Settings {
        seed: run.seed,
        temperature: run.temperature,
        top_p: run.top_p,
        top_k: run.top_k,
        min_p: run.min_p,
        max_tokens: run.max_tokens,
        max_steps: run.max_steps,
        thinking: run.thinking.and(chosen.thinking()),
        calls: run.grammar.map(|_| calls(&chosen.settings)),
        ..Settings::default()
    }
}

fn calls(settings: &Resolved) -> Calls {
    match settings.grammar() {
        Switch::On => Calls::Constrained,
        Switch::Off => Calls::Free,
    }
}

fn keep_sessions(agent: &mut Agent, model: Option<&Path>) {
    match session::sessions() {
        Ok(sessions) => agent.keep_sessions_in(sessions, model),
        Err(why) => agent.warn(vec![format!("sessions are not kept: {why}")]),
    }
}

/// How the model is loaded.
struct How<'a> {
    /// Tokens that are prefilled at a time.
    chunk: Option<usize>,
    waiting: &'a Waiting,
}

fn put_together(
    chosen: &Chosen,
    model: Option<&Path>,
    folder: &Path,
    stop: &Stop,
    how: How<'_>,
) -> Result<Agent, Failure> {
    let Chosen {
        run,
        settings: found,
    } = chosen;
    let workspace = Workspace::open(folder).map_err(|e| {
        let place = folder.display();
        Failure::new(Reason::Usage, format!("--workspace {place}: {e}"))
    })?;
    let settings = Settings {
        workspace: workspace.root().to_owned(),
        seed: found.seed(),
        temperature: found.temperature(),
        top_p: found.top_p(),
        top_k: found.top_k(),
        min_p: found.min_p(),
        max_tokens: found.max_tokens(),
        max_steps: found.max_steps(),
        thinking: chosen.thinking(),
        compact_at: Some((found.compact_at() * 100.0).round() as usize),
        calls: Some(calls(found)),
    };
    let permitted = Typed::of(run)?.permitted(&workspace)?;
    let left = left_behind(&workspace);
    let loaded = load::load(model, chosen, how.chunk, how.waiting)?;
    let limits = tools::Limits::default().for_context(loaded.bundle.context);
    let history = history(&workspace);
    let caches = caches(chosen, &loaded);
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
    match caches {
        Some(Ok(store)) => agent.keep_caches_in(store),
        Some(Err(line)) => agent.warn(vec![line]),
        None => {}
    }
    for notice in agent.notices() {
        tracing::info!(notice);
    }
    if let Some(folder) = folders::config() {
        let taken = slash::COMMANDS.iter().map(|command| command.name);
        let (commands, lines) = UserCommands::load(&folder, &taken.collect::<Vec<_>>());
        agent.use_commands(commands);
        agent.warn(lines);
    }
    if found.memory() == Switch::On {
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

/// Where caches of this bundle are kept, or why not; `None` if that is not wanted, or
/// there is no home folder.
fn caches(chosen: &Chosen, loaded: &load::Loaded) -> Option<Result<Store, String>> {
    if chosen.settings.cache_enabled() == Switch::Off {
        return None;
    }
    let persist = loaded.engine.persist()?;
    let identity = Identity {
        bundle: loaded.bundle.name.clone(),
        fingerprint: loaded.bundle.fingerprint.clone(),
        numerics: loaded.engine.info().numerics.clone(),
        row_len: persist.row_len(),
        state_len: persist.state_len(),
    };
    let folder = folders::caches()?;
    let opened = Store::open(&folder, &identity, cache::limit(chosen));
    Some(opened.map_err(|error| format!("caches are not kept on disk: {error}")))
}

/// What makes turns undoable, or why they are not.
fn history(workspace: &Workspace) -> Result<History, String> {
    let state = folders::state();
    let state = state.ok_or("there is no home folder to keep copies in")?;
    History::open(&state, workspace, undo::Limits::default()).map_err(|error| error.to_string())
}
