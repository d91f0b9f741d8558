//! A walk over a trace: its rows at a width, the cursor, what of it is in view, and
//! whether both stay at the end while tokens come.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::cells;
use super::motion::Direction;
use super::rows::{Kind, Rows, cells_of};
use super::store::Trace;

/// Whether new tokens take the cursor along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    End,
    Stay,
}

#[derive(Clone, Debug)]
pub struct Walk {
    rows: Rows,
    cursor: usize,
    /// The first row in view, and how many there are.
    top: usize,
    height: usize,
    follow: Follow,
    /// The column that moves by rows aim at.
    goal: Option<usize>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            rows: Rows::default(),
            cursor: 0,
            top: 0,
            height: 1,
            follow: Follow::End,
            goal: None,
        }
    }
}

impl Walk {
    /// One that begins at the trace's beginning and stays where it is.
    pub fn at_start() -> Self {
        Self {
            follow: Follow::Stay,
            ..Self::default()
        }
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The token that it is at.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The first row in view.
    pub fn top(&self) -> usize {
        self.top
    }

    pub fn height(&self) -> usize {
        self.height
    }

    pub fn follow(&self) -> Follow {
        self.follow
    }

    /// Lays out what is new, and keeps in view what was.
    pub fn layout(&mut self, trace: &Trace, columns: usize, height: usize) {
        let height = height.max(1);
        let is_other = columns.max(1) != self.rows.columns() || height != self.height;
        let was_in_view = self.is_in_view(trace);
        self.rows.layout(trace.text(), columns);
        self.height = height;
        match self.follow {
            Follow::End => {
                self.cursor = trace.len().saturating_sub(1);
                self.show(trace);
            }
            Follow::Stay if is_other && was_in_view => self.show(trace),
            Follow::Stay => {}
        }
        self.top = self.top.min(self.last_top());
    }

    fn last_top(&self) -> usize {
        self.rows.len().saturating_sub(self.height)
    }

    /// The row that the cursor is in.
    fn row(&self, trace: &Trace) -> usize {
        self.row_of(trace, self.cursor)
    }

    fn row_of(&self, trace: &Trace, token: usize) -> usize {
        self.rows.row_of(self.anchor(trace, token))
    }

    /// The byte that a token is at for moves by rows: its first one, but for a space or a
    /// break that ends a row while the token goes on in the next.
    fn anchor(&self, trace: &Trace, token: usize) -> usize {
        let (mut at, end) = (trace.start(token), trace.end(token));
        loop {
            let row = self.rows.row_of(at);
            let (Some((_, _, to)), Some((Kind::Text, ..))) =
                (self.rows.row(row), self.rows.row(row + 1))
            else {
                return at;
            };
            let goes_on = cells::cell(trace.text(), at, 0).is_some_and(|cell| {
                (cell.is_space() || cell.is_break()) && cell.to == to && to < end
            });
            if !goes_on {
                return at;
            }
            at = to;
        }
    }

    fn is_in_view(&self, trace: &Trace) -> bool {
        (self.top..self.top + self.height).contains(&self.row(trace))
    }

    fn show(&mut self, trace: &Trace) {
        let row = self.row(trace);
        self.top = self.top.clamp((row + 1).saturating_sub(self.height), row);
        if self.follow == Follow::End {
            self.top = self.last_top();
        }
    }

    /// Moves to a token, past what is folded.
    pub fn go(&mut self, trace: &Trace, token: usize, direction: Direction) {
        let last = trace.len().saturating_sub(1);
        let mut token = token.min(last);
        if let Some((first, after)) = self.fold_of(trace, token) {
            let was_inside = (first..after).contains(&self.cursor);
            token = match direction {
                Direction::Forward if was_inside && after <= last => after,
                Direction::Forward | Direction::Back => first,
            };
        }
        self.land(trace, token);
        self.goal = None;
    }

    /// Moves to a token and unfolds what it is in.
    pub fn jump(&mut self, trace: &Trace, token: usize) {
        let token = token.min(trace.len().saturating_sub(1));
        let at = self.rows.paragraph_of(trace.start(token));
        let (from, _) = self.rows.paragraph(at);
        let mut folded = self.rows.folded().clone();
        if folded.remove(&(from as u32)) {
            self.rows.fold(trace.text(), folded);
        }
        self.land(trace, token);
        self.goal = None;
    }

    fn land(&mut self, trace: &Trace, token: usize) {
        self.cursor = token;
        self.follow = match token + 1 >= trace.len() {
            true => Follow::End,
            false => Follow::Stay,
        };
        self.show(trace);
    }

    /// Moves by rows.
    pub fn go_rows(&mut self, trace: &Trace, by: isize) {
        let row = self.row(trace);
        let goal = self.goal.unwrap_or_else(|| self.column(trace));
        let last = self.rows.len() - 1;
        let target = row.saturating_add_signed(by).min(last);
        if target == row {
            return;
        }
        if let Some(token) = self.token_in(trace, target, goal) {
            // One that is mostly in another row would lead there.
            let token = match self.row_of(trace, token).cmp(&target) {
                Ordering::Less if by > 0 => (token + 1).min(trace.len() - 1),
                Ordering::Greater if by < 0 => token.saturating_sub(1),
                Ordering::Less | Ordering::Equal | Ordering::Greater => token,
            };
            self.land(trace, token);
        }
        self.goal = Some(goal);
    }

    /// Moves what is in view; the cursor stays.
    pub fn scroll(&mut self, trace: &Trace, by: isize) {
        self.top = self.top.saturating_add_signed(by).min(self.last_top());
        let is_at_end = self.cursor + 1 >= trace.len() && self.top == self.last_top();
        self.follow = match is_at_end {
            true => Follow::End,
            false => Follow::Stay,
        };
    }

    /// The column in its row that the cursor's token begins at.
    fn column(&self, trace: &Trace) -> usize {
        let start = self.anchor(trace, self.cursor);
        match self.rows.row(self.rows.row_of(start)) {
            Some((Kind::Text, from, to)) => {
                let mut cells = cells_of(trace.text(), from, to);
                let cell = cells.find(|(_, cell)| cell.to > start);
                cell.map_or(0, |(column, _)| column)
            }
            _ => 0,
        }
    }

    /// The token that is drawn in a row at a column; the row's last one beyond its
    /// end.
    pub fn token_in(&self, trace: &Trace, row: usize, column: usize) -> Option<usize> {
        let (kind, from, to) = self.rows.row(row)?;
        let byte = match kind {
            Kind::Folded => from,
            Kind::Text => {
                let mut cells = cells_of(trace.text(), from, to);
                let under = |place: usize, columns: usize| column < place + columns.max(1);
                let mut last = from;
                loop {
                    match cells.next() {
                        Some((place, cell)) => {
                            last = cell.from;
                            if under(place, cell.columns) {
                                break last;
                            }
                        }
                        None => break last,
                    }
                }
            }
        };
        let token = trace.token_at(byte);
        (!trace.is_empty()).then(|| token.min(trace.len() - 1))
    }

    /// Folds the cursor's paragraph, or unfolds it.
    pub fn fold(&mut self, trace: &Trace) {
        let at = self.rows.paragraph_of(trace.start(self.cursor));
        let (from, _) = self.rows.paragraph(at);
        let mut folded = self.rows.folded().clone();
        if !folded.remove(&(from as u32)) {
            folded.insert(from as u32);
        }
        self.set_folds(trace, folded);
    }

    /// Folds all paragraphs, or unfolds all where any is folded.
    pub fn fold_all(&mut self, trace: &Trace) {
        let folded = match self.rows.folded().is_empty() {
            true => self.rows.paragraphs().iter().copied().collect(),
            false => BTreeSet::new(),
        };
        self.set_folds(trace, folded);
    }

    fn set_folds(&mut self, trace: &Trace, folded: BTreeSet<u32>) {
        self.rows.fold(trace.text(), folded);
        if let Some((first, _)) = self.fold_of(trace, self.cursor) {
            self.cursor = first;
            self.follow = Follow::Stay;
        }
        self.show(trace);
    }

    /// The tokens of the cursor's paragraph: the first, and the one after the last.
    pub fn paragraph(&self, trace: &Trace) -> (usize, usize) {
        let at = self.rows.paragraph_of(trace.start(self.cursor));
        self.tokens_of(trace, at)
    }

    /// The first token of the nearest paragraph before or after the cursor.
    pub fn beside(&self, trace: &Trace, direction: Direction) -> Option<usize> {
        let at = self.rows.paragraph_of(trace.start(self.cursor));
        let (first, after) = self.tokens_of(trace, at);
        match direction {
            Direction::Forward => (after < trace.len()).then_some(after),
            Direction::Back if self.cursor > first => Some(first),
            Direction::Back => Some(self.tokens_of(trace, at.checked_sub(1)?).0),
        }
    }

    /// The tokens whose characters begin in a paragraph.
    fn tokens_of(&self, trace: &Trace, paragraph: usize) -> (usize, usize) {
        let (from, to) = self.rows.paragraph(paragraph);
        let first = |byte: usize| {
            let token = trace.token_at(byte);
            // A token that the one before shares belongs to that.
            match trace.start(token) < byte {
                true => token + 1,
                false => token,
            }
        };
        let after = match to >= trace.text().len() {
            true => trace.len(),
            false => first(to),
        };
        (first(from).min(after), after)
    }

    /// The tokens of the folded paragraph that a token is in.
    fn fold_of(&self, trace: &Trace, token: usize) -> Option<(usize, usize)> {
        let at = self.rows.paragraph_of(trace.start(token));
        let (from, _) = self.rows.paragraph(at);
        let is_folded = self.rows.folded().contains(&(from as u32));
        is_folded.then(|| self.tokens_of(trace, at))
    }

    /// The tokens in view: the first, and the one after the last.
    pub fn in_view(&self, trace: &Trace) -> (usize, usize) {
        let from = self.rows.row(self.top).map_or(0, |(_, from, _)| from);
        let last = (self.top + self.height).min(self.rows.len());
        let row = self.rows.row(last.saturating_sub(1));
        let to = row.map_or(0, |(_, _, to)| to);
        (trace.token_at(from), trace.token_at(to))
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
