//! Up and down: by rows of the screen within the text, and beyond it through what was
//! sent before.

use super::{Composer, Offering, Sent};

impl Composer {
    pub(super) fn up(&mut self) -> Option<Sent> {
        if self.editor.is_empty() && self.queued > 0 {
            return Some(Sent::Takeback);
        }
        if self.step(|row| row.checked_sub(1)) {
            return None;
        }
        if self.history.older(&mut self.editor, &mut self.pastes) {
            self.recalled();
            // The next step up is to the message before.
            let end = (0, usize::MAX);
            let rows = self.rows_at(self.columns);
            let place = rows.place(self.editor.lines(), &self.pastes, end);
            self.editor.go_to(place);
        }
        None
    }

    pub(super) fn down(&mut self) {
        let stepped = self.step(|row| row.checked_add(1));
        if !stepped && self.history.newer(&mut self.editor, &mut self.pastes) {
            self.recalled();
        }
    }

    /// A message of before is shown: nothing is offered for it.
    pub(super) fn recalled(&mut self) {
        self.changed();
        self.offering = Offering::Dismissed;
    }

    /// Moves to another row, as near to the same column as can be; false where there
    /// is no such row.
    fn step(&mut self, to: impl FnOnce(usize) -> Option<usize>) -> bool {
        let rows = self.rows_at(self.columns);
        let lines = self.editor.lines();
        let (row, column) = rows.cell(lines, &self.pastes, self.editor.cursor());
        let column = self.goal.unwrap_or(column);
        let Some(row) = to(row).filter(|row| *row < rows.len()) else {
            return false;
        };
        let place = rows.place(lines, &self.pastes, (row, column));
        self.editor.go_to(place);
        self.goal = Some(column);
        self.menu = None;
        true
    }
}
