//! Undo around the tools: what a call may change is kept before it runs, and what
//! undo will not cover is said with the question whether it may.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::toolbox::{Context, Failure, Toolbox};
use super::{Effect, diff, undo_off};
use crate::sandbox::{Action, Mode};
use crate::undo::{Answer, Force, History, Report, Touches};

/// Whether turns can be undone.
#[derive(Debug, Default)]
pub(super) enum Undo {
    /// Nobody asked for it.
    #[default]
    None,
    On(Box<Mutex<History>>),
    /// It can't, for a reason.
    Off(String),
}

impl Undo {
    fn history(&self) -> Option<MutexGuard<'_, History>> {
        match self {
            // Whoever panicked: all that counts is on disk.
            Self::On(history) => Some(history.lock().unwrap_or_else(PoisonError::into_inner)),
            Self::None | Self::Off(_) => None,
        }
    }
}

impl Toolbox {
    /// With undo of what calls change, or with the reason why there is none.
    #[must_use]
    pub fn with_undo(mut self, history: Result<History, String>) -> Self {
        self.undo = match history {
            Ok(history) => Undo::On(Box::new(Mutex::new(history))),
            Err(why) => Undo::Off(why),
        };
        self
    }

    /// What the user should know beforehand.
    pub fn notice(&self) -> Option<String> {
        match &self.undo {
            Undo::Off(why) => Some(undo_off(why)),
            Undo::None | Undo::On(_) => None,
        }
    }

    /// A turn begins; `text` is what the user asked for.
    pub fn begin_turn(&self, text: &str) {
        if let Some(mut history) = self.undo.history() {
            history.begin(self.workspace(), text);
            if self.jobs.any_runs() {
                // What it changes is this turn's. That it runs is more than any undo.
                let (all, go_on) = (&Touches::Workspace, || false);
                let _ = history.before(self.workspace(), all, None, &go_on);
            }
        }
    }

    /// The turn is over. Returns what the user should know of undoing it.
    pub fn end_turn(&self) -> Option<String> {
        self.undo.history()?.end(self.workspace())
    }

    /// Takes back the last turn that changed something.
    ///
    /// # Errors
    /// When that can't be done; one line.
    pub fn undo(&self, force: Force) -> Result<Answer, String> {
        let mut history = self.undoing()?;
        let answer = history.undo(self.workspace(), force);
        answer.map_err(|error| error.to_string())
    }

    /// Brings back what was taken back last.
    ///
    /// # Errors
    /// As [`Toolbox::undo`].
    pub fn redo(&self, force: Force) -> Result<Answer, String> {
        let mut history = self.undoing()?;
        let answer = history.redo(self.workspace(), force);
        answer.map_err(|error| error.to_string())
    }

    /// Takes back what calls of a branch of the session have changed, and brings back
    /// what those of another had, each in order. What somebody else changed since is
    /// left alone and reported.
    ///
    /// # Errors
    /// As [`Toolbox::undo`].
    pub fn switch(&self, back: &[u64], forth: &[u64]) -> Result<Report, String> {
        let mut history = self.undoing()?;
        let report = history.switch(self.workspace(), back, forth);
        report.map_err(|error| error.to_string())
    }

    /// The turn that has begun is the rest of the one that these calls were made in:
    /// both are undone together.
    pub fn rejoin_turn(&self, calls: &[u64]) {
        if let Some(mut history) = self.undo.history() {
            // If it can't be, it is a turn of its own.
            let _ = history.rejoin(self.workspace(), calls);
        }
    }

    /// A moment in what tools change, for [`Toolbox::diff_since`]; `None` without undo.
    pub fn moment(&self) -> Option<u64> {
        self.undo.history()?.moment().ok()
    }

    /// What turns have changed since then, as a unified diff, empty if nothing.
    ///
    /// # Errors
    /// When there is no telling; one line.
    pub fn diff_since(&self, moment: u64) -> Result<String, String> {
        let since = self.undoing()?.since(self.workspace(), moment);
        let since = since.map_err(|error| error.to_string())?;
        let diffs: Vec<String> = since.iter().map(diff::of_change).collect();
        Ok(diffs.join("\n"))
    }

    fn undoing(&self) -> Result<MutexGuard<'_, History>, String> {
        let history = self.undo.history();
        history.ok_or_else(|| {
            self.notice()
                .unwrap_or_else(|| undo_off("it was not set up"))
        })
    }

    /// Keeps what a call of this name may change. A call that has been kept for is noted with
    /// [`Toolbox::note_changes`] when it is over.
    pub(super) fn keep_for(
        &self,
        call: Option<u64>,
        effect: Effect,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let (Some(touches), Some(mut history)) = (touches(effect, context), self.undo.history())
        else {
            return Ok(());
        };
        let kept = history.before(context.workspace, &touches, call, context.cancelled);
        kept.map_err(|error| {
            Failure::from(format!(
                "not done, as what it may change could not be kept for undo: {error}"
            ))
        })
    }

    /// Notes what calls have changed.
    pub(super) fn note_changes(&self) {
        if let Some(mut history) = self.undo.history() {
            history.after(self.workspace());
        }
    }

    /// Lines about what of a call can't be undone.
    pub(super) fn uncovered(&self, effect: Effect, context: &Context<'_>) -> Vec<String> {
        let (Some(touches), Some(mut history)) = (touches(effect, context), self.undo.history())
        else {
            return Vec::new();
        };
        let mut lines = history.uncovered(context.workspace, &touches);
        if effect == Effect::Run && context.policy.mode() == Mode::Danger {
            lines.push("undo will cover nothing outside the workspace".into());
        }
        lines
    }
}

/// What a call may change; `None` if nothing.
fn touches(effect: Effect, context: &Context<'_>) -> Option<Touches> {
    match effect {
        Effect::Read => None,
        Effect::Run => (context.policy.mode() != Mode::ReadOnly).then_some(Touches::Workspace),
        Effect::Write => {
            // A path that can't be written is the tool's to refuse.
            let path = context.workspace.written(context.text("path")).ok()?;
            let refused = context.policy.forbids(Action::Write(&path)).is_some();
            (!refused).then_some(Touches::Path(path))
        }
    }
}
