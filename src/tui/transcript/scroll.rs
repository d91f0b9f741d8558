//! What part of the transcript is in view. It is held by an item and a row of it, so
//! that nothing above moves it; at the end it follows the end. Only what is in view, or
//! is passed on the way there, is laid out.

use super::Transcript;
use super::item::Item;
use super::place::Place;
use crate::tui::text::Row;

/// Rows below the view that are laid out ahead.
const AHEAD: usize = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Top {
    /// Wherever the end is in view.
    #[default]
    Follow,
    Held {
        place: Place,
        /// Where it is at any width.
        mark: Mark,
        fit: Fit,
    },
}

/// A row of an item by the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Columns of text in the rows above.
    above: usize,
    /// Columns of text in it.
    own: usize,
}

/// Whether a row was counted at the present width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Exact,
    OtherWidth,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    top: Top,
    /// The row at the top, as of the last layout.
    pub first: Place,
    /// Up to here the end has been in view; `None`: up to the present end.
    seen: Option<Place>,
    /// New rows below.
    pub below: usize,
}

impl View {
    /// Rows are about to have another width.
    pub fn reflow(&mut self) {
        if let Top::Held { fit, .. } = &mut self.top {
            *fit = Fit::OtherWidth;
        }
        if self.below == 0 {
            self.seen = None;
        }
    }
}

impl Transcript {
    /// Down by so many rows, or up if negative.
    pub fn scroll(&mut self, rows: i32) {
        if !self.has_size() {
            return;
        }
        let distance = rows.unsigned_abs() as usize;
        let first = self.view.first;
        let to = match rows {
            0.. => self.down(first, distance),
            _ => self.up(first, distance),
        };
        self.look_from(to);
    }

    /// By so many screens, a row less each.
    pub fn page(&mut self, pages: i32) {
        let rows = i32::from(self.frame.height).saturating_sub(1).max(1);
        self.scroll(pages.saturating_mul(rows));
    }

    pub fn to_top(&mut self) {
        self.look_from(Place::default());
    }

    pub fn to_bottom(&mut self) {
        self.view.top = Top::Follow;
        self.place_view();
    }

    /// Whether the end is in view, and stays so.
    pub fn follows(&self) -> bool {
        self.view.top == Top::Follow
    }

    /// Puts a row at the top, as far as what follows fills the view.
    pub(super) fn look_from(&mut self, place: Place) {
        if !self.has_size() {
            return;
        }
        let bottom = self.bottom();
        if self.follows() {
            self.view.seen = Some(self.end());
        }
        self.view.top = match place >= bottom {
            true => Top::Follow,
            false => Top::Held {
                place,
                mark: self.mark_at(place),
                fit: Fit::Exact,
            },
        };
        self.place_view();
    }

    /// Moves an item into view, its beginning if it is long.
    pub(super) fn reveal(&mut self, item: usize) {
        if !self.has_size() {
            return;
        }
        self.lay_out(item);
        let start = Place {
            item,
            row: self.gap(item),
        };
        let end = Place {
            item,
            row: self.height(item).saturating_sub(1),
        };
        let height = usize::from(self.frame.height);
        let first = self.view.first;
        let last = self.down(first, height.saturating_sub(1));
        if start < first {
            self.look_from(start);
        } else if end > last {
            // As far down as the end needs, as long as the beginning is in view.
            let top = self.up(end, height.saturating_sub(1));
            self.look_from(top.min(start));
        }
    }

    /// Brings what is in view up to date, and finds out what that is.
    pub(super) fn place_view(&mut self) {
        if !self.has_size() {
            return;
        }
        let bottom = self.bottom();
        if let Top::Held { place, mark, fit } = self.view.top {
            self.lay_out(place.item);
            let row = match fit {
                Fit::Exact => place.row,
                Fit::OtherWidth => self.row_at(place.item, mark),
            };
            let row = row.min(self.height(place.item).saturating_sub(1));
            let place = Place { row, ..place };
            self.view.top = match place >= bottom {
                true => Top::Follow,
                false => Top::Held {
                    place,
                    mark,
                    fit: Fit::Exact,
                },
            };
            self.view.first = place;
        }
        if self.follows() {
            self.view.first = bottom;
            self.view.seen = Some(self.end());
        }
        let height = usize::from(self.frame.height);
        let last = self.down(self.view.first, height);
        self.down(last, AHEAD);
        self.view.below = self.unseen(last);
    }

    /// Whether there has been a layout: before, nothing is in view.
    fn has_size(&self) -> bool {
        self.frame.now.is_some() && !self.items.is_empty()
    }

    /// Rows below a place that have come since the end was in view.
    fn unseen(&mut self, last: Place) -> usize {
        let end = self.end();
        let from = (*self.view.seen.get_or_insert(end)).max(last);
        let mut rows = 0;
        for item in from.item..self.items.len() {
            // What comes in at the end is laid out as it comes.
            self.lay_out(item);
            rows += self.height(item);
        }
        rows.saturating_sub(from.row)
    }

    /// Behind the last row.
    fn end(&self) -> Place {
        let item = self.items.len().saturating_sub(1);
        Place {
            item,
            row: self.height(item),
        }
    }

    /// The row at the top when the end is in view.
    fn bottom(&mut self) -> Place {
        if let Some(last) = self.items.len().checked_sub(1) {
            self.lay_out(last);
        }
        let (end, height) = (self.end(), usize::from(self.frame.height));
        self.up(end, height)
    }

    /// The row that is so many above a place, or the first one.
    fn up(&mut self, from: Place, rows: usize) -> Place {
        let Place { mut item, row } = from;
        let mut left = rows;
        let mut row = row;
        while left > row && item > 0 {
            left -= row;
            item -= 1;
            self.lay_out(item);
            row = self.height(item);
        }
        Place {
            item,
            row: row.saturating_sub(left),
        }
    }

    /// The row that is so many below a place, or the end.
    fn down(&mut self, from: Place, rows: usize) -> Place {
        let Place { mut item, row } = from;
        let mut row = row + rows;
        while item < self.items.len() {
            self.lay_out(item);
            let height = self.height(item);
            if row < height {
                return Place { item, row };
            }
            row -= height;
            item += 1;
        }
        self.end()
    }

    /// The place in view at a row of the pane; `None` below the end.
    pub(super) fn place_at(&self, y: usize) -> Option<Place> {
        let Place { mut item, row } = self.view.first;
        let mut row = row + y;
        while item < self.items.len() {
            let height = self.height(item);
            if row < height {
                return Some(Place { item, row });
            }
            row -= height;
            item += 1;
        }
        None
    }

    fn weight(&self, place: Place) -> usize {
        self.row(place).map_or(0, Row::weight)
    }

    fn mark_at(&self, place: Place) -> Mark {
        let above = (0..place.row).map(|row| self.weight(Place { row, ..place }));
        Mark {
            above: above.sum(),
            own: self.weight(place),
        }
    }

    /// The row of an item that a mark was made for, or that has what began that one.
    fn row_at(&self, item: usize, mark: Mark) -> usize {
        let mut above = 0;
        let height = self.height(item);
        for row in 0..height {
            let own = self.weight(Place { item, row });
            let is_empty = mark.own == 0 && own == 0 && above >= mark.above;
            if is_empty || above + own > mark.above {
                return row;
            }
            above += own;
        }
        height.saturating_sub(1)
    }

    /// The last item with a row in view.
    pub(super) fn last_in_view(&self) -> Option<usize> {
        let height = usize::from(self.frame.height).max(1);
        let places = (0..height).rev().find_map(|y| self.place_at(y));
        let last = places.map(|place| place.item);
        last.or_else(|| self.items.len().checked_sub(1))
    }

    pub(super) fn change(&mut self, item: usize) -> Option<&mut Item> {
        let item = self.items.get_mut(item)?;
        item.touch();
        Some(item)
    }
}
