//! What a front end may ask of an agent between turns.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::Meter;
use super::driver::Agent;
use super::model::Stats;
use super::session::Session;
use super::steer::Steer;
use crate::bundle::Tokenizer;
use crate::chat::{Start, Thinking};
use crate::config::UserCommands;
use crate::generate::ThinkingKeys;
use crate::sandbox::{Mode, Policy, Strength, Workspace};
use crate::tools::Background;

/// A conversation at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// The bundle's name, and what computes it.
    pub name: String,
    pub backend: String,
    /// Experts of a layer.
    pub experts: usize,
    /// What is asked before it is done.
    pub manner: String,
    /// How far tools reach.
    pub sandbox: String,
    pub session: String,
    pub workspace: PathBuf,
    pub thinking: Thinking,
    /// Tokens of reasoning in one answer; `None` if the model has no reasoning.
    pub thinking_budget: Option<usize>,
    /// Positions the model may use.
    pub window: usize,
    /// Commands that run in the background.
    pub jobs: usize,
    pub stats: Stats,
}

impl Agent {
    pub fn policy(&self) -> &Policy {
        self.toolbox.policy()
    }

    /// In a word or two, what is asked before it is done, and by what little it is
    /// held where that is the user's choice.
    pub fn manner(&self) -> String {
        let policy = self.policy();
        let asked = policy.permission();
        match (policy.mode(), policy.strength()) {
            (Mode::Danger, _) => format!("danger, {asked}"),
            (_, Strength::Degraded) => format!("degraded, {asked}"),
            (_, Strength::Full) => asked.to_string(),
        }
    }

    /// The rules, one to a line, safe for a terminal.
    pub fn rules_in_force(&self) -> String {
        let lines: Vec<String> = self.policy().rules().collect();
        match lines.is_empty() {
            true => "no rules (an answer of always makes one)".to_owned(),
            false => lines.join("\n"),
        }
    }

    /// Lines for the user before the first turn.
    pub fn notices(&self) -> Vec<String> {
        let notice = self.persona.as_ref().map(|p| p.notice.clone());
        let sampled = self.model.sampling.temperature > 0.0 && self.settings.seed.is_none();
        let seed = sampled.then(|| format!("seed {}", self.model.sampling.seed));
        notice
            .into_iter()
            .chain(self.model.generator.info().notices.iter().cloned())
            .chain(self.warnings.iter().cloned())
            .chain(self.toolbox.notice())
            .chain(self.memory.notices.iter().cloned())
            .chain(seed)
            .collect()
    }

    /// One line: what model this is and how it runs.
    pub fn describe(&self) -> String {
        let thinking = match self.model.thinking {
            Thinking::On => "on",
            Thinking::Off => "off",
        };
        format!(
            "{}: {}, context {}, thinking {thinking}, {}",
            self.name,
            self.model.generator.info().backend,
            super::present::thousands(self.model.context),
            self.toolbox.confinement()
        )
    }

    /// What a status line shows of it.
    pub fn glance(&self) -> Glance {
        let info = self.model.generator.info();
        Glance {
            name: self.name.clone(),
            backend: info.backend.clone(),
            experts: info.experts,
            manner: self.manner(),
            sandbox: self.toolbox.confinement(),
            session: self.session.id().to_owned(),
            workspace: self.settings.workspace.clone(),
            thinking: self.model.thinking,
            thinking_budget: self.thinking_budget(),
            window: self.model.context,
            jobs: self
                .toolbox
                .background()
                .iter()
                .filter(|job| job.end.is_none())
                .count(),
            stats: self.model.stats,
        }
    }

    pub fn session_id(&self) -> &str {
        self.session.id()
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The bundle's tokenizer.
    pub fn tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.model.tokenizer)
    }

    /// Says something to the turn that is running.
    pub fn steer(&self) -> Steer {
        self.model.steer.clone()
    }

    /// Closes the reasoning of the answer that is being written, or lets it go on.
    pub fn thinking_keys(&self) -> ThinkingKeys {
        self.model.keys.clone()
    }

    /// Tokens of reasoning that an answer may have unless the user lets it have more;
    /// `None` if the model has no reasoning.
    pub fn thinking_budget(&self) -> Option<usize> {
        self.model
            .budget(Start::Content)
            .map(|budget| budget.tokens)
    }

    pub fn stats(&self) -> Stats {
        self.model.stats
    }

    /// What the context holds now.
    ///
    /// # Errors
    /// When the bundle's template can't write it down.
    pub fn context(&self) -> Result<Meter, String> {
        self.model.measure(self.session.machine().conversation())
    }

    /// Hundredths of the window from which on older messages make room.
    pub fn compact_at(&self) -> usize {
        self.rules.limits.compact_at
    }

    /// What happens there.
    pub fn makes_room_by(&self) -> &'static str {
        match self.summarises() {
            true => {
                "older turns are summarised; system, tools, project memory, the first message \
                 and pinned ones stay"
            }
            false => {
                "the oldest turns are left out; system, tools, the first message and pinned ones \
                 stay"
            }
        }
    }

    /// Whether the model can be asked for a summary; one with a persona knows nothing
    /// but what that was trained on.
    pub(super) fn summarises(&self) -> bool {
        self.persona.is_none()
    }

    /// The folder that tools work in.
    pub fn workspace(&self) -> Arc<Workspace> {
        self.toolbox.shared_workspace()
    }

    /// The user's own slash commands.
    pub fn commands(&self) -> &UserCommands {
        &self.commands
    }

    /// Commands in the background, those that ended lately among them.
    pub fn background(&self) -> Vec<Background> {
        self.toolbox.background()
    }

    /// Those of which the user does not know yet that they have ended, one line each.
    pub fn ended(&self) -> Vec<String> {
        let ended = self.toolbox.ended();
        ended.iter().map(super::present::background_line).collect()
    }

    /// Ends a command in the background; false if there is none of this number.
    pub fn end_command(&self, id: u64) -> bool {
        self.toolbox.end(id)
    }

    /// Ends all commands in the background; a line for each that ran.
    pub fn end_commands(&self) -> Vec<String> {
        let ended = self.toolbox.end_all();
        let line =
            |one: &Background| format!("background command {} is stopped: {}", one.id, one.command);
        ended.iter().map(line).collect()
    }
}
