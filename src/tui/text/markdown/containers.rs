//! What a block is in: quotes and items of lists, each of which puts something before
//! every row. They get half of the pane at most; what is deeper is not indented further.

use ratatui::style::Style;

use crate::tui::text::{Row, width};
use crate::tui::theme::{Role, Theme};

/// Containers that are drawn.
const DEEPEST: usize = 12;
const QUOTE: &str = "▌ ";

enum Container {
    Quote,
    Item {
        /// Its bullet or number, which the first row has.
        mark: String,
        state: Mark,
    },
    /// There is no room for it.
    HiddenQuote,
    HiddenItem,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Due,
    Drawn,
}

/// Innermost last.
pub(super) struct Containers {
    open: Vec<Container>,
    /// Of the pane.
    columns: usize,
}

impl Containers {
    pub fn new(columns: usize) -> Self {
        Self {
            open: Vec::new(),
            columns,
        }
    }

    pub fn open_quote(&mut self) {
        let container = match self.fits(width(QUOTE)) {
            true => Container::Quote,
            false => Container::HiddenQuote,
        };
        self.open.push(container);
    }

    /// Gives the mark back if it has to be text.
    pub fn open_item(&mut self, mark: String) -> Option<String> {
        if !self.fits(width(&mark)) {
            self.open.push(Container::HiddenItem);
            return Some(mark);
        }
        let state = Mark::Due;
        self.open.push(Container::Item { mark, state });
        None
    }

    /// Adds to the mark of an item that has just begun; false if it has none, or no room.
    pub fn add_to_mark(&mut self, sign: &str) -> bool {
        let fits = self.taken() + width(sign) <= self.columns / 2;
        match self.open.last_mut() {
            Some(Container::Item { mark, state }) if *state == Mark::Due && fits => {
                mark.push_str(sign);
                true
            }
            _ => false,
        }
    }

    /// Whether an item's mark is still to be drawn.
    pub fn mark_is_due(&self) -> bool {
        matches!(self.open.last(), Some(Container::Item { state, .. }) if *state == Mark::Due)
    }

    /// Whether the innermost one is an item.
    pub fn in_item(&self) -> bool {
        match self.open.last() {
            Some(Container::Item { .. } | Container::HiddenItem) => true,
            Some(Container::Quote | Container::HiddenQuote) | None => false,
        }
    }

    pub fn close(&mut self) {
        self.open.pop();
    }

    fn fits(&self, columns: usize) -> bool {
        self.open.len() < DEEPEST && self.taken() + columns <= self.columns / 2
    }

    fn taken(&self) -> usize {
        self.open.iter().map(Container::columns).sum()
    }

    /// Columns that are left for what is within.
    pub fn room(&self) -> usize {
        self.columns.saturating_sub(self.taken()).max(1)
    }

    /// Puts the containers before a row.
    pub fn prefix(&mut self, row: &mut Row, theme: Theme) {
        for container in self.open.iter_mut().rev() {
            match container {
                Container::Quote => row.prefix(QUOTE, theme.style(Role::Dim)),
                Container::Item { mark, state } => match state {
                    Mark::Due => {
                        row.prefix(mark, theme.style(Role::Hint));
                        *state = Mark::Drawn;
                    }
                    Mark::Drawn => row.prefix(&" ".repeat(width(mark)), Style::new()),
                },
                Container::HiddenQuote | Container::HiddenItem => {}
            }
        }
    }
}

impl Container {
    fn columns(&self) -> usize {
        match self {
            Self::Quote => width(QUOTE),
            Self::Item { mark, .. } => width(mark),
            Self::HiddenQuote | Self::HiddenItem => 0,
        }
    }
}
