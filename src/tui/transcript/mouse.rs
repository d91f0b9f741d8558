//! Selecting text with the mouse.

use super::Transcript;
use super::place::Place;
use crate::tui::text::joined;

/// A place within a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    place: Place,
    column: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Drag {
    from: Cell,
    to: Cell,
    moved: bool,
}

impl Transcript {
    /// A button went down; columns and rows count from the pane's corner.
    pub fn press(&mut self, x: u16, y: u16) {
        self.drag = self.cell(x, y).map(|cell| Drag {
            from: cell,
            to: cell,
            moved: false,
        });
    }

    pub fn drag(&mut self, x: u16, y: u16) {
        let cell = self.cell(x, y);
        if let (Some(drag), Some(cell)) = (&mut self.drag, cell) {
            drag.moved |= drag.from != cell;
            drag.to = cell;
        }
    }

    /// The button went up: the text that was selected. A click selects the item instead.
    pub fn release(&mut self) -> Option<String> {
        let drag = self.drag?;
        if !drag.moved {
            self.drag = None;
            self.selected = Some(drag.from.place.item);
            return None;
        }
        let (from, to) = drag.ends();
        let mut pieces = Vec::new();
        for item in from.place.item..=to.place.item {
            for row in 0..self.height(item) {
                let place = Place { item, row };
                let Some((start, end)) = drag.columns(place) else {
                    continue;
                };
                pieces.push(match self.row(place) {
                    Some(row) => (row.text(start, end), row.join),
                    None => Default::default(),
                });
            }
        }
        let text = joined(pieces);
        (!text.is_empty()).then_some(text)
    }

    /// Columns of a row that are selected; the second one is the first that is not.
    pub(super) fn selected_columns(&self, place: Place) -> Option<(usize, usize)> {
        let drag = self.drag.filter(|drag| drag.moved)?;
        drag.columns(place)
    }

    /// The place under a cell of the pane; the nearest one above if there is none.
    fn cell(&self, x: u16, y: u16) -> Option<Cell> {
        let y = usize::from(y.min(self.frame.height.saturating_sub(1)));
        let place = (0..=y).rev().find_map(|y| self.place_at(y))?;
        let column = usize::from(x.saturating_sub(self.frame.gutter()));
        Some(Cell { place, column })
    }
}

impl Drag {
    fn ends(&self) -> (Cell, Cell) {
        (self.from.min(self.to), self.from.max(self.to))
    }

    fn columns(&self, place: Place) -> Option<(usize, usize)> {
        let (from, to) = self.ends();
        if place < from.place || place > to.place {
            return None;
        }
        let start = if place == from.place { from.column } else { 0 };
        let end = match place == to.place {
            true => to.column + 1,
            false => usize::MAX,
        };
        Some((start, end))
    }
}
