//! The rows of a trace at a width: where each begins. More text changes only the last
//! rows; a folded paragraph is one row.

use std::collections::BTreeSet;

use super::cells::{self, Cell};

/// A row of the pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The byte of the text that it begins with. It ends where the next one begins.
    pub from: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A whole paragraph.
    Folded,
}

/// The rows of a text. A space where a row ends hangs over its end: rows need one
/// column more than the text has.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Where the first row begins.
    start: usize,
    columns: usize,
    rows: Vec<Row>,
    /// Bytes of the text that are in rows.
    end: usize,
    /// Where paragraphs begin.
    paragraphs: Vec<u32>,
    /// Those that are folded, by where they begin.
    folded: BTreeSet<u32>,
}

impl Default for Rows {
    fn default() -> Self {
        Self::starting(0)
    }
}

impl Rows {
    /// Rows of what comes from a byte of the text on.
    pub fn starting(start: usize) -> Self {
        Self {
            start,
            columns: 1,
            rows: vec![Row {
                from: start as u32,
                kind: Kind::Text,
            }],
            end: start,
            paragraphs: vec![start as u32],
            folded: BTreeSet::new(),
        }
    }

    /// Lays out what is new of `text`, and all of it where the width is another one.
    pub fn layout(&mut self, text: &str, columns: usize) {
        let columns = columns.max(1);
        if columns != self.columns || text.len() < self.end {
            self.columns = columns;
            self.again(text);
        } else if text.len() > self.end {
            self.extend(text);
        }
    }

    /// Everything anew.
    fn again(&mut self, text: &str) {
        let folded = std::mem::take(&mut self.folded);
        let columns = self.columns;
        *self = Self {
            columns,
            folded,
            ..Self::starting(self.start)
        };
        self.extend(text);
    }

    fn extend(&mut self, text: &str) {
        let known = *self.paragraphs.last().unwrap_or(&0) as usize;
        paragraphs(text, known, self.end, &mut self.paragraphs);
        self.end = text.len();
        // The last character may have become a wider one, and with it what fits into
        // the row before.
        let keep = self.rows.len().saturating_sub(2);
        let row = self.rows.get(keep);
        let from = row.map_or(self.start, |row| row.from as usize);
        self.rows.truncate(keep);
        let first = self.paragraph_of(from);
        for at in first..self.paragraphs.len() {
            let (start, end) = self.paragraph(at);
            if self.folded.contains(&(start as u32)) {
                self.rows.push(Row {
                    from: start as u32,
                    kind: Kind::Folded,
                });
                continue;
            }
            let mut next = start.max(from);
            loop {
                self.rows.push(Row {
                    from: next as u32,
                    kind: Kind::Text,
                });
                match row_end(text, next, end, self.columns) {
                    RowEnd::Cut(to) => next = to,
                    RowEnd::Last => break,
                }
            }
        }
    }

    /// Folds and unfolds; whole rows are laid out anew.
    pub fn fold(&mut self, text: &str, folded: BTreeSet<u32>) {
        self.folded = folded;
        self.again(text);
    }

    pub fn folded(&self) -> &BTreeSet<u32> {
        &self.folded
    }

    /// Rows; at least one.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row's kind and its bytes of the text.
    pub fn row(&self, at: usize) -> Option<(Kind, usize, usize)> {
        let row = self.rows.get(at)?;
        let next = self.rows.get(at + 1);
        let end = next.map_or(self.end, |next| next.from as usize);
        Some((row.kind, row.from as usize, end))
    }

    /// The row that a byte of the text is in; the last one at the end.
    pub fn row_of(&self, byte: usize) -> usize {
        let after = self.rows.partition_point(|row| row.from as usize <= byte);
        after.saturating_sub(1)
    }

    /// Paragraphs.
    pub fn paragraphs(&self) -> &[u32] {
        &self.paragraphs
    }

    /// The paragraph that a byte of the text is in.
    pub fn paragraph_of(&self, byte: usize) -> usize {
        let after = self
            .paragraphs
            .partition_point(|from| *from as usize <= byte);
        after.saturating_sub(1)
    }

    /// A paragraph's bytes of the text.
    pub fn paragraph(&self, at: usize) -> (usize, usize) {
        let place = |at: usize| self.paragraphs.get(at).map(|from| *from as usize);
        (
            place(at).unwrap_or(self.end),
            place(at + 1).unwrap_or(self.end),
        )
    }
}

/// Where paragraphs begin after `known`, looking at what comes from `from` on: after
/// an empty line.
fn paragraphs(text: &str, known: usize, from: usize, found: &mut Vec<u32>) {
    let bytes = text.as_bytes();
    // Breaks before `from` count for what begins there.
    let before = bytes.get(known..from).unwrap_or_default();
    let mut breaks = before
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\n')
        .count();
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\n' => breaks += 1,
            _ => {
                // An answer that begins with empty lines begins where it does.
                if breaks > 1 && at > known + breaks {
                    found.push(at as u32);
                }
                breaks = 0;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowEnd {
    /// There is another row, from here.
    Cut(usize),
    Last,
}

/// Where the row ends that begins at `from`, of a paragraph that ends at `end`.
/// After the last break of a text there is an empty row; after that of a paragraph
/// another one begins.
fn row_end(text: &str, from: usize, end: usize, columns: usize) -> RowEnd {
    let mut at = from;
    let mut used = 0;
    // After the last space, or beside a wide character.
    let mut between = None;
    let mut is_blank = true;
    while at < end {
        // Most of a text is words, and all of it is laid out at another width.
        let word = cells::plain(text, at, columns.saturating_sub(used).min(end - at));
        if word > 0 {
            (at, used, is_blank) = (at + word, used + word, false);
            continue;
        }
        let Some(cell) = cells::cell(text, at, used) else {
            break;
        };
        if cell.is_break() {
            return match cell.to < end || end == text.len() {
                true => RowEnd::Cut(cell.to),
                false => RowEnd::Last,
            };
        }
        let fits = used + cell.columns <= columns;
        if cell.is_space() {
            if !fits {
                return match cell.to < end || end == text.len() {
                    true => RowEnd::Cut(cell.to),
                    false => RowEnd::Last,
                };
            }
            if !is_blank {
                between = Some(cell.to);
            }
        } else {
            if cell.columns > 1 && at > from {
                between = Some(at);
            }
            if !fits && at > from {
                return RowEnd::Cut(between.unwrap_or(at));
            }
            if cell.columns > 1 {
                between = Some(cell.to);
            }
            is_blank = false;
        }
        used += cell.columns;
        at = cell.to;
    }
    RowEnd::Last
}

/// The characters of a row, each with its column.
pub fn cells_of(text: &str, from: usize, to: usize) -> impl Iterator<Item = (usize, Cell<'_>)> {
    let mut at = from;
    let mut column = 0;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let cell = cells::cell(text, at, column)?;
        let place = column;
        at = cell.to;
        column += cell.columns;
        Some((place, cell))
    })
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
