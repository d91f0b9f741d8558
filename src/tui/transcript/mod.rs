//! The pane with the conversation: what the log and the stream of events say, as items
//! one below the other. An item is laid out when it comes into view and keeps its rows
//! for as long as nothing about it changes, so a frame costs what is on the screen.

mod act;
mod body;
mod card;
mod draw;
mod feed;
mod item;
mod mouse;
mod output;
mod place;
mod said;
mod scroll;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use std::time::Instant;

use ratatui::text::Line;

pub use act::{Act, KEYS, Outcome};

use super::text::highlight::Highlighter;
use super::theme::Theme;
use item::{For, Item};
use mouse::Drag;
use place::Place;
use scroll::View;

/// Columns before every row, for the mark of what is selected.
const GUTTER: u16 = 2;

pub struct Transcript {
    items: Vec<Item>,
    highlighter: Highlighter,
    /// The newest entry of the log that is here.
    newest: u64,
    /// Messages of the user's.
    users: usize,
    /// The answer that is being written.
    writing: Option<usize>,
    /// The size and look of the last layout.
    frame: Frame,
    view: View,
    selected: Option<usize>,
    drag: Option<Drag>,
    /// Items that were given out by `finished_rows`.
    given: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    width: u16,
    height: u16,
    theme: Theme,
    /// When it was; `None` before the first.
    now: Option<Instant>,
}

impl Frame {
    fn gutter(self) -> u16 {
        match self.width {
            0..=8 => 0,
            _ => GUTTER,
        }
    }

    fn columns(self) -> usize {
        usize::from(self.width - self.gutter()).max(1)
    }
}

impl Transcript {
    pub fn new(highlighter: Highlighter) -> Self {
        Self {
            items: Vec::new(),
            highlighter,
            newest: 0,
            users: 0,
            writing: None,
            frame: Frame::default(),
            view: View::default(),
            selected: None,
            drag: None,
            given: 0,
        }
    }

    /// Whether something shows how long it has been running: then a layout is due each
    /// second, though nothing else happens.
    pub fn ticks(&self) -> bool {
        let turn = self.items.iter().rev();
        let mut turn = turn.take_while(|item| !item.is_message());
        turn.any(Item::is_running)
    }

    /// Brings the rows up to date that are to be seen in so many columns and rows. What
    /// is at the top stays there, unless the end is in view: then the end stays there.
    pub fn layout(&mut self, width: u16, height: u16, theme: Theme, now: Instant) {
        let before = self.frame;
        self.frame = Frame {
            width,
            height,
            theme,
            now: Some(now),
        };
        if before.width != width {
            self.drag = None;
            self.view.reflow();
        }
        self.place_view();
    }

    /// The rows of items that have come to their end and were not given out yet, for a
    /// screen that only grows.
    pub fn finished_rows(&mut self, width: u16, theme: Theme) -> Vec<Line<'static>> {
        let mut rows = Vec::new();
        while self.items.get(self.given).is_some_and(Item::is_final) {
            let at = self.given;
            let target = For {
                columns: usize::from(width.max(1)),
                theme,
                now: self.frame.now,
            };
            self.lay_out_for(at, target);
            let height = self.height(at);
            rows.extend((0..height).map(|row| {
                let row = self.row(Place { item: at, row });
                row.map(|row| row.line.clone()).unwrap_or_default()
            }));
            self.given += 1;
        }
        rows
    }

    /// Rows of the items that were not given out yet, as they would be shown.
    pub fn running_rows(&mut self, width: u16, theme: Theme, now: Instant) -> u16 {
        self.frame = Frame {
            width,
            theme,
            now: Some(now),
            ..self.frame
        };
        let rows = (self.given..self.items.len()).map(|at| {
            self.lay_out(at);
            self.height(at)
        });
        u16::try_from(rows.sum::<usize>()).unwrap_or(u16::MAX)
    }

    /// Rows of an item, with the one that keeps it apart from the item above. An estimate
    /// for what has not been in view.
    fn height(&self, at: usize) -> usize {
        let item = self.items.get(at);
        item.map_or(0, |item| item.height(self.frame.columns())) + self.gap(at)
    }

    fn gap(&self, at: usize) -> usize {
        let Some(above) = at.checked_sub(1).and_then(|above| self.items.get(above)) else {
            return 0;
        };
        let together = self.items.get(at).is_some_and(|item| item.joins(above));
        usize::from(!together)
    }

    /// `None` is an empty row.
    fn row(&self, place: Place) -> Option<&super::text::Row> {
        let row = place.row.checked_sub(self.gap(place.item))?;
        self.items.get(place.item)?.row(row)
    }

    fn lay_out(&mut self, at: usize) {
        let target = For {
            columns: self.frame.columns(),
            theme: self.frame.theme,
            now: self.frame.now,
        };
        self.lay_out_for(at, target);
    }

    fn lay_out_for(&mut self, at: usize, target: For) {
        if let Some(item) = self.items.get_mut(at) {
            item.lay_out(target, &self.highlighter);
        }
    }
}
