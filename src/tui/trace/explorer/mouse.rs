//! The wheel and clicks.

use ratatui::layout::Position;

use super::{Explorer, Open};
use crate::tui::trace::motion::Direction;

impl Explorer {
    /// The wheel over the pane: down is positive.
    pub fn wheel(&mut self, rows: i32) {
        let rows = rows as isize;
        match &mut self.open {
            Open::Compare(compare) => compare.scroll(rows),
            Open::Branches(list, order) => list.go(rows.signum(), order.len()),
            Open::Answers(list) => list.go(rows.signum(), self.answers.len()),
            Open::Nothing | Open::Search(_) | Open::Fork(_) | Open::Export => {
                self.walk.scroll(self.shelf.get(self.shown), rows);
            }
        }
    }

    /// A click at a place of the pane, counted from its corner.
    pub fn click(&mut self, x: u16, y: u16) {
        self.hint = None;
        let places = self.places();
        let at = Position { x, y };
        let trace = self.shelf.get(self.shown);
        if places.list.contains(at) {
            let (y, height) = (usize::from(y - places.list.y), places.list.height);
            match &mut self.open {
                Open::Branches(list, order) => {
                    list.chosen = list
                        .at(y, height.into(), order.len())
                        .unwrap_or(list.chosen);
                }
                Open::Answers(list) => {
                    let count = self.answers.len();
                    list.chosen = list.at(y, height.into(), count).unwrap_or(list.chosen);
                }
                Open::Nothing
                | Open::Search(_)
                | Open::Fork(_)
                | Open::Export
                | Open::Compare(_) => {}
            }
        } else if matches!(self.open, Open::Nothing | Open::Search(_)) {
            if places.strip.contains(at) {
                let token = self.strip.token(usize::from(y - places.strip.y));
                self.walk.jump(trace, token);
            } else if places.text.contains(at) {
                let row = self.walk.top() + usize::from(y - places.text.y);
                let column = usize::from(x - places.text.x);
                if let Some(token) = self.walk.token_in(trace, row, column) {
                    self.walk.go(trace, token, Direction::Back);
                }
            }
        }
    }
}
