//! Taking back what a turn changed in the workspace, and bringing it back again.

use super::driver::Agent;
use super::entry::{Kind, Restored};
use super::event::Front;
use crate::sandbox::sanitize;
use crate::undo::{Answer, Force, Report};

impl Agent {
    /// Takes back what the last turn changed in the workspace. The model is told with
    /// the next message.
    ///
    /// # Errors
    /// When that can't be done; one line.
    pub fn undo(&mut self, force: Force, front: &mut dyn Front) -> Result<Answer, String> {
        let answer = self.toolbox.undo(force)?;
        if let Answer::Done(report) = &answer {
            self.record(Kind::Undo(restored(report)), front);
        }
        Ok(answer)
    }

    /// Brings back what was taken back last.
    ///
    /// # Errors
    /// As [`Agent::undo`].
    pub fn redo(&mut self, force: Force, front: &mut dyn Front) -> Result<Answer, String> {
        let answer = self.toolbox.redo(force)?;
        if let Answer::Done(report) = &answer {
            self.record(Kind::Redo(restored(report)), front);
        }
        Ok(answer)
    }
}

/// What the log keeps of a report.
fn restored(report: &Report) -> Restored {
    let names = report.done.iter().take(Restored::NAMED);
    Restored {
        turn: report.turn,
        named: names
            .map(|(path, _)| sanitize::for_line(&path.to_string_lossy()).into_owned())
            .collect(),
        files: report.done.len(),
        calls: report.calls.clone(),
    }
}
